"""The lessons: their conventions, and that what they build from scratch equals the library."""

import ast
import re

import nbformat
import numpy as np
import pytest
import torch
from torch import nn

import nbnas
from nbnas.machine.paths import notebooks_folder
from nbnas.proxies.fisher_information import FisherSetting
from nbnas.proxies.tcet import layer_vectors
from nbnas.reproduce.notebook import read_notebook
from nbnas.search import Budget, Evolution, evolve
from tests.networks import ConvNeXt, ResNet, convnet, mlp, nasbench201

LESSONS = sorted((notebooks_folder() / "lessons").glob("[0-9]*.ipynb"))
GLOSSARY = notebooks_folder() / "lessons" / "glossary.ipynb"
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def cells_of(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def tagged(cells, tag):
    return [cell for cell in cells if tag in cell.metadata.get("tags", [])]


# ------------------------------------------------------------------------------------------------------- conventions


@every_lesson
def test_the_first_cell_says_what_who_and_how_long(path):
    first = cells_of(path, "markdown")[0].source
    number = int(path.stem[:2])
    assert re.match(rf"# Lesson {number}: \S", first)
    for promise in ("**Question.**", "**After this lesson you can**\n\n- ", "**Needs**", "**Time**", "**Paper"):
        assert promise in first, promise
    assert {"https://arxiv.org/abs/2502.04975", "https://openreview.net/forum?id=y7rbX884LZrX"} & set(
        re.findall(r"\]\((https://[^)]+)\)", first)
    )
    assert re.search(r"\d+\s+minutes\s+to\s+read", first)
    assert "no download" in " ".join(first.split())


@every_lesson
def test_it_ends_with_exercises_that_are_solved_and_with_what_comes_next(path):
    cells = nbformat.read(path, as_version=4).cells
    texts = [cell.source for cell in cells]
    start = next(number for number, text in enumerate(texts) if text.startswith("## Exercises"))
    exercises = re.findall(r"^\*\*(\d)\.\*\*", "\n".join(texts[start:]), re.MULTILINE)
    assert exercises in (["1", "2"], ["1", "2", "3"])
    assert len(tagged(cells[start:], "solution")) == len(exercises)
    assert not tagged(cells[:start], "solution")
    assert any("**Next:**" in text for text in texts[start:])
    (saving,) = tagged(cells, "saving")
    assert saving is cells[-1]
    assert saving.metadata.jupyter.source_hidden
    assert "results.save(" in saving.source
    assert "assert " in saving.source


@every_lesson
def test_nothing_after_an_exercise_needs_its_solution(path):
    code = cells_of(path, "code")
    solutions = tagged(code, "solution")
    defined = {name for cell in solutions for name in names(cell.source, ast.Store)}
    elsewhere = [cell for cell in code if cell not in solutions]
    last = elsewhere[-1]
    before = {name for cell in elsewhere for name in names(cell.source, ast.Store)}
    assert not (defined - before) & names(last.source, ast.Load)


def names(source, context):
    return {
        node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name) and isinstance(node.ctx, context)
    }


@every_lesson
def test_it_has_a_smoke_profile_and_takes_less_than_two_minutes(path):
    notebook = read_notebook(path)
    assert notebook.parameters
    assert notebook.profiles["smoke"]
    assert 0 < notebook.minutes["smoke"] <= notebook.minutes["default"] < 2


@every_lesson
def test_cells_are_short(path):
    for cell in cells_of(path, "code")[:-1]:
        assert len(cell.source.splitlines()) <= 40, cell.source


@every_lesson
def test_links_lead_somewhere(path):
    for cell in cells_of(path, "markdown"):
        for target in re.findall(r"\]\(([^)#:]+)\)", cell.source):
            assert (path.parent / target).exists(), target


@every_lesson
def test_it_says_how_to_read_its_figures_with_numbers_of_the_run(path):
    code = cells_of(path, "code")
    readings = tagged(code, "reading")
    assert len(readings) >= 1
    for cell in readings:
        assert "Markdown(" in cell.source.splitlines()[-1] or cell.source.endswith(")")
        assert cell.metadata.jupyter.source_hidden


@every_lesson
def test_terms_are_linked_to_the_glossary(path):
    terms = set(re.findall(r"^### (.+)$", "\n".join(cell.source for cell in cells_of(GLOSSARY, "markdown")), re.M))
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    linked = re.findall(r"\]\(glossary\.ipynb#([^)]+)\)", text)
    assert len(linked) >= 2
    assert set(linked) <= {term.replace(" ", "-") for term in terms}


@every_lesson
def test_formulas_are_drawn_without_network(path):
    from nbnas.reproduce.report.rendering import markdown_to_html

    for cell in cells_of(path, "markdown"):
        page = markdown_to_html(cell.source)
        assert "$" not in page, cell.source
        assert "<merror" not in page


# ------------------------------------------------------------------------------------------------------ from scratch


