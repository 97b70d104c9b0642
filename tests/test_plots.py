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
    assert [axis.get_title() for axis in figure.axes] == ["CIFAR-10", "CIFAR-100"]
    interval, dot, ring = figure.axes[0].lines
    assert list(interval.get_xdata()) == [0.6220, 0.6230]
    assert dot.get_xdata().tolist() == [0.6228]
    assert ring.get_xdata().tolist() == [0.623]
    assert (to_hex(figure.axes[1].lines[1].get_color()), figure.axes[1].lines[1].get_marker()) == plots.STYLES[
        "differs"
    ]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["FLOPs"]
    assert figure.axes[0].get_xlabel() == "Kendall's τ"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["match", "differs"]
    assert "1 match, 1 differs" in alt


def test_rows_of_several_metrics_are_named_by_them(verdict_table):
    several = pd.concat([verdict_table[:1], verdict_table[:1].assign(metric="ndcg_1000")])
    figure, _ = plots.published_against_reproduced(several, "Table 1")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["FLOPs, Kendall's τ", "FLOPs, nDCG@1000"]


def test_each_difference_stands_over_its_uncertainty_with_the_shape_of_its_verdict(verdict_table):
    table = verdict_table.assign(difference=verdict_table["reproduced"] - verdict_table["published"].astype(float))
    figure, alt = plots.rankings.differences_at_a_glance(table)
    drawn = [dots.get_offsets().data for dots in figure.axes[0].collections]
    assert [len(dots) for dots in drawn] == [1, 0, 0, 0, 1, 0]  # in the order of the verdicts
    assert drawn[0].tolist() == [pytest.approx([0.0005, 0.0005])]
    assert drawn[4].tolist() == [pytest.approx([0.01, 0.036])]
    assert "for 2 numbers: 1 match, 1 differs" in alt


def test_a_figure_carries_its_alternative_text_into_a_notebook(verdict_table):
    figure, alt = plots.published_against_reproduced(verdict_table, "Table 1")
    data, metadata = figure._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata == {"image/png": {"alt": alt}}


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
    assert alt == "Title: tau against setting: a from 0.2 to 0.5; b from 0.7 to 0.7."


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


@pytest.fixture
def settings():
    rows = [
        ("8", "cifar10", "kendall_tau", "0.50", 0.52, 0.48, 0.56),
        ("16", "cifar10", "kendall_tau", "0.55", 0.54, 0.50, 0.58),
        ("8", "cifar100", "kendall_tau", "0.45", 0.44, 0.40, 0.48),
        ("16", "cifar100", "kendall_tau", "0.46", np.nan, np.nan, np.nan),
    ]
    return pd.DataFrame(rows, columns=["setting", "dataset", "metric", "published", "reproduced", "low", "high"])


def test_curves_have_a_panel_per_data_set_and_show_what_was_not_attempted_as_published_alone(settings):
    figure, alt = plots.published_curves(settings, {"8": 8, "16": 16}, "Sizes", "tensors")
    first, second = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["CIFAR-10", "CIFAR-100"]
    ours, published = (line for line in first.lines if line.get_marker() == "o")
    assert ours.get_ydata().tolist() == [0.52, 0.54]
    assert published.get_ydata().tolist() == [0.50, 0.55]
    assert published.get_xdata().tolist() == [8, 16]
    ours, published = (line for line in second.lines if line.get_marker() == "o")
    assert ours.get_ydata().tolist() == [0.44]
    assert published.get_ydata().tolist() == [0.45, 0.46]
    assert [label.get_text() for label in second.get_xticklabels()] == ["8", "16"]
    assert "tensors" in alt


def test_curves_over_labels_stand_at_equal_steps(settings):
    figure, _ = plots.published_curves(settings, {"16": "many", "8": "few"}, "Sizes", "tensors")
    axis = figure.axes[0]
    assert axis.get_xticks().tolist() == [0, 1]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["many", "few"]


