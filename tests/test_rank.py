"""nbnas.rank and the command: the ranks, what is told apart, names of methods, and where networks come from."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pandas as pd
import pytest
import torch
from networks import convnet, mlp
from torch import nn

import nbnas
from nbnas.cli import main
from nbnas.errors import NbnasError
from nbnas.machine.append_log import read_log
from nbnas.rankings import CombinedRanking
from nbnas.rankings.published import RANKINGS
from nbnas.rankings.rank import find_method, networks_by_name

SHAPE = (4, 3, 8, 8)
NETWORKS = {
    "plain": convnet,
    "normed": partial(convnet, nn.BatchNorm2d),
    "grouped": partial(convnet, partial(nn.GroupNorm, 2)),
}


def of_width(width):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 5))


def test_ranks_are_those_of_the_combined_scores():
    table = nbnas.rank(NETWORKS, ["snip", "jacov"], input_shape=SHAPE, seeds=2)
    ranks = []
    for seed in range(2):
        scores = {
            name: nbnas.score(build(), ["snip", "jacov"], input_shape=SHAPE, seed=seed).value
            for name, build in NETWORKS.items()
        }
        combined = CombinedRanking.of("snip", "jacov").rank(pd.DataFrame(scores).T.reset_index(drop=True))
        ranks.append(pd.Series(combined, index=list(scores)).rank(ascending=False))
    both = pd.DataFrame(ranks)
    assert table["rank"].to_dict() == both.mean().to_dict()
    assert table["spread"].to_dict() == pytest.approx(both.std().to_dict())
    assert table["rank"].is_monotonic_increasing
    for first, second in zip(table.index, table.index[1:], strict=False):
        assert table.like_next[first] == (not (both[first] < both[second]).all())
    assert set(table.status) == {"ok"}


def test_sizes_are_told_apart_and_equals_are_not():
    networks = {"small": of_width(4), "large": of_width(16), "as large": of_width(16)}
    table = nbnas.rank(networks, "params", input_shape=SHAPE)
    assert table["rank"].to_dict() == {"large": 1.5, "as large": 1.5, "small": 3}
    assert table["like_next"].tolist() == [True, False, False]
    assert table["params"].tolist() == [16 * 198 + 5, 16 * 198 + 5, 4 * 198 + 5]
    assert table["params rank"].tolist() == [1.5, 1.5, 3]


def test_a_failed_score_counts_as_the_worst_and_is_named():
    table = nbnas.rank({"mlp": mlp, "convnet": convnet}, "zen", input_shape=SHAPE, seeds=1)
    assert table.index.tolist() == ["convnet", "mlp"]
    assert table.status["convnet"] == "ok"
    assert table.status["mlp"].startswith("zen: error: UnsupportedModelError: needs feature maps")
    with pytest.raises(NbnasError, match=r"no network has the score zen: .*needs feature maps"):
        nbnas.rank([mlp, mlp], "zen", input_shape=SHAPE, seeds=1)


def test_the_default_method_is_vkdnw_agg():
    table = nbnas.rank([convnet(), convnet(nn.BatchNorm2d)], input_shape=SHAPE, seeds=1)
    assert {name for name in table if f"{name} rank" in table} == set(RANKINGS["vkdnw_agg"].scores)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("VKDNW", RANKINGS["vkdnw_agg"]),
        ("VKDNW_single", RANKINGS["vkdnw_single"]),
        ("AZ-NAS", RANKINGS["az_nas"]),
        ("te nas", RANKINGS["te_nas"]),
        ("T-CET", CombinedRanking.of("tcet_snip")),
        ("SWAP", CombinedRanking.of("swap")),
        (["snip", "flops"], CombinedRanking.of("snip", "flops")),
        (["vkdnw_single", "flops"], CombinedRanking((("trainable_layers", "vkdnw_entropy"), ("flops",)))),
        (CombinedRanking.of("zen"), CombinedRanking.of("zen")),
    ],
)
def test_names_of_methods_are_forgiving(given, expected):
    assert find_method(given) == expected


@pytest.mark.parametrize(
    ("given", "nearest"), [("vkdnw_sngle", "vkdnw_single"), ("NASWT", "naswot"), ("azz", "az_nas")]
)
def test_a_wrong_name_suggests_the_nearest(given, nearest):
    with pytest.raises(NbnasError, match=f"unknown method '{given}'; the nearest is '{nearest}'"):
        find_method(given)


def test_lists_are_named_by_classes():
    networks = [nn.Flatten(), mlp, nn.Flatten(), convnet, nn.Flatten()]
    assert list(networks_by_name(networks)) == ["Flatten", "mlp", "Flatten 2", "convnet", "Flatten 3"]


def test_what_cannot_be_ranked_is_said():
    with pytest.raises(NbnasError, match="needs two networks and a seed, got 1 and 3"):
        nbnas.rank([mlp], "snip", input_shape=SHAPE)
    with pytest.raises(NbnasError, match="broken: cannot be built: division by zero"):
        nbnas.rank({"broken": lambda: 1 / 0, "mlp": mlp}, "snip", input_shape=SHAPE)
    with pytest.raises(NbnasError, match="mlp: the network does not run on inputs"):
        nbnas.rank([mlp, mlp], "snip", input_shape=(4, 3, 9, 9))
    with pytest.raises(NbnasError, match="not rankings made of several"):
        find_method(["vkdnw_agg", "snip"])


def test_an_executor_gives_the_same_table():
    with ThreadPoolExecutor(1) as executor:
        there = nbnas.rank(NETWORKS, "snip", input_shape=SHAPE, executor=executor)
    pd.testing.assert_frame_equal(there, nbnas.rank(NETWORKS, "snip", input_shape=SHAPE))


def test_a_log_keeps_what_is_scored(tmp_path):
    log, made = tmp_path / "log", []

    def build(name):
        made.append(name)
        torch.manual_seed(0)
        return mlp()

    networks = {name: partial(build, name) for name in ("a", "b")}
    first = nbnas.rank(networks, "snip", input_shape=SHAPE, seeds=2, log=log)
    assert made == ["a", "a", "b", "b"]
    again = nbnas.rank(networks | {"c": partial(build, "c")}, "snip", input_shape=SHAPE, seeds=2, log=log)
    assert made[4:] == ["c", "c"]
    assert again["snip"][first.index].equals(first["snip"])
    assert len(read_log(log)) == 6
    nbnas.rank(networks, "snip", input_shape=(5, 3, 8, 8), seeds=1, log=log)
    assert made[6:] == ["a", "b"]


FILE = """
from torch import nn

