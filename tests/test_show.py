"""Pictures of an engineer's own cells, networks and scores show what they are given."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

import nbnas
from nbnas.plots.cells import CELL_SPACES
from nbnas.proxies.fisher_information import QUANTILES
from nbnas.proxies.tcet import layer_vectors
from nbnas.spaces import SPACES
from nbnas.studies.compressibility import scores_of_profile
from tests.networks import SHAPE, ResNet, Returns, convnet, nasbench201

DEAD = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"


def arrows(axis):
    return [patch for patch in axis.patches if isinstance(patch, FancyArrowPatch)]


# --------------------------------------------------------------------------------------------------------------- cells


def test_a_cell_has_six_edges_and_its_dead_ones_are_dashed():
    figure = nbnas.show.cell(DEAD)
    (axis,) = figure.axes
    styles = [arrow.get_linestyle() for arrow in arrows(axis)]
    assert (styles.count("-"), styles.count("--"), styles.count(":")) == (1, 1, 4)
    labels = [text.get_text() for text in axis.texts]
    assert labels[-4:] == ["in", "1", "2", "out"]
    assert sorted(labels[:6]) == ["conv 3x3", "none", "none", "none", "none", "skip"]
    assert DEAD in figure.get_label()


@pytest.mark.parametrize(("cells", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 2, 2)])
def test_cells_are_drawn_two_in_a_row_under_their_titles(cells, rows, columns):
    figure = nbnas.show.cell({f"cell {number}": DEAD for number in range(cells)})
    assert figure.axes[0].get_gridspec().get_geometry() == (rows, columns)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [f"cell {number}" for number in range(cells)]


def test_operations_of_nasbench101_are_on_its_nodes():
    figure = nbnas.show.cell("input,conv3x3-bn-relu,maxpool3x3,output:0-1,0-2,1-2,2-3", "nasbench101")
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.texts] == ["in", "conv 3x3", "max 3x3", "out"]
    assert len(arrows(axis)) == 4


def test_nasbench301_has_a_normal_and_a_reduction_cell():
    arch = nbnas.get_space("nasbench301").sample(np.random.default_rng(0))
    normal, reduction = nbnas.show.cell({"mine": arch}, "nasbench301").axes
    assert (normal.get_title(), reduction.get_title()) == ("mine, normal cell", "mine, reduction cell")
    for axis in (normal, reduction):
        assert len(arrows(axis)) == 8
        assert len(axis.texts) == 8 + 6


def test_a_cell_of_transnasbench101_is_read_by_its_digits():
    (axis,) = nbnas.show.cell("64-41414-3_02_100", "transnasbench101_micro").axes
    labels = sorted(text.get_text() for text in axis.texts[:6])
    assert labels == ["conv 1x1", "conv 3x3", "none", "none", "none", "skip"]


@pytest.mark.parametrize("space", SPACES)
def test_every_space_is_drawn_or_refused_in_one_line(space):
    arch = nbnas.get_space(space).sample(np.random.default_rng(0))
    if space in CELL_SPACES:
        assert isinstance(nbnas.show.cell(arch, space), Figure)
    else:
        with pytest.raises(nbnas.NbnasError, match="are no cells; those of nasbench201") as caught:
            nbnas.show.cell(arch, space)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("|nor_conv_3x3~0|",), "nodes"),
        ((DEAD, "nasbench102"), "unknown search space 'nasbench102'"),
        (({},), "at least one cell"),
    ],
)
def test_what_is_no_cell_is_refused(arguments, message):
    with pytest.raises(nbnas.NbnasError, match=message):
        nbnas.show.cell(*arguments)


# -------------------------------------------------------------------------------------------------------------- spectra


def test_a_spectrum_is_sorted_and_leaves_zeros_out():
    figure = nbnas.show.spectrum([3.0, 0.0, 1.0])
    (axis,) = figure.axes
    (line,) = axis.lines
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([0.5, 1.0], [1.0, 3.0])
    assert (axis.get_xlabel(), axis.get_ylabel(), axis.get_yscale()) == ("quantile", "eigenvalue", "log")


@pytest.mark.parametrize("variant", ["official", "paper"])
def test_deciles_of_the_spectrum_of_a_network_are_those_of_its_score(variant):
    network = convnet().double()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    figure = nbnas.show.spectrum(network, variant=variant, input_shape=SHAPE, seed=3)
    (line,) = figure.axes[0].lines
    drawn = np.interp(QUANTILES, line.get_xdata(), line.get_ydata())
    score = nbnas.score(network, "vkdnw", input_shape=SHAPE, seed=3)["value"]
    prefix = "vkdnw" if variant == "official" else "vkdnw_paper"
    deciles = score[[f"{prefix}_decile_{k}" for k in range(1, 10)]]
    known = np.array(QUANTILES) > line.get_xdata()[0]  # Zeros are not drawn.
    assert known.sum() >= 5
    assert drawn[known] == pytest.approx(deciles[known])
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_deciles_stand_at_their_quantiles():
    figure = nbnas.show.spectrum({"mine": np.arange(1.0, 10), "other": np.arange(2.0, 11)}, quantiles=QUANTILES)
    (axis,) = figure.axes
    assert [line.get_label() for line in axis.lines] == ["mine", "other"]
    assert axis.lines[1].get_xdata() == pytest.approx(np.arange(1, 10) / 10)
    assert axis.lines[1].get_ydata().tolist() == list(range(2, 11))
    assert "mine, other" in figure.get_label()


@pytest.mark.parametrize(
    ("given", "arguments", "message"),
    [
        (convnet(), {}, "input_shape"),
        (convnet(), {"input_shape": (4, 1, 8, 8)}, "cannot be shown"),
        (convnet(), {"input_shape": SHAPE, "variant": "mine"}, "variant must be"),
        (Returns(lambda logits: {"logits": logits}), {"input_shape": SHAPE}, "cannot be shown"),
        ([1.0, np.nan], {}, "finite"),
        ([[1.0]], {}, "in one row"),
        ([-1.0, 1.0], {}, "at least 0"),
        ([0.0, 0.0], {}, "one of them larger"),
        ([1.0, 2.0], {"quantiles": [0.5]}, "1 quantiles for 2 eigenvalues"),
        ("many", {}, "not eigenvalues"),
        ({}, {}, "nothing to show"),
    ],
)
def test_what_has_no_spectrum_is_refused_in_one_line(given, arguments, message):
    with pytest.raises(nbnas.NbnasError, match=message) as caught:
        nbnas.show.spectrum(given, **arguments)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------------------- rankings


def points(figure):
    return figure.axes[0].collections[0].get_offsets().tolist()


def test_a_ranking_shows_the_pairs_and_kendalls_tau():
    scores, accuracies = [1.0, 2.0, 3.0, 4.0], [80.0, 82.0, 81.0, 90.0]
    figure = nbnas.show.ranking(scores, accuracies)
    assert points(figure) == [list(pair) for pair in zip(scores, accuracies, strict=True)]
    first, second = figure.axes[0].get_title().split("\n")
    assert first == "4 networks"
    assert f"τ = {nbnas.rankings.kendall_tau(scores, accuracies):.2f}" in second
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("score", "accuracy (%)")
    assert "4 networks" in figure.get_label()


def test_series_are_matched_by_their_index_and_name_the_axes():
    scores = pd.Series({"a": 1.0, "b": 2.0, "c": 3.0, "d": np.nan}, name="entropy")
    accuracies = pd.Series({"e": 1.0, "d": 5.0, "c": 93.0, "b": 92.0, "a": 91.0}, name="test accuracy (%)")
    figure = nbnas.show.ranking(scores, accuracies, title="mine")
    assert sorted(points(figure)) == [[1.0, 91.0], [2.0, 92.0], [3.0, 93.0]]
    (axis,) = figure.axes
    assert axis.get_title().startswith("mine (1 without a number left out)")
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("entropy", "test accuracy (%)")


def test_the_interval_is_the_bootstrap_of_the_package():
    rng = np.random.default_rng(0)
    scores, accuracies = rng.normal(size=(2, 30))
    low, high = nbnas.rankings.bootstrap_interval(nbnas.rankings.kendall_tau, scores, accuracies)
    assert f"{low:.2f} to {high:.2f}" in nbnas.show.ranking(scores, accuracies).axes[0].get_title()


def test_constant_scores_have_no_tau():
    assert nbnas.show.ranking([1.0, 1.0], [80.0, 90.0]).axes[0].get_title() == "2 networks"


@pytest.mark.parametrize(
    ("scores", "accuracies", "message"),
    [
        ([1.0, 2.0], [1.0], "2 scores and 1 accuracies"),
        ([1.0, np.nan], [1.0, 2.0], "two networks"),
        (pd.Series([1.0, 2.0], ["a", "b"]), pd.Series([1.0, 2.0]), "no network in common"),
        (pd.Series([1.0, 2.0], ["a", "a"]), pd.Series([1.0, 2.0], ["a", "b"]), "twice in the index of scores"),
        (["good", "bad"], [1.0, 2.0], "not numbers"),
    ],
)
def test_what_is_no_ranking_is_refused_in_one_line(scores, accuracies, message):
    with pytest.raises(nbnas.NbnasError, match=message) as caught:
        nbnas.show.ranking(scores, accuracies)
    assert "\n" not in str(caught.value)


# --------------------------------------------------------------------------------------------------------------- layers


@pytest.mark.parametrize("saliency", ["snip", "synflow"])
@pytest.mark.parametrize("make", [ResNet, nasbench201])
def test_the_dot_product_of_what_is_drawn_is_the_score(make, saliency):
    network = make()
    figure = nbnas.show.layers(network, saliency=saliency, input_shape=SHAPE, seed=2)
    ratios, determinants = (axis.lines[0].get_ydata() for axis in figure.axes)
    drawn = pd.DataFrame({"signal_to_noise": ratios, "log_determinant": determinants})
    score = nbnas.score(network, f"tcet_{saliency}", input_shape=SHAPE, seed=2)["value"]
    assert scores_of_profile(drawn)["tcet"] == pytest.approx(score[f"tcet_{saliency}"])


def test_few_layers_are_named_and_several_networks_are_in_the_legend():
    batch = torch.randn(SHAPE), torch.tensor([0, 1, 2, 3])
    table = layer_vectors(convnet(), batch)
    figure = nbnas.show.layers(table, title="mine")
    assert [text.get_text() for text in figure.axes[1].get_xticklabels()] == list(table.index)
    assert figure.axes[1].get_ylabel().endswith("(nats)")
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].lines[0].get_linestyle() == "None"  # Values between layers do not exist.
    assert figure.get_suptitle() == "mine"
    several = nbnas.show.layers({"one": table, "two": convnet()}, input_shape=SHAPE)
    assert [text.get_text() for text in several.legends[0].get_texts()] == ["one", "two"]
    assert several.axes[1].lines[0].get_ydata().tolist() == table["log_determinant"].tolist()
    assert f"{len(table)} of one" in several.get_label()


@pytest.mark.parametrize(
    ("given", "arguments", "message"),
    [
        (convnet(), {}, "input_shape"),
        (convnet(), {"input_shape": SHAPE, "saliency": "grasp"}, "saliency must be 'snip' or 'synflow'"),
        (pd.DataFrame({"weights": [1]}), {}, "signal_to_noise and log_determinant"),
        ([1.0, 2.0], {}, "signal_to_noise and log_determinant"),
        (torch.nn.Flatten(), {"input_shape": SHAPE}, "cannot be shown"),
    ],
)
def test_what_has_no_layers_is_refused_in_one_line(given, arguments, message):
    with pytest.raises(nbnas.NbnasError, match=message) as caught:
        nbnas.show.layers(given, **arguments)
    assert "\n" not in str(caught.value)


# ----------------------------------------------------------------------------------------------------------- the module


def test_tab_completion_lists_the_four_kinds():
    assert set(nbnas.show.__all__) == {"cell", "spectrum", "ranking", "layers"}


def test_without_matplotlib_the_message_says_what_to_install(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not installed')\n")
    code = "import nbnas\ntry: nbnas.show.ranking([1, 2], [3, 4])\nexcept nbnas.NbnasError as error: print(error)"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "figures need matplotlib and seaborn: run pip install 'nbnas[lab]'"
