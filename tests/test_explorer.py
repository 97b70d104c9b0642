"""The explorer's numbers are those of the package: its page computes them in a browser, and Python does."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from stored_scores import store_scores

from nbnas.benchmarks import BENCHMARKS, Benchmark
from nbnas.benchmarks.benchmark import Source, Sources
from nbnas.errors import NbnasError
from nbnas.rankings import CombinedRanking, kendall_tau, ndcg, spearman_rho
from nbnas.rankings.published import RANKINGS
from nbnas.reproduce.report.explorer import SPACES, TERMS, presets, write_explorer
from nbnas.scoring.architecture_scores import load_architecture_scores
from nbnas.scoring.samples import sample_architectures
from nbnas.scoring.setting import Setting
from nbnas.spaces import get_space

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CELLS = 15_625
UNSCORED = 40
"""Place in the sample of the first network of which synflow is not stored; one before it failed."""

OWN_LINES = 300
# The first is not what the page shows at first.
CASES = {
    "two scores with many ties": ["jacov:1", "flops:1"],
    "VKDNW_agg": ["vkdnw_single:1", "jacov:1", "az_expressivity:1", "az_trainability:1", "flops:1"],
    "one score": ["vkdnw_single:1"],
    "one score of a sample, nearly constant": ["synflow:1"],
    "a sample beside formulas": ["flops:1", "synflow:1", "params:1"],
    "weights": ["jacov:0.3", "az_expressivity:-1.7", "flops:2"],
    "own scores": ["flops:1"],
}
PROBE = """<script>
const settled = async change => {
  const before = document.body.dataset.shown;
  change();
  while (document.body.dataset.shown === before) await new Promise(resolve => setTimeout(resolve, 50));
};
(async () => {
  const answers = {}, own = element("own");
  await settled(() => {});
  for (const [name, terms] of Object.entries(CASES)) {
    await settled(() => { location.hash = `space=nasbench201&dataset=cifar10&terms=${terms}`; });
    if (name === "own scores") await settled(() => { own.value = OWN_TEXT; own.dispatchEvent(new Event("input")); });
    answers[name] = {
      rows: Array.from(element("ranking").tBodies[0].rows, row =>
        Array.from(row.cells, cell => cell.title || cell.innerText.trim())),
      said: ["summary", "own-report", "network"].map(id => element(id).innerText), address: location.hash,
    };
  }
  answers.fetched = performance.getEntriesByType("resource").map(entry => entry.name);
  document.body.dataset.answers = JSON.stringify(answers);
})();
</script>"""


def own_csv(archs):
    """A reader's file: some scores failed, one is infinite, some lines are of no use."""
    values = [f"{(place * 37) % 11}" for place in range(OWN_LINES)]
    values[3], values[4], values[5], values[6] = "", "NaN", "inf", "-inf"
    lines = [f'{place},"{arch}",{value}' for place, (arch, value) in enumerate(zip(archs, values, strict=False))]
    text = "\n".join(["number,arch,score", *lines, "7,no such cell,1.5", "", f"8,{archs[OWN_LINES]},many"])
    numbers = [float(value) if value else np.nan for value in values]
    return text, pd.Series(numbers, archs[:OWN_LINES])


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """A page with made-up accuracies and scores of NAS-Bench-201, the same scores, and the accuracies."""
    root, rng, space = tmp_path_factory.mktemp("explorer"), np.random.default_rng(0), get_space("nasbench201")
    accuracy = rng.normal(80, 10, CELLS).clip(10, 94).round(1)
    accuracy[rng.random(CELLS) < 0.05] = 10.0
    table = pd.DataFrame({"arch": list(space), "test": accuracy})
    benchmark = Benchmark("made-up", "made-up accuracies", table, {"cifar10": "test"})
    unique = [space.index(arch) for arch in sample_architectures(space, "filtered-unique")]
    for proxy, spread in {"jacov": 5, "az_expressivity": 20, "az_trainability": 40, "vkdnw": 10}.items():
        values = accuracy[unique] + rng.normal(0, spread, len(unique))
        values = values.round() if proxy == "jacov" else values
        values[rng.random(len(unique)) < 0.01] = np.nan
        store_scores(root / "scores", proxy, dict(zip(unique, values.tolist(), strict=True)))
    few = dict.fromkeys(unique[:200], 1.0) | {unique[UNSCORED]: float("nan"), unique[5]: 2.0}
    store_scores(root / "scores", "synflow", few)
    columns = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nbnas.scoring.setting.data_folder", lambda: root)
        found = Sources("NAS-Bench-201", {"made-up": Source(lambda: root, lambda _: benchmark, "")})
        patch.setitem(BENCHMARKS, "nasbench201", found)
        path = write_explorer(root, ["nasbench201"])
        for name in {name for keys in TERMS.values() for name in keys}:
            try:
                columns[name] = load_architecture_scores([name], Setting()).table[name]
            except NbnasError:
                continue
    return path, columns, table


