"""Figures show the data they are given."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from nbnas import plots


@pytest.fixture
def verdict_table():
    rows = [
        ("FLOPs", "cifar10", "kendall_tau", "0.623", 0.6228, 0.6220, 0.6230, "match"),
        ("FLOPs", "cifar100", "kendall_tau", "0.586", 0.5500, 0.5400, 0.5600, "differs"),
        ("SNIP", "cifar10", "kendall_tau", "0.431", np.nan, np.nan, np.nan, "not attempted"),
    ]
    names = ["row", "dataset", "metric", "published", "reproduced", "low", "high", "verdict"]
    return pd.DataFrame(rows, columns=names)


def test_comparison_has_a_panel_per_data_set_with_ring_dot_and_interval(verdict_table):
    figure, alt = plots.published_against_reproduced(verdict_table, "Table 1")
    assert [axis.get_title() for axis in figure.axes] == ["cifar10", "cifar100"]
    interval, dot, ring = figure.axes[0].lines
    assert list(interval.get_xdata()) == [0.6220, 0.6230]
    assert dot.get_xdata().tolist() == [0.6228]
    assert ring.get_xdata().tolist() == [0.623]
    assert to_hex(figure.axes[1].lines[1].get_color()) == plots.COLOURS["differs"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["FLOPs, Kendall's τ"]
    assert "1 match, 1 differs" in alt


def test_comparison_of_nothing_is_an_empty_panel(verdict_table):
    figure, alt = plots.published_against_reproduced(verdict_table[2:], "Table 1")
    assert len(figure.axes) == 1
    assert figure.axes[0].lines[:] == []
    assert alt.endswith("none.")


def test_bars_stand_at_their_position_and_some_are_highlighted():
    figure, alt = plots.accuracy_by_predicted_position({"left": ([80, 70, 100], [1]), "right": ([3, 2, 1], [])})
    bars = figure.axes[0].patches
    assert [bar.get_height() for bar in bars] == [80, 70, 100]
    assert [round(bar.get_x() + bar.get_width() / 2) for bar in bars] == [1, 2, 3]
    colours = [to_hex(bar.get_facecolor()) for bar in bars]
    assert colours[0] != colours[1] == colours[2]
    assert "left; right" in alt


def test_scatter_labels_its_axes_by_the_names_of_the_series():
    scores, accuracy = pd.Series([1.0, 2.0], name="entropy"), pd.Series([90.0, 91.0], name="accuracy (%)")
    figure, alt = plots.scores_against_accuracy(scores, accuracy, "two networks")
    (axis,) = figure.axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("entropy", "accuracy (%)")
    assert axis.collections[0].get_offsets().tolist() == [[1.0, 90.0], [2.0, 91.0]]
    assert "accuracy (%) against entropy for 2 networks" in alt


def test_spectrum_is_sorted_and_leaves_zeros_out():
    figure, _ = plots.spectrum({"a": [3.0, 0.0, 1.0]}, "title")
    (line,) = figure.axes[0].lines
    assert line.get_ydata().tolist() == [1.0, 3.0]
    assert line.get_xdata().tolist() == [0.5, 1.0]
    assert figure.axes[0].get_yscale() == "log"


def test_paired_spectra_have_their_ratio_below():
    pair = {"x": [1.0, 0.0, 4.0], "y": [0.0, 3.0, 2.0]}
    figure, alt = plots.paired_spectra({"a": pair, "b": pair}, "Title")
    above, other, below, _ = figure.axes
    assert [axis.get_title() for axis in (above, other)] == ["a", "b"]
    assert [line.get_label() for line in above.lines] == ["x", "y"]
    assert above.lines[0].get_ydata().tolist() == [1.0, 4.0]
    _, ratio = below.lines
    assert ratio.get_xdata().tolist() == [0.5, 1.0]
    assert ratio.get_ydata().tolist() == [2.0, 0.75]
    assert alt.endswith("for a; b.")


def test_repeated_values_have_a_row_per_name_sorted_by_mean():
    figure, alt = plots.repeated_values(
        {"low": [1.0, 2.0], "high": [3.0, 5.0]}, {"mark": {"low": 1.5, "high": 4.5}}, "Spread", "entropy", "orders"
    )
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["high", "low"]
    upper, lower, marks = axis.lines
    assert (list(upper.get_xdata()), list(lower.get_xdata())) == ([3.0, 5.0], [1.0, 2.0])
    assert (list(marks.get_xdata()), list(marks.get_ydata())) == ([4.5, 1.5], [0, 1])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["orders", "mark"]
    assert "spread over 1.5 on average" in alt


def test_lines_are_sorted_and_have_a_band_where_there_is_an_interval():
    rows = [("a", 10, 0.5, 0.4, 0.6), ("a", 1, 0.2, 0.1, 0.3), ("b", 1, 0.7, np.nan, np.nan)]
    table = pd.DataFrame(rows, columns=["name", "x", "value", "low", "high"])
    figure, alt = plots.lines_with_bands(table, "Title", "setting", "tau", logarithmic=True)
    (axis,) = figure.axes
    assert axis.get_xscale() == "log"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "10"]
    assert axis.lines[0].get_xdata().tolist() == [1, 10]
    assert axis.lines[0].get_ydata().tolist() == [0.2, 0.5]
    corners = axis.collections[0].get_paths()[0].vertices
    assert {0.1, 0.6} <= set(corners[:, 1].tolist())
    assert alt == "Title: tau against setting for a, b."


def test_ranked_intervals_put_the_best_on_top_and_ring_what_is_published():
    table = pd.DataFrame(
        {
            "name": ["low", "high"],
            "group": ["size", "saliency"],
            "value": [0.2, 0.6],
            "low": [0.1, 0.5],
            "high": [0.3, 0.7],
            "published": [np.nan, 0.65],
        }
    )
    figure, alt = plots.ranked_intervals(table, "Scores", "tau")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["high", "low"]
    assert axis.get_ylim()[0] > axis.get_ylim()[1]
    interval, dot, ring, other_interval, other_dot, zero = axis.lines
    assert list(interval.get_xdata()) == [0.5, 0.7]
    assert (dot.get_xdata().tolist(), ring.get_xdata().tolist()) == ([0.6], [0.65])
    assert (list(other_interval.get_xdata()), other_dot.get_xdata().tolist()) == ([0.1, 0.3], [0.2])
    assert list(zero.get_xdata()) == [0, 0]
    assert dot.get_color() != other_dot.get_color()
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["size", "saliency"]
    assert "from high (0.60) to low (0.20)" in alt
