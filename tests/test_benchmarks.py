"""Trained accuracies: the official archive, the ready csv, the fetched one, the package; whole and damaged."""

import builtins
import bz2
import errno
import functools
import gzip
import itertools
import os
import pickle
import shutil
import sys
import types
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nbnas
from nbnas.benchmarks import BENCHMARKS, analog, load_benchmark, nats_archive
from nbnas.benchmarks.nasbench201 import SINGLE_SEED_COLUMNS, TRAINING_SEEDS
from nbnas.benchmarks.nats_archive import import_nats
from nbnas.errors import NbnasError
from nbnas.machine.append_log import read_log

SPACE = nbnas.get_space("nasbench201")
RECORDS = (0, 11, 284)
SHARED_COLUMNS = [
    "cifar10-valid_x-valid",
    "cifar10_ori-test",
    *(
        f"{dataset}_{split}"
        for dataset in ("cifar100", "ImageNet16-120")
        for split in ("x-valid", "x-test", "ori-test")
    ),
    *(f"{dataset}_params_M" for dataset in ("cifar10", "cifar100", "ImageNet16-120")),
]
"""What both the archive and the ready csv say of a cell."""
ARCHIVE_NAME = "NATS-tss-v1_0-3ffb9-simple"
IMPORT_HINT = "needs NATS-Bench: run nbnas data import-nats PATH"
FETCH_HINT = "run nbnas data fetch nasbench201"
DATA_FOLDER = os.environ.get("NBNAS_DATA")
needs_data = pytest.mark.skipif(not DATA_FOLDER, reason="needs the data folder that NBNAS_DATA names")
needs_analog = pytest.mark.skipif(analog.installed_data_file() is None, reason="needs analog-nasbench")