@pytest.fixture(scope="module")
def answers(made_up, tmp_path_factory):
    path, columns, table = made_up
    if BROWSER is None:
        pytest.skip("needs Chromium or Chrome")
    text, _ = own_csv(table["arch"][columns["flops"].index].tolist())
    probe = path.with_name("probe.html")
    script = PROBE.replace("CASES", json.dumps(CASES)).replace("OWN_TEXT", json.dumps(text))
    probe.write_text(path.read_text().replace("</body>", f"{script}</body>"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    options += [f"--user-data-dir={tmp_path_factory.mktemp('browser')}", "--virtual-time-budget=600000", "--dump-dom"]
    run = subprocess.run([BROWSER, *options, probe.as_uri()], capture_output=True, text=True, timeout=300, check=True)
    assert "CONSOLE" not in run.stderr, run.stderr
    return json.loads(html.unescape(re.search(r'data-answers="(.*?)"', run.stdout)[1]))


def python_rows(case, columns, table):
    """The rows that Python computes for a case: name -> measures, and the number of networks."""
    weights = {name: float(weight) for name, weight in (term.split(":") for term in CASES[case])}
    columns, terms = dict(columns), dict(TERMS)
    if case == "own scores":
        _, own = own_csv(table["arch"][columns["flops"].index].tolist())
        columns["your scores"] = own.set_axis(columns["flops"].index[:OWN_LINES])
        terms["your scores"], weights["your scores"] = ("your scores",), 1.0
    keys = dict.fromkeys(key for name in weights for key in terms[name])
    scores = pd.concat({key: columns[key] for key in keys}, axis=1, join="inner")
    rankings = {name: CombinedRanking((terms[name],)).rank(scores) for name in weights}
    if set(weights.values()) != {1.0}:
        logarithms = [weight * np.log(rankdata(rankings[name])) for name, weight in weights.items()]
        rankings = {"combination": sum(logarithms), **rankings}
    elif len(weights) > 1:
        combined = CombinedRanking(tuple(terms[name] for name in weights)).rank(scores)
        rankings = {"combination": combined, **rankings}
    accuracy = table["test"].to_numpy()[scores.index]
    return {
        name: [m(ranks, accuracy) for m in (kendall_tau, spearman_rho, ndcg)] for name, ranks in rankings.items()
    }, len(scores)


@pytest.mark.parametrize("case", CASES)
def test_the_page_computes_what_python_computes(made_up, answers, case):
    _, columns, table = made_up
    expected, networks = python_rows(case, columns, table)
    rows = answers[case]["rows"]
    assert [row[0] for row in rows] == list(expected)
    for name, *measures, number in rows:
        assert [float(value) for value in measures] == pytest.approx(expected[name], abs=1e-12), name
        assert int(number) == networks
    assert np.isfinite([value for row in expected.values() for value in row]).all()


def test_what_was_left_out_is_said(made_up, answers):
    own = answers["own scores"]
    assert own["said"][0].startswith(f"{OWN_LINES} of 9,445 networks have every ticked score.")
    assert own["said"][1] == (
        f"{OWN_LINES} of 9,445 networks have a score of yours. 2 of them failed and rank last. "
        "Unknown networks: 1; the first is no such cell. "
        f"Lines without a number, left out: 1; the first is line {OWN_LINES + 4}: many."
    )
    assert answers["VKDNW_agg"]["said"][0] == "All 9,445 networks have every ticked score."
    assert "rank 9,445 of 9,445" in answers["VKDNW_agg"]["said"][2]


def test_the_address_holds_the_choice_and_nothing_is_fetched(answers):
    assert answers["weights"]["address"] == f"#space=nasbench201&dataset=cifar10&terms={','.join(CASES['weights'])}"
    assert [address for address in answers["fetched"] if not address.startswith("file:")] == []


def test_terms_of_a_product_stand_in_the_order_of_the_papers():
    for title, row_key in {"VKDNW_agg": "vkdnw_agg", "AZ-NAS": "az_nas", "VKDNW_single": "vkdnw_single"}.items():
        names = presets("nasbench201")[title]
        assert tuple(TERMS[name] for name in names) == RANKINGS[row_key].terms
        assert sorted(names, key=list(TERMS).index) == names


def test_without_accuracies_the_page_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.delenv("NBNAS_DATA", raising=False)
    nothing = Sources(
        "NAS-Bench-201", {"none": Source(lambda: None, lambda _: None, "run nbnas data fetch nasbench201")}
    )
    monkeypatch.setitem(BENCHMARKS, "nasbench201", nothing)
    text = write_explorer(tmp_path, SPACES).read_text()
    assert "No trained accuracies are available. Run <code>nbnas data fetch</code>" in text
    assert "application/json" not in text
    assert 'id="plot"' not in text


def test_a_damaged_file_does_not_stop_the_report(monkeypatch, tmp_path):
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path))
    (tmp_path / "nasbench201.csv.gz").write_bytes(b"damaged")
    text = write_explorer(tmp_path, ["nasbench201"]).read_text()
    assert "cannot be read as a gzipped csv" in text
