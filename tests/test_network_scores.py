"""Stored scores spread over cells: classes, cells with dead edges, samples, and images or noise."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from stored_scores import store_scores

import nbnas
from nbnas.errors import NbnasError
from nbnas.proxies import select_proxies
from nbnas.proxies.registry import registered
from nbnas.scoring.architecture_scores import load_architecture_scores
from nbnas.scoring.samples import sample_architectures
from nbnas.scoring.setting import Setting

SPACE = nbnas.get_space("nasbench201")
CLASSES = SPACE.sample_subset("filtered-unique")
DEAD = SPACE.sample_subset("dead-edges")
IMAGES = Setting(inputs="images")
SMALL = Setting(dataset="cifar100", batch_size=4)


def own_index(cells):
    """Values that say which network they belong to."""
    return {cell: float(cell) for cell in cells}


def representative_of(cell):
    """The filtered cell of lowest index that is the same network."""
    name = SPACE.network_form(SPACE[cell])
    return min(MEMBERS[name])


MEMBERS = {}
for filtered_cell in SPACE.subset("filtered"):
    MEMBERS.setdefault(SPACE.network_form(SPACE[filtered_cell]), []).append(filtered_cell)


# ------------------------------------------------------------------------------------------------------------- classes


def test_every_member_of_a_class_has_the_scores_of_its_representative(tmp_path):
    store_scores(tmp_path, "jacov", own_index(CLASSES[:40]))
    store_scores(tmp_path, "zen", own_index(CLASSES[:40]))
    scores = load_architecture_scores(["zen", "jacov", "zen_paper"], "cifar10", store=tmp_path)
    expected = sorted(cell for cell in SPACE.subset("filtered") if representative_of(cell) in CLASSES[:40])
    assert len(expected) > 40
    assert scores.table.index.tolist() == expected
    assert scores.table.index.name == "arch_index"
    assert scores.table.columns.tolist() == ["zen", "jacov", "zen_paper"]
    assert scores.table["jacov"].tolist() == [representative_of(cell) for cell in expected]
    assert scores.table["zen"].tolist() == [representative_of(cell) for cell in expected]
    assert scores.table["zen_paper"].tolist() == [representative_of(cell) + 1000 for cell in expected]


def test_classes_count_with_their_size(tmp_path):
    largest = max(MEMBERS.values(), key=len)
    chosen = CLASSES[: CLASSES.index(largest[0]) + 1]
    store_scores(tmp_path, "jacov", own_index(chosen))
    counts = load_architecture_scores(["jacov"], "cifar10", store=tmp_path).table["jacov"].value_counts()
    assert counts.idxmax() == largest[0]
    assert counts.to_dict() == {cell: len(MEMBERS[SPACE.network_form(SPACE[cell])]) for cell in chosen}


def test_cells_of_a_class_share_a_group(tmp_path):
    store_scores(tmp_path, "jacov", own_index(CLASSES[:40]))
    scores = load_architecture_scores(["jacov"], "cifar10", store=tmp_path)
    assert len(scores.groups) == len(scores.table)
    labels = pd.Series(scores.groups).groupby([representative_of(cell) for cell in scores.table.index])
    assert (labels.nunique() == 1).all()
    assert labels.first().nunique() == 40


def test_all_classes_are_the_whole_filtered_set(tmp_path):
    store_scores(tmp_path, "jacov", own_index(CLASSES))
    scores = load_architecture_scores(["jacov"], "cifar10", store=tmp_path)
    assert scores.complete
    assert scores.table.index.tolist() == SPACE.subset("filtered")
    assert len(set(scores.groups)) == 5_260
    assert scores.description == (
        "Scored 5,260 of 5,260 distinct networks without dead edges; inputs: Gaussian noise, batch 64."
    )


@pytest.mark.parametrize("subset", ["filtered", "all"])
def test_cells_that_were_each_scored_for_itself_need_no_class(tmp_path, subset):
    store_scores(tmp_path, "jacov", own_index(range(15_625)))
    scores = load_architecture_scores(["jacov", "params"], "cifar10", subset, store=tmp_path)
    cells = SPACE.subset(subset)
    assert scores.complete
    assert scores.table.index.tolist() == cells
    assert scores.table["jacov"].tolist() == cells
    assert len(set(scores.groups)) == len(cells)
    assert scores.description.startswith("Scored 9,445 of 9,445 cells without dead edges")
    assert ("and 6,180 of 6,180 cells with dead edges; " in scores.description) is (subset == "all")


def test_classes_are_shared_unless_every_cell_was_scored(tmp_path):
    no_representative = next(cell for cell in SPACE.subset("filtered") if cell not in CLASSES)
    scored = [cell for cell in SPACE.subset("filtered") if cell != no_representative]
    store_scores(tmp_path, "jacov", own_index(scored))
    scores = load_architecture_scores(["jacov"], "cifar10", store=tmp_path)
    assert scores.complete
    assert scores.table["jacov"].tolist() == [representative_of(cell) for cell in SPACE.subset("filtered")]
    assert len(set(scores.groups)) == 5_260


def test_one_class_less_is_a_sample(tmp_path):
    store_scores(tmp_path, "jacov", own_index(CLASSES[:-1]))
    scores = load_architecture_scores(["jacov"], "cifar10", store=tmp_path)
    assert not scores.complete
    assert set(SPACE.subset("filtered")) - set(scores.table.index) == set(
        MEMBERS[SPACE.network_form(SPACE[CLASSES[-1]])]
    )
    assert scores.description.startswith("Scored 5,259 of 5,260 distinct networks")


def test_scores_that_reach_less_far_decide_the_sample(tmp_path):
    store_scores(tmp_path, "jacov", own_index(CLASSES[:30]))
    # The order breaks off after twenty, and stored networks beyond the gap are no random sample.
    store_scores(tmp_path, "zen", own_index([*CLASSES[:20], *CLASSES[21:30]]))
    scores = load_architecture_scores(["jacov", "zen"], "cifar10", store=tmp_path)
    assert set(scores.table["jacov"]) == set(CLASSES[:20])
    assert "Scored 20 of" in scores.description


def test_networks_without_a_score_stay_as_nan(tmp_path):
    store_scores(tmp_path, "jacov", own_index(CLASSES[:10]) | {CLASSES[3]: math.nan, CLASSES[7]: math.inf})
    table = load_architecture_scores(["jacov"], "cifar10", store=tmp_path).table
    failed = {representative_of(cell) for cell in table.index[table["jacov"].isna()]}
    assert failed == {CLASSES[3], CLASSES[7]}
    assert np.isfinite(table["jacov"].dropna()).all()


# ------------------------------------------------------------------------------------------------ cells with dead edges


@pytest.mark.parametrize(
    ("classes", "dead", "used_classes", "used_dead"),
    [(60, 500, 60, 71), (500, 30, 26, 30), (5_260, 6_180, 5_260, 6_180), (5_260, 6_179, 5_260, 6_179)],
)
def test_all_cells_mix_in_proportion(tmp_path, classes, dead, used_classes, used_dead):
    """The smaller share of the two sets is used whole, of the other as much, rounded up."""
    store_scores(tmp_path, "jacov", own_index([*CLASSES[:classes], *DEAD[:dead]]))
    scores = load_architecture_scores(["jacov"], "cifar10", "all", store=tmp_path)
    assert used_dead / 6_180 == pytest.approx(used_classes / 5_260, abs=1 / 6_180)
    alone, shared = set(DEAD[:used_dead]), set(CLASSES[:used_classes])
    expected = sorted([*alone, *(cell for names in MEMBERS.values() if names[0] in shared for cell in names)])
    assert scores.table.index.tolist() == expected
    own = [cell if cell in alone else representative_of(cell) for cell in expected]
    assert scores.table["jacov"].tolist() == own
    assert scores.complete is (len(expected) == 15_625)
    assert scores.description.startswith(
        f"Scored {used_classes:,} of 5,260 distinct networks without dead edges "
        f"and {used_dead:,} of 6,180 cells with dead edges; "
    )


def test_cells_with_dead_edges_are_groups_of_their_own(tmp_path):
    # Two cells with dead edges whose expression is that of a class in the sample.
    share_an_expression = [cell for cell in DEAD if SPACE.network_form(SPACE[cell]) in MEMBERS]
    assert len(set(share_an_expression) & set(DEAD[:60])) > 1
    store_scores(tmp_path, "jacov", own_index([*CLASSES, *DEAD[:60]]))
    scores = load_architecture_scores(["jacov"], "cifar10", "all", store=tmp_path)
    groups = pd.Series(scores.groups, index=scores.table.index)
    classes = groups.drop(DEAD[:60])
    # One label per network, whichever kind it is.
    assert groups[DEAD[:60]].nunique() == 60
    assert not set(groups[DEAD[:60]]) & set(classes)
    assert groups.nunique() == scores.table["jacov"].nunique()
    assert (classes.groupby([representative_of(cell) for cell in classes.index]).nunique() == 1).all()


# --------------------------------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize("dataset", SPACE.datasets)
@pytest.mark.parametrize("subset", ["filtered", "all"])
def test_sizes_need_no_table_and_equal_the_formulas_of_the_space(tmp_path, dataset, subset):
    scores = load_architecture_scores(["params", "flops", "trainable_layers"], dataset, subset, store=tmp_path)
    shape = SPACE.datasets[dataset]
    assert scores.complete
    assert scores.description == f"{len(SPACE.subset(subset)):,} cells, by formula."
    assert scores.table.columns.tolist() == ["params", "flops", "trainable_layers"]
    assert scores.table.index.tolist() == SPACE.subset(subset)
    cells = np.random.default_rng(0).choice(scores.table.index, 200, replace=False)
    for cell in cells:
        arch, row = SPACE[cell], scores.table.loc[cell]
        assert row["params"] == SPACE.params(arch, shape.num_classes)
        assert row["flops"] == SPACE.flops(arch, shape.resolution, shape.num_classes)
        assert row["trainable_layers"] == SPACE.trainable_layers(arch)


def test_cells_that_share_scores_have_one_size(tmp_path):
    store_scores(tmp_path, "jacov", own_index(CLASSES[:500]))
    scores = load_architecture_scores(["params", "jacov"], "cifar10", store=tmp_path)
    assert scores.table["params"].tolist() == [SPACE.params(SPACE[cell]) for cell in scores.table.index]
    assert (scores.table.groupby("jacov")["params"].nunique() == 1).all()
    assert len(scores.table) > 500
    assert not scores.complete


# ---------------------------------------------------------------------------------------------------- images and noise


def test_images_are_preferred_for_scores_published_with_images(tmp_path):
    assert [proxy.info.inputs for proxy in select_proxies(["jacov", "zen"])] == ["images", "noise"]
    for proxy in ("jacov", "zen"):
        store_scores(tmp_path, proxy, own_index(CLASSES[:10]))
        store_scores(tmp_path, proxy, dict.fromkeys(CLASSES[:8], -1.0), IMAGES)
    scores = load_architecture_scores(["jacov", "zen"], "cifar10", store=tmp_path)
    assert set(scores.table["jacov"]) == {-1}
    assert set(scores.table["zen"]) == set(CLASSES[:8])
    assert "inputs: images for jacov, Gaussian noise for the others, batch 64." in scores.description
    alone = load_architecture_scores(["jacov"], "cifar10", store=tmp_path)
    assert "inputs: images for jacov, batch 64." in alone.description


def test_description_says_which_images_the_scores_saw(tmp_path):
    for proxy, pictures in {"jacov": ["stand-in", "photographs"], "snip": ["stand-in"]}.items():
        store_scores(tmp_path, proxy, own_index(CLASSES[:8]), IMAGES)
        runs = [{"images": name, "rows": 4} for name in pictures]
        IMAGES.table(proxy, tmp_path).sidecar.write_text(json.dumps({"configuration": {}, "runs": runs}))
    scores = load_architecture_scores(["jacov", "snip"], "cifar10", store=tmp_path)
    assert scores.description.endswith("; inputs: photographs; stand-in for jacov, snip, batch 64.")


@pytest.mark.parametrize(("inputs", "shown"), [("gaussian", "Gaussian noise"), ("images", "images for zen, jacov")])
def test_other_inputs_are_read_on_request(tmp_path, inputs, shown):
    configuration = Setting(inputs=inputs)
    for proxy in ("jacov", "zen"):
        for each in (Setting(), IMAGES):
            value = 1.0 if each == configuration else -1.0
            store_scores(tmp_path, proxy, dict.fromkeys(CLASSES[:8], value), each)
    scores = load_architecture_scores(["zen", "jacov"], "cifar10", inputs=inputs, store=tmp_path)
    assert set(scores.table["jacov"]) == set(scores.table["zen"]) == {1}
    assert f"inputs: {shown}, batch 64." in scores.description


@pytest.mark.parametrize(
    ("subset", "seed", "with_images"),
    # Another seed is of no use, nor is a table that is no random sample, nor one without cells with dead edges.
    [("filtered", 1, CLASSES[:10]), ("filtered", 0, CLASSES[1:10]), ("all", 0, CLASSES[:10])],
    ids=["other seed", "no sample", "no dead edges"],
)
def test_noise_stands_in_for_images(tmp_path, subset, seed, with_images):
    store_scores(tmp_path, "jacov", own_index([*CLASSES[:10], *DEAD[:12]]))
    store_scores(tmp_path, "jacov", dict.fromkeys(with_images, -1.0), IMAGES, seed)
    scores = load_architecture_scores(["jacov"], "cifar10", subset, store=tmp_path)
    assert set(CLASSES[:10]) <= set(scores.table["jacov"])
    assert -1 not in set(scores.table["jacov"])
    assert "inputs: Gaussian noise" in scores.description


@pytest.mark.parametrize(("with_images", "taken"), [(5, -1.0), (4, 1.0)])
def test_few_images_do_not_replace_much_noise(tmp_path, with_images, taken):
    store_scores(tmp_path, "jacov", dict.fromkeys(CLASSES[:10], 1.0))
    store_scores(tmp_path, "jacov", dict.fromkeys(CLASSES[:with_images], -1.0), IMAGES)
    scores = load_architecture_scores(["jacov"], "cifar10", store=tmp_path)
    assert set(scores.table["jacov"]) == {taken}


def test_seed_batch_and_data_set_choose_the_rows(tmp_path):
    store_scores(tmp_path, "jacov", own_index(CLASSES[:10]))
    store_scores(tmp_path, "jacov", dict.fromkeys(CLASSES[:9], -1.0), seed=1)
    store_scores(tmp_path, "jacov", dict.fromkeys(CLASSES[:8], -2.0), Setting(batch_size=4))
    store_scores(tmp_path, "jacov", dict.fromkeys(CLASSES[:7], -3.0), Setting(dataset="cifar100"))

    def load(dataset="cifar10", **options):
        return load_architecture_scores(["jacov"], dataset, store=tmp_path, **options)

    assert set(load().table["jacov"]) == set(CLASSES[:10])
    assert set(load(seed=1).table["jacov"]) == {-1}
    small = load(Setting(batch_size=4))
    assert set(small.table["jacov"]) == {-2}
    assert "batch 4" in small.description
    assert set(load("cifar100").table["jacov"]) == {-3}


# ----------------------------------------------------------------------------------------- scores without a classifier


@pytest.mark.parametrize("name", ["zen", "naswot"])  # published on noise, and on images
@pytest.mark.parametrize(("own", "taken"), [(5, -1.0), (10, 1.0), (12, 1.0)])
def test_scores_that_do_not_see_the_classifier_are_read_where_they_reach_furthest(tmp_path, name, own, taken):
    store_scores(tmp_path, name, dict.fromkeys(CLASSES[:10], -1.0))
    store_scores(tmp_path, name, dict.fromkeys(CLASSES[:own], 1.0), Setting(dataset="cifar100"))
    scores = load_architecture_scores([name, "params"], "cifar100", store=tmp_path)
    assert set(scores.table[name]) == {taken}
    space = Setting().space
    assert scores.table["params"].iloc[0] == space.params_for(space[scores.table.index[0]], "cifar100")


def test_other_scores_and_other_resolutions_are_not_shared(tmp_path):
    store_scores(tmp_path, "jacov", own_index(CLASSES[:10]))
    store_scores(tmp_path, "zen", own_index(CLASSES[:10]))
    for score, dataset in (("jacov", "cifar100"), ("zen", "ImageNet16-120")):
        with pytest.raises(NbnasError, match=f"on {dataset}; run: nbnas score nasbench201 --dataset {dataset}"):
            load_architecture_scores([score], dataset, store=tmp_path)


def test_scores_said_not_to_see_the_classifier_are_equal_for_any_number_of_classes():
    free = [proxy.info.name for proxy in registered() if not proxy.info.sees_classifier]
    assert {"az_trainability", "naswot", "naswot_eval", "zen", "te_nas_linear_regions"} < set(free)
    cell = Setting().space[CLASSES[3]]
    ten, hundred = (Setting(dataset=name, batch_size=4).score(cell, free) for name in ("cifar10", "cifar100"))
    assert (ten["status"] == "ok").all()
    pd.testing.assert_series_equal(ten["value"], hundred["value"], check_exact=True)


# -------------------------------------------------------------------------------------------------------------- errors


def test_unknown_set_is_refused(tmp_path):
    with pytest.raises(NbnasError, match="subset must be 'filtered' or 'all', got 'filtered-unique'"):
        load_architecture_scores(["flops"], "cifar10", "filtered-unique", store=tmp_path)


def test_unknown_score_is_refused(tmp_path):
    with pytest.raises(NbnasError, match="no proxy matches 'jacob'"):
        load_architecture_scores(["jacob"], "cifar10", store=tmp_path)


@pytest.mark.parametrize("inputs", ["published", "gaussian"])
@pytest.mark.parametrize("name", ["az_*", "vkdnw", "te_nas_*"])
def test_what_is_not_the_name_of_one_score_is_refused(tmp_path, name, inputs):
    with pytest.raises(NbnasError, match="is not the name of a score"):
        load_architecture_scores([name], "cifar10", inputs=inputs, store=tmp_path)


def test_unknown_inputs_are_refused(tmp_path):
    with pytest.raises(NbnasError, match="inputs must be 'gaussian' or 'images', got 'noise'"):
        load_architecture_scores(["jacov"], "cifar10", inputs="noise", store=tmp_path)


def test_unknown_data_set_is_refused(tmp_path):
    with pytest.raises(NbnasError, match="unknown data set 'mnist'"):
        load_architecture_scores(["jacov"], "mnist", store=tmp_path)


@pytest.mark.parametrize(
    ("stored", "options", "command"),
    [
        ([], {}, "--dataset cifar100 --proxies jacov --batch-size 64 --inputs gaussian"),
        (
            [],
            {"setting": Setting(dataset="cifar100", batch_size=4)},
            "--dataset cifar100 --proxies jacov --batch-size 4 --inputs gaussian",
        ),
        (DEAD[:3], {}, "--dataset cifar100 --proxies jacov --batch-size 64 --inputs gaussian --archs filtered-unique"),
        (CLASSES[:3], {"subset": "all"}, "--batch-size 64 --inputs gaussian --archs dead-edges --seeds 0"),
        (CLASSES[:3], {"seed": 2}, "--batch-size 64 --inputs gaussian --archs filtered-unique --seeds 2"),
    ],
    ids=["nothing", "other batch size", "other set", "no dead edges", "other seed"],
)
def test_missing_scores_name_the_command_that_computes_them(tmp_path, stored, options, command):
    if stored:
        store_scores(tmp_path, "jacov", own_index(stored), Setting(dataset="cifar100"))
    with pytest.raises(NbnasError, match="run: nbnas score nasbench201 ") as caught:
        load_architecture_scores(["flops", "jacov"], **{"setting": "cifar100", "store": tmp_path, **options})
    assert command in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_part_of_a_table_of_images_is_to_be_scored_with_images(tmp_path):
    store_scores(tmp_path, "jacov", own_index(CLASSES[:3]), IMAGES)
    with pytest.raises(NbnasError, match="--inputs images --archs dead-edges"):
        load_architecture_scores(["jacov"], "cifar10", "all", inputs="images", store=tmp_path)


# --------------------------------------------------------------------------------------------------- other spaces


def test_networks_of_macro_stand_for_all_that_are_the_same(tmp_path):
    space = nbnas.get_space("nasbench_macro")
    unique = space.sample_subset("unique")[:30]
    store_scores(tmp_path, "jacov", own_index(unique), Setting("nasbench_macro"))
    scores = load_architecture_scores(["jacov", "weight_layers"], Setting("nasbench_macro"), store=tmp_path)
    expected = [row for row, arch in enumerate(space) if space.index(space.network_form(arch)) in unique]
    assert len(expected) > 30
    assert scores.table.index.tolist() == expected
    assert scores.table["jacov"].tolist() == [space.index(space.network_form(space[row])) for row in expected]
    assert scores.table["weight_layers"].tolist() == [space.weight_layers(space[row]) for row in expected]
    assert len(set(scores.groups)) == 30
    assert not scores.complete
    assert scores.description.startswith("Scored 30 of 3,969 distinct networks; inputs: Gaussian noise")


def test_sizes_of_another_space_need_no_table(tmp_path):
    scores = load_architecture_scores(["params"], Setting("transnasbench101_micro", "jigsaw"), store=tmp_path)
    space = nbnas.get_space("transnasbench101_micro")
    assert scores.complete
    assert scores.table["params"].tolist() == [space.params_for(arch, "jigsaw") for arch in space]
    assert scores.description == "4,096 networks, by formula."


def test_a_space_that_cannot_be_listed_has_the_rows_of_its_benchmark(tmp_path, data_folder, monkeypatch):
    archs = sample_architectures("nasbench301")[:20]
    table = Setting("nasbench301").table("jacov", tmp_path)
    with table.writer({}, {}) as writer:
        for place, arch in enumerate(archs):
            writer.append({"arch": arch, "seed": 0, "status": "ok", "seconds": 0.1, "jacov": float(place)})
    scores = load_architecture_scores(["jacov"], Setting("nasbench301"), store=tmp_path)
    listed = nbnas.load_benchmark("nasbench301").archs
    assert not scores.complete
    assert {listed[row]: value for row, value in scores.table["jacov"].items()} == dict(
        zip(archs, range(20), strict=True)
    )
    assert load_architecture_scores(["flops"], Setting("nasbench301"), store=tmp_path).complete
    monkeypatch.delenv("NBNAS_DATA")
    with pytest.raises(NbnasError, match="no NAS-Bench-301 accuracies found"):
        load_architecture_scores(["jacov"], Setting("nasbench301"), store=tmp_path)


@pytest.mark.parametrize(
    ("space", "subset", "message"),
    [
        ("nasbench201", "filtered-unique", "subset must be 'filtered' or 'all'"),
        ("nasbench_macro", "unique", "subset must be 'all'"),
        ("nasbench301", "all", "subset must be 'trained'"),
    ],
)
def test_other_subsets_are_refused(space, subset, message):
    with pytest.raises(NbnasError, match=message):
        load_architecture_scores(["flops"], Setting(space), subset)