@functools.cache
def full_table():
    """All cells with made-up accuracies."""
    count = len(SPACE)
    return pd.DataFrame(
        {
            "arch_index": range(count),
            "arch_str": list(SPACE),
            "n_seeds": [2, 3, 3, 2, 3] * (count // 5),
            "cifar10_ori-test": np.linspace(10, 94, count).round(5),
            "cifar100_x-test": np.linspace(1, 73, count).round(5),
            "ImageNet16-120_x-test": np.linspace(1, 47, count).round(5),
        }
    )


@functools.cache
def full_csv():
    return gzip.compress(full_table().to_csv(index=False).encode(), compresslevel=1)


class Sources:
    """Where the loaders look in a test: everything is absent until put there."""

    def __init__(self, folder, monkeypatch):
        self.parquet = folder / "data" / "nasbench201_nats.parquet"
        self.csv = folder / "ready" / "nasbench201.csv.gz"
        self.parquet.parent.mkdir()
        self.csv.parent.mkdir()
        self.fetched = folder / "fetched" / "nasbench201.csv.gz"
        self.fetched.parent.mkdir()
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(nats_archive, "data_folder", lambda: self.parquet.parent)
        monkeypatch.setenv("NBNAS_DATA", str(self.csv.parent))
        monkeypatch.setenv("NBNAS_FETCHED", str(self.fetched.parent))
        self.put_analog(None)

    def put_nats(self, table):
        table.to_parquet(self.parquet, index=False)

    def put_csv(self, content=None):
        self.csv.write_bytes(full_csv() if content is None else content)

    def put_fetched(self):
        columns = ["arch_index", "arch_str", "cifar10_ori-test", "cifar100_x-test", "ImageNet16-120_x-test"]
        table = full_table()[columns].assign(**{"cifar10_ori-test": full_table()["cifar10_ori-test"] - 1})
        self.fetched.write_bytes(gzip.compress(table.to_csv(index=False).encode(), compresslevel=1))

    def put_analog(self, path):
        self._monkeypatch.setattr(analog, "installed_data_file", lambda: path)


@pytest.fixture
def sources(tmp_path, monkeypatch):
    return Sources(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def analog_benchmark():
    """The table of the installed package."""
    return load_benchmark("nasbench201", "analog")


@pytest.fixture(scope="module")
def analog_file(tmp_path_factory):
    """A made-up data file in the format of the package."""
    path = tmp_path_factory.mktemp("analog") / "data.anb"
    path.write_bytes(pickle_analog(made_up_accuracies()))
    return path


def made_up_accuracies():
    """Op codes of every cell -> a number that tells the cells apart."""
    return {codes: 10 + 0.005 * n for n, codes in enumerate(itertools.product(range(5), repeat=6))}


def pickle_analog(accuracies, extra=None):
    """Pickle records the way the package's own classes pickle, without the package."""
    module = types.ModuleType("analognasbench.data")
    module.Architecture = type("Architecture", (), {"__module__": module.__name__})
    records = {}
    for codes, accuracy in accuracies.items():
        records[codes] = module.Architecture()
        records[codes].baseline_accuracy = accuracy
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "analognasbench", types.ModuleType("analognasbench"))
        patch.setitem(sys.modules, module.__name__, module)
        return pickle.dumps(records | (extra or {}))


def assert_one_line_naming(caught, path):
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


# Which source


def test_sources_are_preferred_in_their_order(sources, analog_file):
    sources.put_analog(analog_file)
    assert load_benchmark("nasbench201").source == "analog"
    sources.put_fetched()
    assert load_benchmark("nasbench201").source == "fetched"
    sources.put_csv()
    assert load_benchmark("nasbench201").source == "csv"
    table = full_table()
    sources.put_nats(table.assign(**{"cifar10_ori-test": table["cifar10_ori-test"] + 1}))
    preferred = load_benchmark("nasbench201")
    assert preferred.source == "nats"
    np.testing.assert_array_equal(preferred.accuracy("cifar10"), table["cifar10_ori-test"] + 1)
    for source in ("nats", "csv", "fetched", "analog"):
        assert load_benchmark("nasbench201", source).source == source
    fetched = load_benchmark("nasbench201", "fetched").accuracy("cifar10")
    np.testing.assert_array_equal(fetched, table["cifar10_ori-test"] - 1)
    np.testing.assert_array_equal(load_benchmark("nasbench201", "csv").accuracy("cifar10"), table["cifar10_ori-test"])


@pytest.mark.parametrize("source", ["nats", "csv"])
def test_each_data_set_ranks_against_the_column_of_the_papers(sources, source):
    sources.put_nats(full_table())
    sources.put_csv()
    benchmark = load_benchmark("nasbench201", source)
    for dataset, column in {
        "cifar10": "cifar10_ori-test",
        "cifar100": "cifar100_x-test",
        "ImageNet16-120": "ImageNet16-120_x-test",
    }.items():
        np.testing.assert_array_equal(benchmark.accuracy(dataset), full_table()[column])
    with pytest.raises(NbnasError, match="svhn"):
        benchmark.accuracy("svhn")


def test_accuracies_are_a_copy(sources):
    sources.put_csv()
    benchmark = load_benchmark("nasbench201")
    benchmark.accuracy("cifar10")[:] = 0
    np.testing.assert_array_equal(benchmark.accuracy("cifar10"), full_table()["cifar10_ori-test"])


def test_single_seeds_are_columns_of_the_csv_with_nan_where_a_cell_lacks_one(sources):
    seeds = np.where(full_table()["n_seeds"] == 3, 60.0, np.nan)
    table = full_table().assign(**{"cifar100_ori-test_s888": 50.0, "cifar100_ori-test_s999": seeds})
    sources.put_csv(gzip.compress(table.to_csv(index=False).encode(), compresslevel=1))
    benchmark = load_benchmark("nasbench201")
    assert set(benchmark.single_seed_accuracy("cifar100", 888)) == {50.0}
    np.testing.assert_array_equal(benchmark.single_seed_accuracy("cifar100", 999), seeds)
    benchmark.single_seed_accuracy("cifar100", 888)[:] = 0
    assert set(benchmark.single_seed_accuracy("cifar100", 888)) == {50.0}


@pytest.mark.parametrize("source", ["nats", "fetched", "analog"])
@pytest.mark.parametrize("dataset", ["cifar10", "svhn"])
def test_source_without_single_seeds_says_which_has_them(sources, analog_file, source, dataset):
    sources.put_nats(full_table())
    sources.put_fetched()
    sources.put_analog(analog_file)
    with pytest.raises(NbnasError, match="source 'csv' has them: set NBNAS_DATA") as caught:
        load_benchmark("nasbench201", source).single_seed_accuracy(dataset, 777)
    assert f"{dataset} accuracies of training seed 777 are not in source {source!r}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_training_seed_is_an_error_that_lists_the_known(sources):
    sources.put_csv()
    with pytest.raises(NbnasError, match="777, 888, 999, got 1"):
        load_benchmark("nasbench201").single_seed_accuracy("cifar10", 1)


@needs_data
def test_single_seeds_of_the_ready_csv_average_to_its_means():
    benchmark = load_benchmark("nasbench201", "csv")
    for dataset, column in SINGLE_SEED_COLUMNS.items():
        runs = np.stack([benchmark.single_seed_accuracy(dataset, seed) for seed in TRAINING_SEEDS])
        assert (np.isfinite(runs).sum(axis=0) == benchmark.table["n_seeds"]).all()
        np.testing.assert_allclose(np.nanmean(runs, axis=0), benchmark.table[column], atol=2e-5)


@pytest.mark.parametrize(
    ("source", "hints"),
    [
        ("auto", [IMPORT_HINT, "set NBNAS_DATA", FETCH_HINT, "pip install analog-nasbench"]),
        ("nats", [IMPORT_HINT]),
        ("csv", ["set NBNAS_DATA"]),
        ("fetched", [FETCH_HINT]),
        ("analog", ["pip install analog-nasbench"]),
    ],
)
@pytest.mark.parametrize("folder_is_named", [True, False])
def test_absent_source_is_an_error_that_says_how_to_get_it(sources, monkeypatch, source, hints, folder_is_named):
    if not folder_is_named:
        monkeypatch.delenv("NBNAS_DATA")
    with pytest.raises(NbnasError, match="no NAS-Bench-201 accuracies found") as caught:
        load_benchmark("nasbench201", source)
    message = str(caught.value)
    every_hint = (IMPORT_HINT, "set NBNAS_DATA", FETCH_HINT, "pip install analog-nasbench")
    assert [hint for hint in every_hint if hint in message] == hints
    assert "\n" not in message


@pytest.mark.parametrize("arguments", [("nasbench201", "nats-bench"), ("darts", "auto")])
def test_unknown_space_or_source_is_an_error_that_lists_the_known(sources, arguments):
    sources.put_csv()
    with pytest.raises(NbnasError, match=r"nats, csv, fetched, analog|nasbench201"):
        load_benchmark(*arguments)


def test_damaged_preferred_source_is_an_error_not_a_silent_replacement(sources):
    sources.put_csv()
    sources.parquet.write_bytes(b"PAR1")
    with pytest.raises(NbnasError, match="is damaged") as caught:
        load_benchmark("nasbench201")
    assert_one_line_naming(caught, sources.parquet)


def test_description_of_the_sources_tells_present_absent_and_damaged_apart(sources):
    sources.put_csv()
    sources.parquet.write_bytes(b"PAR1")
    nats, csv, fetched, package = BENCHMARKS["nasbench201"].describe()
    assert nats.startswith("nats: unusable")
    assert csv.startswith("csv: present")
    assert "cifar10, cifar100, ImageNet16-120" in csv
    assert fetched == f"fetched: absent; {FETCH_HINT}"
    assert package.startswith("analog: absent")


def test_package_that_is_not_installed_has_no_data_file(monkeypatch):
    def not_installed(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", not_installed)
    assert analog.installed_data_file() is None


# Costs


@pytest.mark.parametrize("dataset", ["cifar10", "ImageNet16-120"])
def test_stored_flops_of_the_csv_are_the_average_over_seeds(sources, dataset):
    sources.put_csv()
    shape = SPACE.datasets[dataset]
    exact = np.array([SPACE.flops(arch, shape.resolution, shape.num_classes) for arch in SPACE]) / 1e6
    averages = np.where(full_table()["n_seeds"] == 3, (exact + exact + exact) / 3, (exact + exact) / 2)
    assert (averages != exact).sum() > 100  # else this would not test the average
    np.testing.assert_array_equal(load_benchmark("nasbench201").stored_flops(dataset), averages)


@needs_analog
def test_stored_flops_without_seeds_are_the_exact_counts(analog_benchmark):
    exact = [SPACE.flops(arch) for arch in SPACE]
    np.testing.assert_array_equal(analog_benchmark.stored_flops("cifar10"), np.array(exact) / 1e6)


def test_stored_flops_of_an_imported_archive_are_its_own(sources):
    flops = np.linspace(1, 200, len(SPACE))
    sources.put_nats(full_table().assign(cifar10_flops_M=flops))
    np.testing.assert_array_equal(load_benchmark("nasbench201").stored_flops("cifar10"), flops)


# The ready csv


@pytest.mark.parametrize(
    "content",
    [
        lambda whole: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-4],
        lambda whole: whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:],
        lambda whole: gzip.decompress(whole),
    ],
    ids=["empty", "half", "last_bytes_missing", "flipped_bit", "not_compressed"],
)
def test_damaged_csv_is_a_one_line_error(sources, content):
    sources.put_csv(content(full_csv()))
    with pytest.raises(NbnasError, match="cannot be read as a gzipped csv") as caught:
        load_benchmark("nasbench201")
    assert_one_line_naming(caught, sources.csv)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="cifar100_x-test"), "lacks the columns cifar100_x-test"),
        (lambda table: table.drop(columns="arch_str"), "lacks the columns arch_str"),
        (lambda table: table.iloc[[1, 0, *range(2, len(table))]], "NATS-Bench order"),
        (lambda table: table.iloc[:-1], "NATS-Bench order"),
        (lambda table: table.iloc[:0], "NATS-Bench order"),
    ],
    ids=["no_accuracy_column", "no_architectures", "two_rows_swapped", "last_row_missing", "no_rows"],
)
@pytest.mark.parametrize("source", ["nats", "csv"])
def test_incomplete_table_is_a_one_line_error(sources, source, change, message):
    table = change(full_table())
    sources.put_nats(table)
    sources.put_csv(gzip.compress(table.to_csv(index=False).encode(), compresslevel=1))
    with pytest.raises(NbnasError, match=message) as caught:
        load_benchmark("nasbench201", source)
    assert_one_line_naming(caught, sources.parquet if source == "nats" else sources.csv)


