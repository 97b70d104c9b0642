"""Figures of the lessons show the data they are given."""

import numpy as np
import pandas as pd

from nbnas.plots import lessons as lesson_plots


def test_dumbbells_sort_by_the_first_column():
    table = pd.DataFrame({"one": [0.1, 0.9], "two": [0.5, -0.2]}, index=["a", "b"])
    figure, alt = lesson_plots.dumbbells(table, "Two values", "value")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["b", "a"]
    first, second = axis.lines[:2]
    assert list(first.get_xdata()) == [0.9, 0.1]
    assert list(second.get_xdata()) == [-0.2, 0.5]
    assert "b 0.90 and -0.20; a 0.10 and 0.50" in alt


def test_a_diagram_has_its_boxes_arrows_and_kinds():
    boxes = {"ours": {"cell": (0, 0), "score": (2, 0)}, "theirs": {"trained\naccuracy": (2, 1)}}
    arrows = {("cell", "score"): "seconds", ("score", "trained\naccuracy"): "the same?"}
    figure, alt = lesson_plots.diagram(boxes, arrows, "An idea")
    (axis,) = figure.axes
    labels = [text.get_text() for text in axis.texts]
    assert {"cell", "score", "trained\naccuracy", "seconds", "the same?"} <= set(labels)
    drawn = [text.arrow_patch for text in axis.texts if getattr(text, "arrow_patch", None)]
    assert [arrow.get_linestyle() for arrow in drawn] == ["-", "--"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ours", "theirs"]
    assert alt == "An idea: cell to score (seconds); score to trained accuracy (the same?)."


def test_heat_table_names_its_extremes():
    table = pd.DataFrame({"0 to 1": [81.0, 90.5], "0 to 3": [78.9, 91.4]}, index=["none", "conv"])
    figure, alt = lesson_plots.heat_table(table, "Which operation?", "accuracy (%)")
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["78.9", "81.0", "90.5", "91.4"]
    assert "from 78.9 (none, 0 to 3) to 91.4 (conv, 0 to 3)" in alt


def test_rank_contours_mark_the_points():
    first, second = np.meshgrid(np.arange(1, 101), np.arange(1, 101))
    surfaces = {"sum": first + second, "product": np.log(first) + np.log(second)}
    figure, alt = lesson_plots.rank_contours(surfaces, {"60 and 60": (60, 60)})
    assert [axis.get_title() for axis in figure.axes] == ["sum", "product"]
    for axis in figure.axes:
        (point,) = axis.lines
        assert (point.get_xdata()[0], point.get_ydata()[0]) == (60, 60)
    assert "60 and 60" in alt


def test_values_by_group_labels_every_row_where_it_is():
    table = pd.DataFrame({"members": [1, 1, 2], "tau": [0.5, 0.501, 0.7]}, index=["V", "J", "VJ"])
    figure, alt = lesson_plots.values_by_group(table, "members", ["tau"], "Subsets", "members")
    (axis,) = figure.axes
    points = {text.get_text(): text.xy for text in axis.texts}
    assert points == {"V": (1, 0.5), "J": (1, 0.501), "VJ": (2, 0.7)}
    sides = {text.get_text(): text.get_horizontalalignment() for text in axis.texts}
    assert sides["V"] != sides["J"]
    assert "best tau 0.70 of VJ" in alt