def test_boxes_stand_in_the_order_of_their_groups_and_leave_out_infinities():
    values = pd.DataFrame({"score": [1.0, 2.0, 3.0, -np.inf, 10.0, 12.0]})
    groups = pd.Series([21, 21, 21, 21, 66, 66])
    figure, alt = plots.boxes_by_group(values, groups, {"score": "Score: τ 0.5"}, "layers")
    axis, unused = figure.axes
    assert not unused.get_visible()
    medians = [line.get_ydata()[0] for line in axis.lines if line.get_color() == "#b3261e"]
    assert medians == [2.0, 11.0]
    assert axis.get_title() == "Score: τ 0.5"
    assert [label.get_text() for label in unused.get_xticklabels()] == ["21", "66"]  # of the shared axis
    assert "layers" in alt


def test_heat_maps_show_every_number():
    matrix = pd.DataFrame([[1.0, 0.25], [0.25, 1.0]], ["a", "b"], ["a", "b"])
    figure, alt = plots.heat_maps({"published": matrix, "reproduced": matrix / 2}, "τ")
    first, second = figure.axes[:2]
    assert [text.get_text() for text in first.texts] == ["1.00", "0.25", "0.25", "1.00"]
    assert [text.get_text() for text in second.texts] == ["0.50", "0.12", "0.12", "0.50"]
    assert alt == "Heat maps of τ: published; reproduced."


def test_ranked_bars_ascend_and_dots_mark_what_was_reproduced():
    table = pd.DataFrame(
        {
            "row": ["good", "bad"],
            "group": ["ours", "baseline"],
            "published": ["0.70", "0.20"],
            "reproduced": [np.nan, 0.25],
            "low": [np.nan, 0.2],
            "high": [np.nan, 0.3],
        }
    )
    figure, alt = plots.ranked_bars(table, "Bars", "nDCG")
    (axis,) = figure.axes
    assert [bar.get_height() for bar in axis.patches] == [0.20, 0.70]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["bad", "good"]
    dots = next(line for line in axis.lines if line.get_marker() == "o")
    assert dots.get_xdata().tolist() == [0]
    assert dots.get_ydata().tolist() == [0.25]
    assert "1 of them reproduced" in alt


def test_intervals_without_published_values_do_not_speak_of_rings():
    table = pd.DataFrame(
        {"name": ["a"], "group": ["size"], "value": [0.2], "low": [0.1], "high": [0.3], "published": [np.nan]}
    )
    figure, _ = plots.ranked_intervals(table, "Scores", "tau")
    assert figure.axes[0].get_title() == "Scores"
    figure, _ = plots.ranked_intervals(table.assign(published=0.2), "Scores", "tau")
    assert "ring: published" in figure.axes[0].get_title()


def test_two_seeds_are_ordered_by_agreement_and_joined_by_a_line():
    table = pd.DataFrame(
        {
            "agreement": [0.3, 0.9],
            "low": [0.1, 0.8],
            "high": [0.5, 0.95],
            "tau_first": [0.2, 0.6],
            "tau_second": [0.4, 0.61],
        },
        index=["noisy", "steady"],
    )
    figure, alt = plots.two_seeds(table, "Two seeds")
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["steady", "noisy"]
    assert left.get_ylim()[0] > left.get_ylim()[1]
    assert left.lines[0].get_xdata().tolist() == [0.9, 0.3]
    assert [segment[:, 0].tolist() for segment in left.collections[0].get_segments()] == [[0.8, 0.95], [0.1, 0.5]]
    first, second, _ = right.lines
    assert (first.get_xdata().tolist(), second.get_xdata().tolist()) == ([0.6, 0.2], [0.61, 0.4])
    assert [segment[:, 0].tolist() for segment in right.collections[0].get_segments()] == [[0.6, 0.61], [0.2, 0.4]]
    assert "from steady (0.90) to noisy (0.30)" in alt
    assert "at most 0.20" in alt


