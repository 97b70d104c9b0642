"""The size space of NATS-Bench: order, sizes, network, and its accuracies from made-up archives."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import nbnas
from nbnas.benchmarks import load_benchmark, nats_archive
from nbnas.benchmarks.nats_archive import NATS_COLUMNS, import_nats
from nbnas.cli import main
from nbnas.errors import NbnasError
from nbnas.machine.append_log import read_log
from nbnas.networks.layers import weight_layers
from nbnas.spaces.nats_sss import CHANNELS

SPACE = nbnas.get_space("nats_sss")
DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
SAMPLE = [SPACE[index] for index in SPACE.sample_subset("all", 60)]

RECORDS = {
    "8:8:8:8:8": ("cifar10", 11_714, 4.481114),
    "8:8:8:16:32": ("cifar100", 52_172, 6.84362),
    "8:8:40:32:40": ("ImageNet16-120", 149_344, 5.461816),
}
"""Architecture -> data set, parameters and millions of multiply-adds, as the benchmark's sample records have them."""

architectures = st.lists(st.sampled_from(CHANNELS), min_size=5, max_size=5).map(lambda c: ":".join(map(str, c)))


def count_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


# ------------------------------------------------------------------------------------------------------------- order


def test_the_last_channel_number_varies_fastest():
    known = {0: "8:8:8:8:8", 1: "8:8:8:8:16", 11: "8:8:8:16:32", 284: "8:8:40:32:40", 32767: "64:64:64:64:64"}
    for index, arch in known.items():
        assert SPACE[index] == arch
        assert SPACE.index(f" {arch}\n") == index
    assert len(SPACE) == len(set(SPACE)) == 32_768
    for index, arch in enumerate(SPACE):
        assert index == sum((int(c) // 8 - 1) * 8 ** (4 - place) for place, c in enumerate(arch.split(":")))


def test_data_sets_are_those_of_nats_bench():
    assert {name: (shape.num_classes, shape.resolution) for name, shape in SPACE.datasets.items()} == {
        "cifar10": (10, 32),
        "cifar100": (100, 32),
        "ImageNet16-120": (120, 16),
    }


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("8:8:8:8", "has 5 channel numbers joined by ':', got 4 in '8:8:8:8'"),
        ("8:8:8:8:8:8", "has 5 channel numbers joined by ':', got 6"),
        ("", "has 5 channel numbers joined by ':', got 1 in ''"),
        ("8:8:12:8:8", "channel number 3 is '12' in '8:8:12:8:8'; choose from 8, 16, 24, 32, 40, 48, 56, 64"),
        ("8:8:8:8:72", "channel number 5 is '72'"),
        ("8:08:8:8:8", "channel number 2 is '08'"),
        ("8:8:8: 8:8", "channel number 4 is ' 8'"),
        (":8:8:8:8", "channel number 1 is ''"),
        ((8, 8, 8, 8, 8), "is a string, got tuple"),
    ],
)
def test_malformed_architectures_are_refused(arch, message):
    assert not SPACE.is_valid(arch)
    for method in (SPACE.index, SPACE.build, SPACE.params, SPACE.flops, SPACE.weight_layers, SPACE.network_form):
        with pytest.raises(NbnasError, match=message):
            method(arch)


@given(arch=architectures, seed=st.integers(0, 2**32))
def test_mutation_changes_one_channel_number(arch, seed):
    mutant = SPACE.mutate(arch, np.random.default_rng(seed))
    assert SPACE.is_valid(mutant)
    assert sum(a != b for a, b in zip(arch.split(":"), mutant.split(":"), strict=True)) == 1


def test_mutation_reaches_every_neighbour():
    rng, arch = np.random.default_rng(0), "8:16:24:32:64"
    assert len({SPACE.mutate(arch, rng) for _ in range(600)}) == 5 * 7


# ------------------------------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize("arch", RECORDS)
def test_sizes_equal_the_records(arch):
    dataset, params, flops = RECORDS[arch]
    assert SPACE.params_for(arch, dataset) == params
    assert count_parameters(SPACE.build_for(arch, dataset)) == params
    assert SPACE.flops_for(arch, dataset) == round(flops * 1e6)