def definitions(name):
    """Run the imports, functions and classes of a lesson, and nothing else of it; returns its namespace.

    The last cells, which compare with the package and save, are left out.
    """
    kept = []
    for cell in cells_of(notebooks_folder() / "lessons" / f"{name}.ipynb", "code")[:-2]:
        statements = ast.parse(cell.source).body
        kept += [node for node in statements if isinstance(node, ast.Import | ast.ImportFrom)]
        kept += [node for node in statements if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    namespace = {}
    exec(compile(ast.Module(kept, []), name, "exec"), namespace)
    return namespace


@pytest.mark.parametrize("name", ["03_fisher_information", "04_tcet"])
def test_lessons_from_scratch_import_the_package_only_in_the_last_cells(name):
    code = cells_of(notebooks_folder() / "lessons" / f"{name}.ipynb", "code")
    assert not any(re.search(r"\bnbnas\b", cell.source) for cell in code[:-2])
    assert "import nbnas" in code[-2].source
    assert "assert" in code[-2].source


def batch_norm_net():
    return convnet(nn.BatchNorm2d)


def random_network(make, seed):
    """In float64, with random weights and with statistics that BatchNorm has to use."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = make().double()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.5, 2)
        inputs = torch.randn(8, 3, 8, 8, dtype=torch.float64)
        return network, inputs, torch.randint(5, (8,))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("make", [nasbench201, mlp, convnet, batch_norm_net, ConvNeXt])
def test_lesson_3_builds_vkdnw(make, seed):
    built = definitions("03_fisher_information")
    network, inputs, _ = random_network(make, seed)
    network.eval()
    entropy = built["vkdnw"](network, inputs)
    paper, library = (
        FisherSetting(half_precision_constants=False, variant=variant).scores_of_network(network, inputs)
        for variant in ("paper", "official")
    )
    torch.testing.assert_close(entropy, paper["entropy"])
    jacobian = built["logit_jacobian"](network, inputs)
    released = built["fisher_as_released"](jacobian, built["smoothed_softmax"](network(inputs).detach()))
    torch.testing.assert_close(built["inner_deciles"](released), library["quantiles"], rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(built["spectrum_entropy"](built["inner_deciles"](released)), library["entropy"])


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", ["snip", "synflow"])
@pytest.mark.parametrize("make", [nasbench201, mlp, convnet, batch_norm_net, ResNet])
def test_lesson_4_builds_tcet(make, kind, seed):
    built = definitions("04_tcet")
    network, inputs, labels = random_network(make, seed)
    arguments = (network, inputs, labels) if kind == "snip" else (network, inputs)
    saliency = built[f"{kind}_saliency"](*arguments)
    ours = built["layer_table"](network, inputs, saliency)
    library = layer_vectors(network, (inputs, labels), kind, variant="paper")
    assert list(ours.index) == list(library.index)
    torch.testing.assert_close(torch.tensor(ours.to_numpy()), torch.tensor(library.to_numpy()))
    table = nbnas.score(network, f"tcet_{kind}", batches=[(inputs, labels)], init=None)
    # The package divides by n - 1 as the released code does.
    n = ours["weights"]
    official = ours.assign(**{"S / σ": ours["S / σ"] * ((n - 1) / n) ** 0.5})
    if table["status"].iloc[0] == "ok":
        assert built["tcet"](official) == pytest.approx(table["value"][f"tcet_{kind}"])
        assert built["tcet"](official, logged=True) == pytest.approx(table["value"][f"tcet_{kind}_log"])
    else:
        assert built["tcet"](ours) == 0


def test_the_definitions_of_lesson_4_leave_the_network_as_it_was():
    built = definitions("04_tcet")
    network, inputs, labels = random_network(batch_norm_net, 0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    built["snip_saliency"](network, inputs, labels)
    built["synflow_saliency"](network, inputs)
    built["layer_kernels"](network, inputs)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


class NoisyAccuracies:
    """NAS-Bench-201 with accuracies that are noise, ties among them."""

    space = nbnas.get_space("nasbench201")

    def __init__(self, seed):
        self.values = np.random.default_rng(seed).integers(20, size=len(self.space))

    def rate(self, arch):
        return float(self.values[self.space.index(arch)])


@pytest.mark.parametrize(("seed", "limit"), [(0, 400_000), (1, 400_000), (2, np.inf)])
def test_lesson_9_draws_what_the_library_draws(seed, limit):
    by_hand = definitions("09_evolutionary_search")["search_by_hand"]
    benchmark = NoisyAccuracies(seed)
    space = benchmark.space
    built = by_hand(space, benchmark.rate, lambda arch: space.params(arch) <= limit, 120, population=8, seed=seed)
    strategy = Evolution(population=8, in_flight=1)
    options = {"budget": Budget(params=limit), "steps": 120, "seed": seed, "progress": False}
    library = evolve(space, benchmark.rate, strategy=strategy, **options).history
    assert built["arch"].tolist() == library["arch"].tolist()
    assert built["objective"].tolist() == library["objective"].tolist()
    assert built["parent"].astype("Int64").tolist() == library["parent"].tolist()
    assert space.params(max(built["arch"], key=space.params)) <= limit