def test_lines_over_size_have_a_panel_per_quantity_with_bars_and_reference():
    rows = [
        ("width", "flops", 100, 0.2, np.nan, np.nan),
        ("width", "flops", 10, 0.5, np.nan, np.nan),
        ("width", "layers", 10, 0.6, np.nan, np.nan),
        ("coverage", "flops", 10, 0.94, 0.9, 0.97),
        ("bias", "flops", 1000, 0.0, -0.1, 0.1),
    ]
    table = pd.DataFrame(rows, columns=["panel", "line", "x", "value", "low", "high"])
    figure, alt = plots.lines_over_size(table, "Samples", "networks", {"coverage": 0.95})
    width, coverage, bias = figure.axes  # the fourth place is left empty
    assert [axis.get_title() for axis in figure.axes] == ["width", "coverage", "bias"]
    assert width.lines[0].get_ydata().tolist() == [0.5, 0.2]
    assert width.lines[0].get_xdata() == pytest.approx([10, 100], rel=0.05)
    assert width.get_xscale() == "log"
    assert [label.get_text() for label in bias.get_xticklabels()] == ["1,000"]
    reference, values, _ = coverage.lines
    assert list(reference.get_ydata()) == [0.95, 0.95]
    assert values.get_ydata().tolist() == [0.94]
    assert coverage.collections[0].get_segments()[0][:, 1].tolist() == [0.9, 0.97]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["flops", "layers"]
    assert "width, flops: 0.50 to 0.20" in alt


def test_grouped_values_stand_side_by_side_with_their_intervals():
    table = pd.DataFrame(
        {
            "group": ["one", "one", "two"],
            "name": ["a", "b", "a"],
            "value": [0.2, 0.4, -0.1],
            "low": [0.1, 0.3, -0.2],
            "high": [0.4, 0.5, 0.1],
        }
    )
    figure, alt = plots.grouped_values(table, "Groups", "tau")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["one", "two"]
    first, second = (container.lines[0] for container in axis.containers)
    assert first.get_ydata().tolist() == [0.2, -0.1]
    assert second.get_ydata().tolist() == [0.4]
    assert first.get_xdata()[0] < 0 < second.get_xdata()[0] < first.get_xdata()[1] < 1
    assert alt == "Groups: tau of a, b for one, two, with intervals."


def test_profiles_have_a_column_per_set_and_a_row_per_quantity_with_dashed_references():
    layers = pd.DataFrame({"depth": [1, 2], "ratio": [10.0, 100.0], "ideal": [9.0, 90.0], "rest": [0.1, 0.2]})
    panels = {"left": {"good": layers, "bad": layers[:1]}, "right": {"other": layers}}
    rows = [("ratio", "ideal", "S / σ"), ("rest", None, "rest")]
    figure, alt = plots.layer_profiles(panels, rows, "Layers", logarithmic=["ratio"])
    above, right, below, _ = figure.axes
    assert (above.get_title(), right.get_title()) == ("left", "right")
    reference, good, _, bad = above.lines
    assert (reference.get_linestyle(), good.get_linestyle()) == ("--", "-")
    assert (reference.get_ydata().tolist(), good.get_ydata().tolist()) == ([9, 90], [10, 100])
    assert bad.get_xdata().tolist() == [1]
    assert (above.get_yscale(), below.get_yscale()) == ("log", "linear")
    assert len(below.lines) == 2
    assert [text.get_text() for text in below.get_legend().get_texts()] == ["good", "bad"]
    assert figure.get_suptitle() == "Layers; dashed: from sizes alone"
    assert "left: good, bad; right: other" in alt


