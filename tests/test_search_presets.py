"""The published searches have the published settings, and the command runs them."""

from dataclasses import replace

import pandas as pd
import pytest

import nbnas
from nbnas import Setting
from nbnas.cli import main
from nbnas.errors import NbnasError
from nbnas.search import PRESETS, Budget, get_preset
from nbnas.search.evolution import as_ranking
from nbnas.seeding import derive_seed

SMALL = {
    "mobilenetv2": Setting("mobilenetv2", batch_size=4, resolution=32, num_classes=10),
    "zen_resnet": Setting("zen_resnet", "cifar100", 4, resolution=16, build={"residual": False}),
}

SETTINGS = {
    "vkdnw_mbv2": ({"flops": 450e6, "layers": 14}, 100_000, 1023, (224, 10), False),
    "az_nas_mbv2": ({"flops": 450e6, "layers": 14}, 100_000, 1023, (224, 1000), False),
    "tcet_snip_cifar_1m": ({"params": 1e6, "layers": 18}, 480_000, 512, (32, 100), True),
    "tcet_synflow_cifar_1m": ({"params": 1e6, "layers": 18}, 480_000, 512, (32, 100), True),
    "tcet_snip_imagenet_450m": ({"flops": 450e6, "layers": 14}, 100_000, 512, (224, 1000), True),
    "tcet_snip_imagenet_600m": ({"flops": 600e6, "layers": 14}, 100_000, 512, (224, 1000), True),
    "tcet_snip_imagenet_1g": ({"flops": 1e9, "layers": 14}, 100_000, 512, (224, 1000), True),
    "tcet_synflow_imagenet_450m": ({"flops": 450e6, "layers": 14}, 100_000, 512, (224, 1000), True),
}
"""Name -> limits, steps, possible parents, resolution and classes, whether a rejected draw is a step."""

SCORES = {
    "vkdnw_mbv2": {
        "flops", "az_expressivity", "az_progressivity", "az_trainability", "vkdnw_mobilenetv2_entropy"
    },
    "az_nas_mbv2": {"flops", "az_expressivity", "az_progressivity", "az_trainability"},
}  # fmt: skip


def run(name, **options):
    preset = get_preset(name)
    return preset.run(**{"scoring": SMALL[preset.scoring.space_name], "steps": 20, "progress": False, **options})


def test_settings_are_the_published_ones():
    assert set(PRESETS) == set(SETTINGS)
    for name, (limits, steps, population, shape, count_rejected) in SETTINGS.items():
        preset = PRESETS[name]
        strategy, scoring = preset.strategy, preset.scoring
        found = {key: getattr(preset.budget, key) for key in ("params", "flops", "layers", "latency")}
        assert {key: limit for key, limit in found.items() if limit is not None} == limits
        assert (preset.steps, strategy.population, strategy.in_flight) == (steps, population, 1)
        assert (strategy.kind, strategy.count_rejected, strategy.duplicates) == ("evolution", count_rejected, "score")
        assert strategy.start == scoring.space.start
        assert scoring.input_shape == (64, 3, shape[0], shape[0])
        assert scoring.shape.num_classes == shape[1]
        saliency = name.split("_")[1]
        assert set(preset.score.scores) == SCORES.get(name, {f"tcet_{saliency}_log"})
        assert as_ranking(preset.score) == preset.score
        # T-CET scores without shortcuts.
        assert scoring.build == ({"residual": False} if name.startswith("tcet") else {})
        assert scoring.space_name == ("zen_resnet" if "cifar" in name else "mobilenetv2")
        images = scoring.dataset if scoring.inputs == "images" else None
        assert images == ("cifar100" if "cifar" in name else None)


def test_search_begins_at_the_start_structure_and_goes_on_from_its_finds():
    space = nbnas.get_space("zen_resnet")
    history = run("tcet_snip_cifar_1m", steps=40).history
    start = space.blocks(space.start)
    for arch in history["arch"][:11]:
        blocks = space.blocks(arch)
        # One super block is replaced, and the one behind takes its width.
        assert sum((a.name, a.outputs, a.repeats) != (b.name, b.outputs, b.repeats) for a, b in zip(start, blocks)) <= 1  # noqa: B905
    assert history["parent"][:11].isna().all()
    assert history["parent"][11:].notna().all()
    assert history["draws"].sum() <= 40


def test_networks_of_tcet_are_scored_without_shortcuts_and_counted_with_them():
    space = nbnas.get_space("zen_resnet")
    history = run("tcet_snip_cifar_1m", steps=2).history
    arch = history["arch"][0]
    seed = derive_seed(0, "zen_resnet", arch)
    network = space.build(arch, 100, residual=False)
    table = nbnas.score(network, "tcet_snip", input_shape=(4, 3, 16, 16), seed=seed)
    assert history["tcet_snip_log"][0] == pytest.approx(table.value["tcet_snip_log"], rel=1e-3)
    assert history["params"][0] == space.counted_params(arch, 100)