@needs_data
def test_ready_csv_has_the_published_optima():
    benchmark = load_benchmark("nasbench201", "csv")
    optima = {"cifar10": (6111, 94.3733), "cifar100": (9930, 73.5133), "ImageNet16-120": (857, 47.3111)}
    for dataset, (index, best) in optima.items():
        accuracies = benchmark.accuracy(dataset)
        assert accuracies.shape == (15625,)
        assert np.argmax(accuracies) == index
        assert accuracies[index] == pytest.approx(best, abs=1e-4)


# The installed package


def test_codes_of_the_package_are_translated_to_the_cells_they_mean(analog_file):
    accuracies = analog.read_analog_accuracies(analog_file)
    # Edges 0-1, 0-2, 0-3, 1-2, 1-3, 2-3 of the package; 0 skip, 1 none, 2 conv 3x3, 3 conv 1x1, 4 pooling.
    meaning = {
        (0, 1, 2, 3, 4, 2): "|skip_connect~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|nor_conv_3x3~2|",
        (1, 1, 1, 1, 1, 1): "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        (4, 3, 2, 1, 0, 3): "|avg_pool_3x3~0|+|nor_conv_1x1~0|none~1|+|nor_conv_3x3~0|skip_connect~1|nor_conv_1x1~2|",
    }
    for codes, arch in meaning.items():
        assert accuracies[SPACE.index(arch)] == made_up_accuracies()[codes]
    assert sorted(accuracies) == sorted(made_up_accuracies().values())