def test_layers_are_scattered_by_group_with_the_same_references_in_every_panel():
    rows = [("a", "snip", 10, 9.0), ("a", "synflow", 10, 17.0), ("b", "snip", 100, 95.0)]
    table = pd.DataFrame(rows, columns=["panel", "group", "x", "y"])
    figure, alt = plots.layers_against_size(table, {"y = x": ([10, 100], [10, 100])}, "Sizes", "weights", "S / σ")
    first, second = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["a", "b"]
    reference, snip, synflow = first.lines
    assert list(reference.get_ydata()) == list(second.lines[0].get_ydata()) == [10, 100]
    assert (snip.get_ydata().tolist(), synflow.get_ydata().tolist()) == ([9], [17])
    assert (first.get_xscale(), first.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["y = x", "snip", "synflow"]
    assert "2 of a, 1 of b" in alt
    figure, _ = plots.layers_against_size(table, {}, "Sizes", "weights", "S / σ", logarithmic=False)
    assert figure.axes[0].get_yscale() == "linear"


@pytest.fixture
def search_history():
    return pd.DataFrame(
        {
            "search": ["a", "a", "b", "b"],
            "parent": pd.array([None, 0, None, 2], dtype="Int64"),
            "objective": [1.0, 3.0, 5.0, 2.0],
            "params": [10.0, 20.0, 30.0, 40.0],
            "operations": [5.0, 6.0, 7.0, 8.0],
        }
    )


def test_search_progress_marks_first_candidates_mutations_and_the_choice(search_history):
    figure, alt = plots.search_progress(search_history, "operations", 9, "a search")
    objective, cost = figure.axes
    first, mutated, chosen = objective.lines
    assert first.get_xdata().tolist() == [0, 2]
    assert mutated.get_ydata().tolist() == [3.0, 2.0]
    assert (list(chosen.get_xdata()), list(chosen.get_ydata())) == ([2], [5.0])
    assert list(cost.lines[3].get_ydata()) == [9, 9]
    assert "number 2 with 7, the budget 9" in alt


def test_every_search_has_a_panel_with_its_own_choice(search_history):
    figure, alt = plots.searches_against_costs(search_history, "params", "operations", "two searches")
    assert [axis.get_title() for axis in figure.axes] == ["a", "b"]
    stars = [(list(axis.lines[1].get_xdata()), list(axis.lines[1].get_ydata())) for axis in figure.axes]
    assert stars == [([20.0], [6.0]), ([30.0], [7.0])]
    assert "a 6, b 7" in alt


@pytest.fixture
def swept():
    rows = [(size, kind, seed, size / 10 + seed / 100) for size in (4, 16) for kind in "ab" for seed in (0, 1)]
    table = pd.DataFrame(rows, columns=["size", "kind", "seed", "tau"])
    return table.assign(low=table["tau"] - 0.1, high=table["tau"] + 0.1)


ORDER = {"size": [4, 16], "kind": ["a", "b"], "seed": [0, 1]}


def test_a_sweep_has_a_dot_and_a_bar_per_run_and_a_line_through_the_means(swept):
    columns = {"x": "size", "y": "tau", "hue": "kind", "low": "low", "high": "high"}
    figure, alt = plots.swept_values(swept, columns, ORDER, {"tau": "Kendall's τ"})
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["4", "16"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("size", "Kendall's τ")
    dots, means = axis.lines[:2]
    assert dots.get_ydata().tolist() == pytest.approx([0.4, 0.41, 1.6, 1.61])
    assert means.get_ydata().tolist() == pytest.approx([0.405, 1.605])
    assert sum(len(bars.get_segments()) for bars in axis.collections) == 8
    places = np.concatenate([line.get_xdata() for line in axis.lines[::2]])
    assert len(set(places.round(6))) == 8  # No run hides another.
    assert np.abs(places - places.round()).max() < 0.5
    assert alt == (
        "Kendall's τ against size: 8 runs, with intervals. Mean from the first to the last size: "
        "a: 0.405 to 1.6; b: 0.405 to 1.6."
    )


def test_panels_of_a_sweep_and_runs_that_are_missing(swept):
    swept.loc[swept["kind"] == "b", "tau"] = np.nan
    columns = {"x": "size", "y": "tau"}
    figure, alt = plots.swept_values(swept, {**columns, "panel": "kind"}, ORDER, {}, "A title")
    assert [axis.get_title() for axis in figure.axes] == ["kind a", "kind b"]
    assert [len(axis.lines) for axis in figure.axes] == [2, 0]
    assert alt.startswith("A title: 4 runs. Mean")
    figure, alt = plots.swept_values(swept[:0], columns, ORDER, {}, from_zero=True)
    assert figure.axes[0].get_ylim()[0] == 0
    assert alt.endswith("none.")