def mlp(width):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 5))

models = {"small": mlp(4), "large": mlp(16)}

def made():
    return [mlp(4), mlp(16)]

number = 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_command_ranks_a_file(file, tmp_path, capsys):
    written = {kind: tmp_path / f"table.{kind}" for kind in ("csv", "html")}
    outputs = [text for kind, path in written.items() for text in (f"--{kind}", str(path))]
    assert main(["rank", f"{file}:models", "--method", "params", "--input", "4x3x8x8", *outputs]) == 0
    assert pd.read_csv(written["csv"])["network"].tolist() == ["large", "small"]
    assert "<td>3173</td>" in written["html"].read_text()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == ["large", "small"]
    assert main(["rank", f"{file}:made", "--method", "params", "--input", "4x3x8x8"]) == 0
    assert "Sequential 2" in capsys.readouterr().out


def test_command_ranks_architectures_of_a_space(capsys):
    archs = ["8:8:8:8:8", "16:16:16:16:16"]
    assert main(["rank", "nats_sss", *archs, "--method", "flops", "--input", "1x3x32x32", "--seeds", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith(archs[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["FILE:number"], "must be a dict or a list of networks, got int"),
        (["FILE:none"], "AttributeError: module 'mine' has no attribute 'none'"),
        (["nothing.py:models"], "there is no file nothing.py"),
        (["resnet18"], "'resnet18' is neither FILE.py:NAME, nor timm:NAME, nor a space (nasbench201, "),
        (["FILE:models", "--input", "3x8x8"], "--input must look like 64x3x32x32, got '3x8x8'"),
        (["timm:resnet18", "timm:resnet34"], "timm:NAME needs timm: run pip install timm"),
    ],
)
def test_command_says_what_is_wrong_in_one_line(arguments, message, file, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    assert main(["rank", *(each.replace("FILE", str(file)) for each in arguments)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_warning_that_holds_for_many_networks_and_seeds_is_given_once():
    class Scaled(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, inputs):
            return self.scale * super().forward(inputs)

    with pytest.warns(UserWarning, match="does not know 1 parameters, which keep their values: scale$") as said:
        nbnas.rank([Scaled(), Scaled()], "vkdnw_single", input_shape=(2, 3, 8, 8), seeds=2)
    assert len(said) == 1