@needs_analog
def test_package_has_a_plausible_accuracy_for_every_cell(analog_benchmark):
    accuracies = analog_benchmark.accuracy("cifar10")
    assert accuracies.shape == (15625,)
    assert not np.isnan(accuracies).any()
    assert accuracies.min() == 10.0
    # An independent training, so near the accuracies of NATS-Bench and not equal to them.
    for index, measured in {0: 85.863, 11: 91.583, 284: 88.790, 6111: 94.373}.items():
        assert accuracies[index] == pytest.approx(measured, abs=1.0)
        assert accuracies[index] != pytest.approx(measured, abs=1e-3)


@needs_analog
@needs_data
def test_package_ranks_the_filtered_cells_as_nats_bench_does(analog_benchmark):
    cells = SPACE.subset("filtered")
    measured = load_benchmark("nasbench201", "csv").accuracy("cifar10")
    correlation = nbnas.rankings.spearman_rho(analog_benchmark.accuracy("cifar10")[cells], measured[cells])
    assert correlation == pytest.approx(0.9904, abs=0.001)


@pytest.mark.parametrize("dataset", ["cifar100", "ImageNet16-120"])
def test_package_lacks_the_other_data_sets_and_says_what_has_them(sources, analog_file, dataset):
    sources.put_analog(analog_file)
    with pytest.raises(NbnasError, match=IMPORT_HINT) as caught:
        load_benchmark("nasbench201").accuracy(dataset)
    assert dataset in str(caught.value)
    assert FETCH_HINT in str(caught.value)