def test_flops_of_the_objective_are_those_of_the_budget():
    space = nbnas.get_space("mobilenetv2")
    history = run("az_nas_mbv2", steps=2).history
    assert history["flops"].tolist() == [space.counted_flops(arch, 32, 10) for arch in history["arch"]]


def test_unknown_search_is_a_one_line_error():
    with pytest.raises(NbnasError, match="unknown search 'zen'; choose from vkdnw_mbv2"):
        get_preset("zen")


# The command


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        status = main(["search", "--executor", "processes", "--no-progress", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def in_this_process(monkeypatch):
    """Spares the tests the start of workers."""
    from nbnas.search import command, evolution

    def evolve(*arguments, workers, **options):
        assert workers.executor == "processes"
        return evolution.evolve(*arguments, **options)

    monkeypatch.setattr(command, "evolve", evolve)


def test_command_searches_a_space(command, in_this_process, tmp_path):
    options = ["zen_resnet", "--score", "flops", "params", "--max-params", "2e5", "--steps", 30, "--population", 5]
    status, out, err = command(*options, "--history", "history.csv")
    assert (status, err) == (0, "")
    history = pd.read_csv("history.csv", index_col="candidate")
    assert len(history) == 30
    assert history["params"].max() <= 2e5
    assert out.splitlines()[0] == history["arch"][history["objective"].idxmax()]
    assert out.splitlines()[2].startswith("best of 30 candidates")
    assert (tmp_path / "zen_resnet-seed0.search").exists()
    again = command(*options)
    assert again[1].splitlines()[:2] == out.splitlines()[:2]
    status, out, err = command(*options, "--max-layers", 9)
    assert (status, out) == (1, "")
    assert err == "nbnas: zen_resnet-seed0.search holds a search with budget layers None, not 9.0; name another file\n"


def test_command_runs_a_published_search_with_changes(command, in_this_process):
    options = ["--steps", 5, "--batch-size", 4, "--resolution", 16, "--inputs", "gaussian", "--in-flight", 3]
    status, out, err = command("tcet_snip_cifar_1m", *options, "--seed", 2, "--max-params", 3e5)
    assert (status, err) == (0, "")
    expected = run(
        "tcet_snip_cifar_1m",
        steps=5,
        seed=2,
        strategy=replace(PRESETS["tcet_snip_cifar_1m"].strategy, in_flight=3),
        budget=Budget(params=3e5, layers=18),
    )
    assert out.splitlines()[0] == expected.best


def test_command_lists_the_published_searches(command):
    status, out, _ = command("--list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(PRESETS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a search space, or a published search as listed by --list"),
        (["darts", "--score", "flops"], "unknown target 'darts'; choose from nasbench201, "),
        (["zen_resnet"], "a search of zen_resnet needs --score"),
        (["zen_resnet", "--score", "flopz"], "no proxy matches 'flopz'"),
        (["zen_resnet", "--score", "flops", "--max-params", "-1"], "the budget of params must be positive, got -1.0"),
        (["zen_resnet", "--score", "flops", "--steps", "0"], "steps must be at least 1, got 0"),
        (["zen_resnet", "--score", "flops", "--dataset", "imagenet"], "unknown data set 'imagenet'"),
        (["zen_resnet", "--score", "flops", "--resolution", "33"], "resolution must be divisible by 8"),
        (["zen_resnet", "--score", "flops", "--inputs", "pictures"], "inputs must be 'gaussian' or 'images'"),
        (["zen_resnet", "--score", "snip", "--inputs", "images"], "no images of cifar10: set NBNAS_DATA"),
        (["tcet_snip_cifar_1m"], "no images of cifar100: set NBNAS_DATA"),
        (["zen_resnet", "--score", "flops", "--strategy", "greedy"], "strategy must be evolution or"),
    ],
)
def test_command_with_bad_input_prints_one_line(command, in_this_process, monkeypatch, arguments, message):
    monkeypatch.delenv("NBNAS_DATA", raising=False)
    status, out, err = command(*arguments)
    assert (status, out) == (1, "")
    assert err.startswith(f"nbnas: {message}")
    assert err.count("\n") == 1


def test_interrupted_command_keeps_its_checkpoint(command, monkeypatch):
    from nbnas.search import command as module
    from nbnas.search import evolution

    def evolve(space, score, **options):
        def interrupted(arch):
            if arch != space.start:
                raise KeyboardInterrupt
            return 1.0

        return evolution.evolve(space, interrupted, **{**options, "workers": None})

    monkeypatch.setattr(module, "evolve", evolve)
    status, out, err = command("zen_resnet", "--score", "flops")
    assert (status, out) == (130, "")
    assert err == "nbnas: interrupted; what was finished is kept, rerun to continue\n"