@pytest.mark.parametrize("arch", SAMPLE)
def test_sizes_are_those_of_the_built_network(arch):
    with torch.device("meta"):
        network = SPACE.build(arch, 17)
    assert count_parameters(network) == SPACE.params(arch, 17)
    assert len(weight_layers(network)) == SPACE.weight_layers(arch)
    assert len(list(network.parameters())) == SPACE.trainable_layers(arch)


@pytest.mark.parametrize(
    ("arch", "dataset"), [("8:8:8:8:8", "cifar10"), ("16:8:24:24:8", "cifar100"), ("8:16:8:8:16", "ImageNet16-120")]
)
def test_flops_are_the_executed_ones(arch, dataset):
    resolution = SPACE.datasets[dataset].resolution
    counted = nbnas.score(SPACE.build_for(arch, dataset), ["flops"], input_shape=(1, 3, resolution, resolution))
    assert counted["value"].item() == SPACE.flops_for(arch, dataset)


def test_odd_resolutions_are_refused():
    with pytest.raises(NbnasError, match="resolution must be divisible by 4, the product of the strides, got 30"):
        SPACE.flops("8:8:8:8:8", 30)


# ----------------------------------------------------------------------------------------------------------- network


@pytest.mark.parametrize("dataset", DATASETS)
def test_shapes(dataset):
    shape = SPACE.datasets[dataset]
    network, shapes = SPACE.build_for("8:16:24:32:40", dataset), []
    for block in network.stages:
        block.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape)))
    logits = network(torch.zeros(2, 3, shape.resolution, shape.resolution))
    assert logits.shape == (2, shape.num_classes)
    sides = [shape.resolution // divisor for divisor in (1, 2, 2, 4, 4)]
    assert shapes == [(2, width, side, side) for width, side in zip((8, 16, 24, 32, 40), sides, strict=True)]


def test_the_skip_is_the_identity_unless_channels_change():
    same, _, changing, _, last = SPACE.build("8:16:24:32:32").stages
    assert isinstance(same.edges[3], nn.Identity)
    assert isinstance(last.edges[3], nn.Identity)
    assert [type(layer) for layer in changing.edges[3]] == [nn.Conv2d, nn.BatchNorm2d]
    assert changing.edges[3][0].weight.shape == (24, 16, 1, 1)
    # Edges from the input change the channels, the others keep them.
    inputs = [edge[1].in_channels for place, edge in enumerate(changing.edges) if place != 3]
    assert inputs == [16, 16, 24, 24, 24]
    assert all(isinstance(changing.edges[place][0], nn.ReLU) for place in (0, 1, 2, 4, 5))


def test_feature_maps_are_found_and_scored():
    scores = nbnas.score(SPACE.build("8:16:8:8:16"), ["az_expressivity", "synflow"], input_shape=(4, 3, 8, 8))
    assert set(scores["status"]) == {"ok"}


# ---------------------------------------------------------------------------------------------------------- accuracy


@functools.cache
def full_table():
    """All networks with made-up accuracies."""
    columns = ("cifar10_ori-test", "cifar100_x-test", "ImageNet16-120_x-test")
    count = len(SPACE)
    accuracies = {name: np.linspace(best / 2, best, count) for name, best in zip(columns, (93, 71, 46), strict=True)}
    return pd.DataFrame({"arch_index": range(count), "arch_str": list(SPACE), "n_seeds": 1} | accuracies)


@pytest.fixture
def table_path(tmp_path, monkeypatch):
    """Where import and loader look for the table in a test."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setattr(nats_archive, "data_folder", lambda: folder)
    return folder / "nats_sss.parquet"


def test_each_data_set_ranks_against_its_test_accuracies(table_path):
    full_table().to_parquet(table_path, index=False)
    benchmark = load_benchmark("nats_sss")
    assert benchmark.source == load_benchmark("nats_sss", "nats").source == "nats"
    assert benchmark.archs == list(SPACE)
    for dataset, split in zip(DATASETS, ("ori-test", "x-test", "x-test"), strict=True):
        np.testing.assert_array_equal(benchmark.accuracy(dataset), full_table()[f"{dataset}_{split}"])
    with pytest.raises(NbnasError, match="svhn test accuracies are not in source 'nats': it has cifar10, cifar100"):
        benchmark.accuracy("svhn")
    with pytest.raises(NbnasError, match="unknown source 'csv' of NATS-Bench size accuracies; choose from auto, nats"):
        load_benchmark("nats_sss", "csv")


def test_absent_table_says_what_to_download_and_run(table_path, capsys):
    with pytest.raises(NbnasError) as caught:
        load_benchmark("nats_sss")
    assert str(caught.value) == (
        "no NATS-Bench size accuracies found: download and unpack NATS-sss-v1_0-50262-simple.tar, linked from the "
        "README of the NATS-Bench repository, then run nbnas data import-nats PATH"
    )
    assert main(["data", "status"]) == 0
    assert f"nats_sss: {caught.value}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="cifar100_x-test"), "lacks the columns cifar100_x-test"),
        (lambda table: table.iloc[[1, 0, *range(2, len(table))]], "does not list the 32,768 networks in NATS-Bench"),
        (lambda table: table.iloc[:-1], "does not list the 32,768 networks in NATS-Bench order"),
        (lambda table: table.replace({"cifar10_ori-test": {93.0: None}}), "has networks without a number in column"),
    ],
    ids=["no_accuracy_column", "two_rows_swapped", "last_row_missing", "no_number"],
)
def test_incomplete_table_is_a_one_line_error(table_path, change, message):
    change(full_table()).to_parquet(table_path, index=False)
    with pytest.raises(NbnasError, match=message) as caught:
        load_benchmark("nats_sss")
    assert str(table_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_table_is_a_one_line_error(table_path):
    table_path.write_bytes(b"PAR1")
    with pytest.raises(NbnasError, match=r"is damaged .*; delete it and import the archive again"):
        load_benchmark("nats_sss")


# ---------------------------------------------------------------------------------------------- the official archive

INDICES = {"8:8:8:8:8": 0, "8:8:8:16:32": 11, "8:8:40:32:40": 284}
SPLITS = {"cifar10": ["ori-test"], "cifar100": ["x-valid", "x-test", "ori-test"]}
SPLITS["ImageNet16-120"] = SPLITS["cifar100"]


def made_up_accuracy(index, dataset, split, seed, hp, epoch):
    return index / 100 + DATASETS.index(dataset) + len(split) / 10 + seed / 1000 + int(hp) / 7 + epoch / 13


def made_up_record(api, index):
    """One network's record, written with the classes of ``nats_bench``: three settings, two seeds."""
    arch, record = SPACE[index], {}
    for hp in ("01", "12", "90"):
        result, epochs = api.ArchResults(index, arch), int(hp)
        for dataset, splits in SPLITS.items():
            for seed in (777, 888):
                sizes = SPACE.params_for(arch, dataset) / 1e6, SPACE.flops_for(arch, dataset) / 1e6
                run = api.ResultsCount(dataset, None, {}, {}, *sizes, {}, seed, epochs, [0.01])
                run.update_train_info(*[dict.fromkeys(range(epochs), 1.0)] * 4)
                accuracies = {
                    f"{split}@{epoch}": made_up_accuracy(index, dataset, split, seed, hp, epoch)
                    for split in splits
                    for epoch in range(epochs)
                }
                run.update_eval(accuracies, accuracies, dict.fromkeys(accuracies, 1.0))
                result.update(dataset, seed, run)
        record[hp] = result.state_dict()
    return record


@pytest.fixture
def archive(tmp_path):
    """A made-up archive of the size space with the full list of architectures and three records."""
    api = pytest.importorskip("nats_bench")
    folder = tmp_path / nats_archive.KINDS["size"].folder
    folder.mkdir()
    api.pickle_save({"meta_archs": list(SPACE)}, folder / "meta.pickle")
    for index in INDICES.values():
        api.pickle_save(made_up_record(api, index), folder / f"{index:06d}.pickle")
    return folder


@pytest.mark.parametrize("place", ["the_folder", "the_folder_that_holds_it", "renamed"])
def test_import_recognises_the_size_archive(archive, table_path, place):
    if place == "renamed":
        archive = archive.rename(archive.with_name("sss"))
    path = archive.parent if place == "the_folder_that_holds_it" else archive
    assert import_nats(path, indices=list(INDICES.values()), progress=False) == table_path
    table = pd.read_parquet(table_path)
    assert table["arch_str"].tolist() == list(INDICES)
    assert table["arch_index"].tolist() == list(INDICES.values())
    assert table["n_seeds"].tolist() == [2, 2, 2]
    assert not table_path.with_name("nats_sss.parquet.part.jsonl").exists()


def test_imported_are_the_last_of_90_epochs_averaged_over_seeds_and_the_recorded_sizes(archive, table_path):
    table = pd.read_parquet(import_nats(archive, indices=list(INDICES.values()), progress=False))
    for dataset, split in zip(DATASETS, ("ori-test", "x-test", "x-test"), strict=True):
        expected = [
            np.mean([made_up_accuracy(index, dataset, split, seed, "90", 89) for seed in (777, 888)])
            for index in INDICES.values()
        ]
        np.testing.assert_allclose(table[f"{dataset}_{split}"], expected, rtol=1e-12)
    for arch, (dataset, params, flops) in RECORDS.items():
        row = table.set_index("arch_str").loc[arch]
        assert row[f"{dataset}_params_M"] == pytest.approx(params / 1e6, rel=1e-12)
        assert row[f"{dataset}_flops_M"] == pytest.approx(flops, rel=1e-12)
    assert len(table.columns) == 3 + 3 + 6


def test_nats_bench_answers_the_same(archive, table_path):
    table = pd.read_parquet(import_nats(archive, indices=[284], progress=False))
    api = pytest.importorskip("nats_bench").create(str(archive), "sss", fast_mode=True, verbose=False)
    for dataset, column in NATS_COLUMNS.items():
        answer = api.get_more_info(284, dataset, hp="90", is_random=False)
        assert table[column].item() == answer["test-accuracy"]
        cost = api.get_cost_info(284, dataset, hp="90")
        assert table[f"{dataset}_flops_M"].item() == cost["flops"]
        assert table[f"{dataset}_params_M"].item() == cost["params"]


def test_incomplete_archive_is_a_one_line_error_of_the_command_and_resumed(archive, table_path, monkeypatch, capsys):
    assert main(["data", "import-nats", str(archive)]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(
        f"nbnas: {archive} is incomplete: 32765 of 32768 records are missing, the first is 000001"
    )
    rows = read_log(table_path.with_name("nats_sss.parquet.part.jsonl"))
    assert [row["arch_index"] for row in rows] == list(INDICES.values())
    monkeypatch.setattr(nats_archive, "read_record", None)
    import_nats(archive, indices=list(INDICES.values()), progress=False)
    assert pd.read_parquet(table_path).to_dict("records") == rows


def test_record_without_the_90_epoch_setting_is_named(archive, table_path):
    api = pytest.importorskip("nats_bench")
    record = made_up_record(api, 11)
    del record["90"]
    api.pickle_save(record, archive / "000011.pickle")
    with pytest.raises(NbnasError, match=r"000011\.pickle\.pbz2 is damaged") as caught:
        import_nats(archive, indices=[0, 11], progress=False)
    assert "\n" not in str(caught.value)
    assert not table_path.exists()


@pytest.mark.parametrize("archs", [list(SPACE)[::-1], list(SPACE)[:-1]], ids=["other_order", "one_missing"])
def test_foreign_list_of_architectures_is_a_one_line_error(archive, table_path, archs):
    api = pytest.importorskip("nats_bench")
    api.pickle_save({"meta_archs": archs}, archive / "meta.pickle")
    with pytest.raises(NbnasError, match="is not the NATS-Bench topology space or size space") as caught:
        import_nats(archive, progress=False)
    assert str(archive) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_with_both_archives_asks_for_one(archive, table_path):
    other = archive.with_name(nats_archive.KINDS["topology"].folder)
    other.mkdir()
    (other / "meta.pickle.pbz2").write_bytes(b"")
    with pytest.raises(NbnasError, match="holds NATS-tss-v1_0-3ffb9-simple and NATS-sss-v1_0-50262-simple; name one"):
        import_nats(archive.parent, progress=False)
    assert import_nats(archive, indices=[0], progress=False) == table_path


def test_size_and_topology_have_tables_of_their_own():
    assert nats_archive.KINDS["size"].file == "nats_sss.parquet" != nats_archive.KINDS["topology"].file