class Call:
    """Unpickles by calling a function."""

    def __init__(self, function, *arguments):
        self._call = (function, arguments)

    def __reduce__(self):
        return self._call


ATTACKS = {
    "system": lambda marker: Call(os.system, f"touch '{marker}'"),
    "eval": lambda marker: Call(eval, f"open({str(marker)!r}, 'w').close()"),
    "open": lambda marker: Call(builtins.open, str(marker), "w"),
    "path_method": lambda marker: Call(Path.touch, marker),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("nested", [True, False], ids=["among_true_records", "alone"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_malicious_pickle_is_refused_and_not_run(tmp_path, attack, nested, protocol):
    marker = tmp_path / "executed"
    payload = attack(marker)
    content = pickle.dumps({(0,) * 6: payload} if nested else payload, protocol)
    pickle.loads(content)
    assert marker.exists()  # the attack works on the standard unpickler
    marker.unlink()
    path = tmp_path / "data.anb"
    path.write_bytes(content)
    with pytest.raises(NbnasError, match="refuses to load") as caught:
        analog.read_analog_accuracies(path)
    assert_one_line_naming(caught, path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"canalognasbench.data\nos\n.",
        b"\x80\x04\x8c\x13analognasbench.data\x8c\x15Architecture.__init__\x93.",
        b"cbuiltins\ngetattr\n.",
        b"ccollections\nOrderedDict\n.",
        b"cnbnas.benchmarks.analog\n_Record\n.",
    ],
    ids=["other_name_of_the_module", "attribute_of_a_known_class", "getattr", "standard_library", "our_own"],
)
def test_every_name_but_the_two_known_classes_is_refused(tmp_path, content):
    path = tmp_path / "data.anb"
    path.write_bytes(content)
    with pytest.raises(NbnasError, match="refuses to load") as caught:
        analog.read_analog_accuracies(path)
    assert_one_line_naming(caught, path)


@pytest.mark.parametrize(
    "content",
    [
        lambda: b"",
        lambda: b"not a pickle",
        lambda: pickle_analog(made_up_accuracies())[:-1000],
        lambda: pickle.dumps([1, 2]),
        lambda: pickle.dumps({(0,) * 6: 3.0}),
        lambda: pickle_analog({(0,) * 5: 10.0}),
        lambda: pickle_analog({(0, 0, 0, 0, 0, 7): 10.0}),
        lambda: pickle_analog({(0,) * 6: "best"}),
    ],
    ids=["empty", "words", "cut", "list", "no_record", "five_edges", "unknown_operation", "word_for_accuracy"],
)
def test_damaged_or_foreign_data_file_is_a_one_line_error(tmp_path, content):
    path = tmp_path / "data.anb"
    path.write_bytes(content())
    with pytest.raises(NbnasError, match="is not the data file of analog-nasbench") as caught:
        analog.read_analog_accuracies(path)
    assert_one_line_naming(caught, path)


@pytest.mark.parametrize(
    "change",
    [dict.pop, lambda accuracies, codes: accuracies.update({codes: float("nan")})],
    ids=["left_out", "not_a_number"],
)
def test_data_file_without_every_cell_is_an_error_with_their_number(tmp_path, change):
    accuracies = made_up_accuracies()
    for codes in [(0, 0, 0, 0, 0, 0), (4, 4, 4, 4, 4, 4)]:
        change(accuracies, codes)
    path = tmp_path / "data.anb"
    path.write_bytes(pickle_analog(accuracies))
    with pytest.raises(NbnasError, match="lacks 2 of 15625 cells") as caught:
        analog.read_analog_accuracies(path)
    assert_one_line_naming(caught, path)


# The official archive


@pytest.fixture
def archive(tmp_path):
    """A copy, to be damaged at will, of the real records and meta file."""
    if not DATA_FOLDER:
        pytest.skip("needs the data folder that NBNAS_DATA names")
    pytest.importorskip("nats_bench")
    folder = tmp_path / ARCHIVE_NAME
    folder.mkdir()
    for path in (Path(DATA_FOLDER) / "nats_bench_fixture" / ARCHIVE_NAME).iterdir():
        shutil.copyfile(path, folder / path.name)
    return folder


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "imported" / "table.parquet"


def log_of(destination):
    return destination.with_name(destination.name + ".part.jsonl")


def refuse_to_read(*_):
    raise AssertionError("a record was read again")


def test_imported_records_equal_the_ready_csv(archive, destination):
    assert import_nats(archive, destination, indices=RECORDS, progress=False) == destination
    imported = pd.read_parquet(destination).set_index("arch_index")
    expected = pd.read_csv(Path(DATA_FOLDER) / "nasbench201.csv.gz").set_index("arch_index").loc[list(RECORDS)]
    assert imported.index.tolist() == list(RECORDS)
    assert imported["arch_str"].tolist() == expected["arch_str"].tolist() == [SPACE[index] for index in RECORDS]
    assert imported["n_seeds"].tolist() == expected["n_seeds"].tolist() == [3, 3, 3]
    np.testing.assert_allclose(imported[SHARED_COLUMNS], expected[SHARED_COLUMNS], rtol=1e-4)
    assert not imported.isna().any(axis=None)
    assert not log_of(destination).exists()


def test_imported_flops_are_the_seed_averages_formed_for_the_csv(archive, destination):
    imported = pd.read_parquet(import_nats(archive, destination, indices=RECORDS, progress=False))
    for dataset, shape in SPACE.datasets.items():
        again = load_benchmark("nasbench201", "csv").stored_flops(dataset)[list(RECORDS)]
        assert imported[f"{dataset}_flops_M"].tolist() == again.tolist()
        exact = [SPACE.flops(SPACE[index], shape.resolution, shape.num_classes) / 1e6 for index in RECORDS]
        np.testing.assert_allclose(again, exact, rtol=1e-12)


def test_folder_that_holds_the_archive_will_do_and_the_loader_looks_at_the_default_place(archive, sources):
    assert import_nats(str(archive.parent), indices=(11,), progress=False) == sources.parquet
    assert pd.read_parquet(sources.parquet)["arch_index"].tolist() == [11]


def test_incomplete_archive_is_imported_as_far_as_it_goes_and_then_resumed(archive, destination, monkeypatch):
    with pytest.raises(NbnasError, match="15622 of 15625 records are missing, the first is 000001") as caught:
        import_nats(archive, destination, progress=False)
    assert_one_line_naming(caught, archive)
    assert not destination.exists()
    partial = read_log(log_of(destination))
    assert [row["arch_index"] for row in partial] == list(RECORDS)
    monkeypatch.setattr(nats_archive, "read_record", refuse_to_read)
    import_nats(archive, destination, indices=RECORDS, progress=False)
    assert pd.read_parquet(destination).to_dict("records") == partial
    assert not log_of(destination).exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-2000],
        lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:],
        lambda content: b"",
        lambda content: b"not compressed",
        lambda content: bz2.compress(pickle.dumps({})),
        lambda content: bz2.compress(pickle.dumps(None)),
        lambda content: bz2.compress(b"not a pickle"),
    ],
    ids=["cut", "flipped_bit", "empty", "not_compressed", "other_content", "nothing", "not_a_pickle"],
)
def test_damaged_record_is_named_and_the_rest_is_kept(archive, destination, monkeypatch, damage):
    record = archive / "000011.pickle.pbz2"
    content = record.read_bytes()
    record.write_bytes(damage(content))
    with pytest.raises(NbnasError, match="is damaged") as caught:
        import_nats(archive, destination, indices=RECORDS, progress=False)
    assert_one_line_naming(caught, record)
    assert [row["arch_index"] for row in read_log(log_of(destination))] == [0]
    record.write_bytes(content)
    original, read = nats_archive.read_record, []

    def recording_read(api, index):
        read.append(index)
        return original(api, index)

    monkeypatch.setattr(nats_archive, "read_record", recording_read)
    import_nats(archive, destination, indices=RECORDS, progress=False)
    assert read == [11, 284]
    assert pd.read_parquet(destination)["arch_index"].tolist() == list(RECORDS)


class RunsCode:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("name", ["meta.pickle.pbz2", "000011.pickle.pbz2"])
@pytest.mark.parametrize(
    "call", [(os.system, "touch ran"), (eval, "open('ran', 'w')"), (sys.exit, 0)], ids=["system", "eval", "exit"]
)
def test_an_archive_runs_no_code(archive, destination, monkeypatch, tmp_path, name, call):
    monkeypatch.chdir(tmp_path)
    (archive / name).write_bytes(bz2.compress(pickle.dumps({"meta_archs": RunsCode(*call)})))
    with pytest.raises(NbnasError, match="refuses to load") as caught:
        import_nats(archive, destination, indices=RECORDS, progress=False)
    assert_one_line_naming(caught, archive / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        (b"", "is damaged or of another benchmark"),
        (b"not compressed", "is damaged or of another benchmark"),
        (bz2.compress(b"not a pickle"), "is damaged or of another benchmark"),
        (bz2.compress(pickle.dumps({"archs": []})), "is damaged or of another benchmark"),
        (bz2.compress(pickle.dumps({"meta_archs": ["64:64:64:64:64"]})), "is not the NATS-Bench topology space"),
        (bz2.compress(pickle.dumps({"meta_archs": list(SPACE)[::-1]})), "is not the NATS-Bench topology space"),
    ],
    ids=["empty", "not_compressed", "not_a_pickle", "no_list_of_cells", "size_space", "other_order"],
)
def test_foreign_meta_file_is_a_one_line_error(tmp_path, destination, meta, message):
    pytest.importorskip("nats_bench")
    (tmp_path / "meta.pickle.pbz2").write_bytes(meta)
    with pytest.raises(NbnasError, match=message) as caught:
        import_nats(tmp_path, destination, progress=False)
    assert_one_line_naming(caught, tmp_path)
    assert not destination.parent.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "does not exist"),
        ("empty_folder", "has no meta.pickle.pbz2"),
        (f"{ARCHIVE_NAME}.tar", f"is a file; unpack it .tar -xf {ARCHIVE_NAME}.tar."),
    ],
)
def test_path_that_is_no_archive_is_a_one_line_error_that_says_what_to_do(tmp_path, destination, name, message):
    (tmp_path / "empty_folder").mkdir()
    (tmp_path / f"{ARCHIVE_NAME}.tar").write_bytes(b"\0" * 1024)
    with pytest.raises(NbnasError, match=message) as caught:
        import_nats(tmp_path / name, destination, progress=False)
    assert_one_line_naming(caught, tmp_path / name)
    assert not destination.parent.exists()


def test_without_nats_bench_the_error_says_what_to_install(tmp_path, destination, monkeypatch):
    (tmp_path / "meta.pickle.pbz2").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "nats_bench", None)
    with pytest.raises(NbnasError, match=r"pip install 'nbnas\[data\]'"):
        import_nats(tmp_path, destination, progress=False)
    assert not destination.parent.exists()


def test_full_disk_while_writing_the_table_leaves_no_half_table(archive, destination, monkeypatch):
    def half_a_parquet(self, path, **_):
        Path(path).write_bytes(b"PAR1 and then nothing")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_parquet", half_a_parquet)
        with pytest.raises(NbnasError, match="No space left on device"):
            import_nats(archive, destination, indices=RECORDS, progress=False)
    assert not destination.exists()
    monkeypatch.setattr(nats_archive, "read_record", refuse_to_read)
    import_nats(archive, destination, indices=RECORDS, progress=False)
    assert pd.read_parquet(destination)["arch_index"].tolist() == list(RECORDS)
