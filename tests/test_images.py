"""Real images: the layouts in which they are distributed, files that are not what they should be, and batches."""

import hashlib
import io
import os
import pickle
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import nbnas
from nbnas.datasets import images as images_module
from nbnas.datasets.images import Images, describe_images, load_images
from nbnas.errors import NbnasError
from nbnas.machine.executors import Workers
from nbnas.scoring.score_many import score_many
from nbnas.scoring.setting import Setting
from nbnas.seeding import derive_seed

SPACE = nbnas.get_space("nasbench201")
# Of one 1x1 convolution, which are quick.
CELLS = [
    "|skip_connect~0|+|none~0|nor_conv_1x1~1|+|none~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_1x1~0|+|skip_connect~0|none~1|+|skip_connect~0|none~1|avg_pool_3x3~2|",
    "|none~0|+|nor_conv_1x1~0|none~1|+|avg_pool_3x3~0|none~1|skip_connect~2|",
]

FILES = {
    "cifar10": ("cifar-10-batches-py", [f"data_batch_{number}" for number in range(1, 6)]),
    "cifar100": ("cifar-100-python", ["train"]),
    "ImageNet16-120": ("ImageNet16", [f"train_data_batch_{number}" for number in range(1, 11)]),
}
"""Data set -> folder and files of the official archive."""

CLASSES = {"cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}
RESOLUTION = {"cifar10": 32, "cifar100": 32, "ImageNet16-120": 16}


# ---------------------------------------------------------------------------------------------------- made-up archives


class Python2Pickler(pickle._Pickler):
    """Writes strings, bytes and numpy arrays as Python 2 and the numpy of its time did."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, value):
        value = value.encode("latin-1") if isinstance(value, str) else value
        if len(value) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(value)]) + value)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def dump_as_python2(batch):
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(batch)
    return file.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.")


def bytes_keys(batch):
    return {key.encode(): value for key, value in batch.items()}


DUMPS = {
    "Python 2": dump_as_python2,
    "str keys, protocol 2": lambda batch: pickle.dumps(batch, protocol=2),
    "bytes keys, protocol 2": lambda batch: pickle.dumps(bytes_keys(batch), protocol=2),
    "str keys, protocol 4": lambda batch: pickle.dumps(batch, protocol=4),
    "bytes keys, protocol 4": lambda batch: pickle.dumps(bytes_keys(batch), protocol=4),
    "newest protocol": lambda batch: pickle.dumps(batch, protocol=pickle.HIGHEST_PROTOCOL),
}


def official_batch(dataset, data, labels, number):
    """The dictionary of one file, with everything that the official one holds."""
    if dataset == "cifar10":
        names = [f"picture_{row}.png" for row in range(len(data))]
        return {"batch_label": f"training batch {number}", "labels": labels, "data": data, "filenames": names}
    if dataset == "cifar100":
        coarse = [label // 5 for label in labels]
        return {"fine_labels": labels, "coarse_labels": coarse, "data": data, "filenames": ["x.png"] * len(data)}
    return {"data": data, "labels": labels, "mean": data.mean(axis=0)}


def write_archive(folder, dataset, per_file=4, dump=DUMPS["str keys, protocol 4"], labels=None):
    """Write made-up images and labels in the official layout; return rows and labels as they are in the files."""
    rng = np.random.default_rng(0)
    name, files = FILES[dataset]
    (folder / name).mkdir()
    rows = rng.integers(0, 256, (len(files) * per_file, 3 * RESOLUTION[dataset] ** 2), dtype=np.uint8)
    if labels is None:
        first = 1 if dataset == "ImageNet16-120" else 0
        labels = rng.integers(first, first + CLASSES[dataset], len(rows)).tolist()
    for number, file in enumerate(files):
        part = slice(number * per_file, (number + 1) * per_file)
        batch = official_batch(dataset, rows[part], labels[part], number + 1)
        (folder / name / file).write_bytes(dump(batch))
    return rows, labels


def write_tiny_imagenet(folder, count=12):
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(count) * 200 // count
    np.savez(folder / "tinyimagenet_val_16x16.npz", images=pictures, labels=labels)
    return pictures, labels


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of data sets."""
    path = tmp_path / "data"
    path.mkdir()
    monkeypatch.setenv("NBNAS_DATA", str(path))
    return path


# ------------------------------------------------------------------------------------------------------------- loading


@pytest.mark.parametrize("dump", DUMPS.values(), ids=DUMPS)
@pytest.mark.parametrize("dataset", FILES)
def test_official_files_are_read(folder, dataset, dump):
    rows, labels = write_archive(folder, dataset, dump=dump)
    images = load_images(dataset)
    size = RESOLUTION[dataset]
    assert images.dataset == dataset
    assert images.pixels.shape == (len(rows), 3, size, size)
    assert images.pixels.dtype == torch.uint8
    # A row holds the red plane, then green, then blue, each line by line.
    for number, channel, line, column in [(0, 0, 0, 0), (3, 2, 5, 1), (-1, 1, size - 1, 7), (2, 0, 9, size - 1)]:
        assert images.pixels[number, channel, line, column] == rows[number, channel * size**2 + line * size + column]
    assert images.pixels.flatten(1).tolist() == rows.tolist()
    assert images.labels.dtype == torch.int64
    assert images.labels.tolist() == [label - (dataset == "ImageNet16-120") for label in labels]


def test_imagenet_classes_beyond_the_first_120_are_left_out(folder):
    labels = [1, 120, 121, 1000, 60] * 8
    rows, _ = write_archive(folder, "ImageNet16-120", labels=labels)
    images = load_images("ImageNet16-120")
    assert images.labels.tolist() == [0, 119, 59] * 8
    assert images.pixels.flatten(1).tolist() == [
        row.tolist() for row, label in zip(rows, labels, strict=True) if label <= 120
    ]
    assert images.description == "ImageNet training images at 16 pixels, first 120 classes"


def test_tiny_imagenet_stands_in_for_imagenet(folder):
    pictures, labels = write_tiny_imagenet(folder)
    images = load_images("ImageNet16-120")
    kept = labels < 120
    assert 0 < kept.sum() < len(kept)
    assert images.labels.tolist() == labels[kept].tolist()
    assert images.pixels.dtype == torch.uint8
    assert images.pixels.permute(0, 2, 3, 1).tolist() == pictures[kept].tolist()
    assert "Tiny ImageNet" in images.description
    assert "stand-in" in images.description


def test_cifar10_with_random_labels_stands_in_for_cifar100(folder):
    rows, _ = write_archive(folder, "cifar10")
    images = load_images("cifar100")
    assert images.dataset == "cifar100"
    assert images.pixels.flatten(1).tolist() == rows.tolist()
    assert images.labels.shape == (len(rows),)
    assert set(images.labels.tolist()) <= set(range(100))
    assert images.labels.max() > 9
    assert images.labels.equal(load_images("cifar100").labels)
    assert images.description.startswith("CIFAR-10 training images")
    assert images.description.endswith("with random labels, a stand-in for CIFAR-100")


def test_no_stand_in_beside_files_of_the_data_set_itself_nor_for_its_test_images(folder):
    write_archive(folder, "cifar10")
    with pytest.raises(NbnasError, match="no test images of cifar100"):
        load_images("cifar100", "test")
    (folder / "cifar-100-python").mkdir()
    assert one_line("cifar100").startswith("no images of cifar100")


def test_cifar100_itself_is_preferred(folder):
    write_archive(folder, "cifar10")
    write_archive(folder, "cifar100")
    assert load_images("cifar100").description == "CIFAR-100 training images"


def test_imagenet_itself_is_preferred(folder):
    write_tiny_imagenet(folder)
    rows, _ = write_archive(folder, "ImageNet16-120")
    images = load_images("ImageNet16-120")
    assert images.pixels.flatten(1).tolist() == rows.tolist()
    assert "Tiny" not in images.description


@pytest.mark.parametrize("distributed", [True, False])
def test_description_says_whether_the_cifar10_files_are_the_distributed_ones(folder, monkeypatch, distributed):
    write_archive(folder, "cifar10")
    if distributed:
        digest = hashlib.md5((folder / "cifar-10-batches-py" / "data_batch_1").read_bytes()).hexdigest()
        monkeypatch.setattr(images_module, "_CIFAR10_MD5", digest)
    description = load_images("cifar10").description
    assert description == describe_images("cifar10")
    assert description.startswith("CIFAR-10 training images")
    assert ("re-encoded" in description) is not distributed


def test_a_relative_folder_will_do(folder, monkeypatch):
    write_archive(folder, "cifar100")
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("NBNAS_DATA", "data")
    assert len(load_images("cifar100").pixels) == 4


# -------------------------------------------------------------------------------------------------------------- errors


def one_line(dataset):
    with pytest.raises(NbnasError) as caught:
        load_images(dataset)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("dataset", "wanted"),
    [
        ("cifar10", "cifar-10-batches-py"),
        ("cifar100", "cifar-100-python or cifar-10-batches-py"),
        ("ImageNet16-120", "ImageNet16 or tinyimagenet_val_16x16.npz"),
    ],
)
@pytest.mark.parametrize("value", [None, "", "empty folder"])
def test_absent_images_name_the_remedy(folder, monkeypatch, dataset, wanted, value):
    if value is None:
        monkeypatch.delenv("NBNAS_DATA")
    elif not value:
        monkeypatch.setenv("NBNAS_DATA", value)
    assert one_line(dataset) == f"no images of {dataset}: set NBNAS_DATA to a folder with {wanted}"
    assert describe_images(dataset) is None


def test_mistyped_folder_is_named(folder, monkeypatch):
    monkeypatch.setenv("NBNAS_DATA", str(folder / "typo"))
    assert one_line("cifar10") == f"NBNAS_DATA names {folder / 'typo'}, which is not a folder"
    assert describe_images("cifar10") is None


def test_unknown_data_set_is_refused(folder):
    assert one_line("mnist").startswith("no real images are known for 'mnist'; choose from cifar10, cifar100, Image")


DAMAGES = {
    "empty": lambda content: b"",
    "cut short": lambda content: content[:-100],
    "text": lambda content: b"404: not found\n",
    "list": lambda content: pickle.dumps([1, 2]),
    "no labels": lambda content: pickle.dumps({"data": np.zeros((4, 3072), np.uint8)}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_file_is_named(folder, damage):
    write_archive(folder, "cifar10")
    path = folder / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(damage(path.read_bytes()))
    assert one_line("cifar10").startswith(f"{path} is not a batch of cifar10: ")


def test_missing_file_is_named(folder):
    write_archive(folder, "ImageNet16-120")
    # Not the stand-in instead: the first file is there.
    write_tiny_imagenet(folder)
    path = folder / "ImageNet16" / "train_data_batch_7"
    path.unlink()
    message = one_line("ImageNet16-120")
    assert message.startswith(f"{path} is not a batch of ImageNet16-120: FileNotFoundError")


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        (np.zeros((4, 3 * 31**2), np.uint8), [0] * 4, "does not hold images of 32 pixels"),
        (np.zeros((4, 3072), np.uint8), [0] * 3, r"holds images (4, 3, 32, 32) with labels (3,)"),
        (np.zeros((4, 3072), np.uint8), [[0]] * 4, r"holds images (4, 3, 32, 32) with labels (4, 1)"),
    ],
    ids=["resolution", "number of labels", "shape of labels"],
)
def test_images_and_labels_must_fit(folder, data, labels, message):
    write_archive(folder, "cifar100")
    path = folder / "cifar-100-python" / "train"
    path.write_bytes(pickle.dumps({"data": data, "fine_labels": labels}))
    assert message in one_line("cifar100")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"404: not found\n", "cannot be read"),
        (b"", "cannot be read"),
        ({"images": np.zeros((2, 16, 16, 3), np.uint8)}, "cannot be read"),
        ({"images": np.zeros((2, 16, 16), np.uint8), "labels": np.zeros(2, int)}, "cannot be read"),
        ({"images": np.zeros((2, 16, 16, 3), np.uint8), "labels": np.zeros(3, int)}, "with labels (3,)"),
        ({"images": np.zeros((2, 64, 64, 3), np.uint8), "labels": np.zeros(2, int)}, "images (2, 3, 64, 64)"),
        ({"images": np.array([{}, {}]), "labels": np.zeros(2, int)}, "cannot be read"),
    ],
    ids=["text", "empty", "no labels", "no channels", "number of labels", "resolution", "pickled objects"],
)
def test_damaged_stand_in_is_named(folder, content, message):
    path = folder / "tinyimagenet_val_16x16.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    found = one_line("ImageNet16-120")
    assert found.startswith(str(path))
    assert message in found


class MakesFolder:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


MALICIOUS = {
    "as a key's value": lambda path: pickle.dumps({"data": MakesFolder(path), "labels": []}, protocol=4),
    "protocol 2": lambda path: pickle.dumps({"data": MakesFolder(path), "labels": []}, protocol=2),
    "inside an array": lambda path: pickle.dumps({"data": np.array([MakesFolder(path)]), "labels": [0]}),
    "another function of numpy": lambda path: b"cnumpy\nsave\n(V%s.npy\nI1\ntR." % str(path).encode(),
    # What it names exists, but importing the module runs a program, and prints its help.
    "a module of numpy": lambda path: b"cnumpy.f2py.__main__\ndtype\n.",
}


@pytest.mark.parametrize("pickled", MALICIOUS.values(), ids=MALICIOUS)
def test_malicious_pickle_is_refused_and_runs_nothing(folder, tmp_path, capsys, pickled):
    write_archive(folder, "cifar10")
    (folder / "cifar-10-batches-py" / "data_batch_2").write_bytes(pickled(tmp_path / "made"))
    assert "UnpicklingError: refuses to load" in one_line("cifar10")
    assert not list(tmp_path.glob("made*"))
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------------------------------------------------- batches

MEAN = {
    "cifar10": (125.3, 123.0, 113.9),
    "cifar100": (129.3, 124.1, 112.4),
    "ImageNet16-120": (122.68, 116.66, 104.01),
}
DEVIATION = {
    "cifar10": (63.0, 62.1, 66.7),
    "cifar100": (68.2, 65.4, 70.4),
    "ImageNet16-120": (63.22, 61.26, 65.09),
}
"""Copied from the training code of NATS-Bench."""


def numbered_images(count, dataset="cifar10"):
    """Random pictures, each labelled by its number."""
    size = RESOLUTION[dataset]
    pixels = torch.randint(256, (count, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Images(dataset, "made up", pixels, torch.arange(count))


def equal(first, second):
    return len(first) == len(second) and all(
        torch.equal(a, b) for one, other in zip(first, second, strict=True) for a, b in zip(one, other, strict=True)
    )


def test_batches_depend_on_their_seed_alone():
    images = numbered_images(40)
    drawn = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        drawn.append(images.batches(4, 3, seed=5))
        assert torch.equal(torch.get_rng_state(), before)
    assert equal(*drawn)
    other = images.batches(4, 3, seed=6)
    assert other[0][1].tolist() != drawn[0][0][1].tolist()


def test_more_batches_begin_with_fewer():
    """Else a score would depend on how many batches the proxies need that are scored beside it."""
    images = numbered_images(40)
    three = images.batches(4, 3, seed=0)
    for count in range(4):
        assert equal(images.batches(4, count, seed=0), three[:count])


def test_no_image_is_drawn_twice():
    labels = torch.cat([labels for _, labels in numbered_images(30).batches(5, 6, seed=0)])
    assert sorted(labels.tolist()) == list(range(30))
    assert labels.tolist() != list(range(30))


@pytest.mark.parametrize("dataset", FILES)
def test_batches_have_the_shape_of_the_data_set(dataset):
    batches = numbered_images(12, dataset).batches(4, 2, seed=0)
    assert len(batches) == 2
    for inputs, labels in batches:
        assert inputs.shape == (4, 3, RESOLUTION[dataset], RESOLUTION[dataset])
        assert inputs.dtype == torch.float32
        assert labels.shape == (4,)
        assert labels.dtype == torch.int64


def augmentations(picture, dataset):
    """Every picture that flip and crop can make of one: (flip, top, left) -> (3, R, R), by the letter."""
    size = picture.shape[-1]
    margin = {32: 4, 16: 2}[size]
    normalised = np.stack([(picture[c] - MEAN[dataset][c]) / DEVIATION[dataset][c] for c in range(3)])
    made = {}
    for flip in (False, True):
        padded = np.zeros((3, size + 2 * margin, size + 2 * margin))
        padded[:, margin : margin + size, margin : margin + size] = normalised[:, :, ::-1] if flip else normalised
        for top in range(2 * margin + 1):
            for left in range(2 * margin + 1):
                made[flip, top, left] = padded[:, top : top + size, left : left + size]
    return made


@pytest.mark.parametrize("dataset", FILES)
def test_images_are_normalised_flipped_and_cropped(dataset):
    images = numbered_images(90, dataset)
    drawn = []
    for inputs, labels in images.batches(30, 3, seed=0):
        for picture, label in zip(inputs.double().numpy(), labels.tolist(), strict=True):
            possible = augmentations(images.pixels[label].double().numpy(), dataset)
            (found,) = [how for how, made in possible.items() if np.abs(made - picture).max() < 1e-5]
            drawn.append(found)
    flips, tops, lefts = zip(*drawn, strict=True)
    # Half are flipped, up to three standard deviations.
    assert 45 - 15 < sum(flips) < 45 + 15
    places = set(range(RESOLUTION[dataset] // 4 + 1))
    assert set(tops) == set(lefts) == places
    assert abs(np.corrcoef(tops, lefts)[0, 1]) < 0.4
    # Nor do batches repeat each other's draws.
    assert len({tuple(drawn[start : start + 30]) for start in (0, 30, 60)}) == 3


def test_normalisation_of_one_pixel():
    """A grey image: what is not padding is (100 - mean) / deviation, whatever the flip and the crop."""
    grey = Images("cifar10", "grey", torch.full((1, 3, 32, 32), 100, dtype=torch.uint8), torch.zeros(1))
    ((inputs, _),) = grey.batches(1, 1, seed=0)
    expected = [(100 - 125.3) / 63.0, (100 - 123.0) / 62.1, (100 - 113.9) / 66.7]
    assert inputs[0, :, 16, 16].tolist() == pytest.approx(expected, abs=1e-6)


def test_too_few_images_are_a_one_line_error():
    images = numbered_images(10)
    assert len(images.batches(5, 2, seed=0)) == 2
    with pytest.raises(NbnasError, match=r"^3 batches of 4 need more than the 10 images of made up$"):
        images.batches(4, 3, seed=0)


# ------------------------------------------------------------------------------------------------------------- scoring

ON_IMAGES = Setting(batch_size=4, inputs="images")
PROXIES = ["trainable_layers", "grad_norm", "zico"]
"""They read no batch, one and two."""


@pytest.fixture
def score_on_images(tmp_path):
    """Score into a fresh store in threads of this process."""

    def run(archs, proxies, store, workers=1, configuration=ON_IMAGES):
        with ThreadPoolExecutor(workers) as executor:
            options = {"store": tmp_path / store, "workers": Workers(executor, workers), "progress": False}
            return score_many(archs, proxies, configuration, **options)

    return run


def assert_same_rows(first, second):
    assert set(first) == set(second)
    for name, rows in first.items():
        pd.testing.assert_frame_equal(
            rows.drop(columns="seconds"), second[name].drop(columns="seconds"), check_exact=True
        )


@pytest.fixture
def cifar10(folder):
    write_archive(folder, "cifar10", per_file=6)
    return folder


def test_any_order_and_number_of_workers_gives_the_same_rows(cifar10, score_on_images):
    whole = score_on_images(CELLS, PROXIES, "whole")
    for name in PROXIES:
        assert whole[name]["status"].tolist() == ["ok"] * 3
    assert whole["grad_norm"]["grad_norm"].nunique() == 3
    assert_same_rows(score_on_images(CELLS[::-1], PROXIES, "reversed", workers=2), whole)


def test_scores_on_images_do_not_depend_on_the_other_proxies(cifar10, score_on_images):
    together = score_on_images(CELLS[:1], PROXIES, "together")
    for name in PROXIES:
        assert_same_rows(score_on_images(CELLS[:1], name, name), {name: together[name]})


def test_rows_are_direct_scores_of_batches_from_the_derived_seed(cifar10, score_on_images):
    rows = score_on_images(CELLS[:1], ["grad_norm", "zico"], "store")
    seed = derive_seed(0, "nasbench201", CELLS[0])
    batches = load_images("cifar10").batches(4, 2, seed)
    # In the same layout: rounding alone moves ZiCo of two small batches by a percent.
    network = SPACE.build(CELLS[0]).to(memory_format=torch.channels_last)
    direct = nbnas.score(network, ["grad_norm", "zico"], batches=batches, seed=seed).value
    for name in ("grad_norm", "zico"):
        assert rows[name][name][0] == pytest.approx(direct[name], rel=1e-6)
    noise = nbnas.score(network, "grad_norm", input_shape=(4, 3, 32, 32), num_classes=10, seed=seed).value
    assert rows["grad_norm"]["grad_norm"][0] != pytest.approx(noise["grad_norm"], rel=1e-2)


def test_sidecar_names_the_images(cifar10, score_on_images, tmp_path):
    score_on_images(CELLS[:1], "grad_norm", "store")
    record = ON_IMAGES.table("grad_norm", tmp_path / "store").provenance()
    assert record["configuration"]["inputs"] == "images"
    assert [run["images"] for run in record["runs"]] == [describe_images("cifar10")]
    assert "CIFAR-10 training images" in record["runs"][0]["images"]


def test_sidecar_names_the_stand_in(folder, score_on_images, tmp_path):
    write_tiny_imagenet(folder)
    configuration = Setting(dataset="ImageNet16-120", batch_size=4, inputs="images")
    score_on_images(CELLS[:1], "grad_norm", "store", configuration=configuration)
    (run,) = configuration.table("grad_norm", tmp_path / "store").provenance()["runs"]
    assert "stand-in for ImageNet16-120" in run["images"]


def test_sidecar_of_noise_names_no_images(cifar10, score_on_images, tmp_path):
    noise = Setting(batch_size=4)
    score_on_images(CELLS[:1], "params", "store", configuration=noise)
    (run,) = noise.table("params", tmp_path / "store").provenance()["runs"]
    assert "images" not in run
    assert not Path(ON_IMAGES.table("params", tmp_path / "store").parquet).exists()


def test_batches_larger_than_the_data_set_are_a_one_line_error(cifar10, score_on_images):
    configuration = Setting(batch_size=16, inputs="images")
    rows = score_on_images(CELLS[:1], "grad_norm", "store", configuration=configuration)["grad_norm"]
    assert rows["status"].tolist() == ["ok"]
    with pytest.raises(NbnasError, match=r"^2 batches of 16 need more than the 30 images of CIFAR-10 training images"):
        score_on_images(CELLS[:1], "zico", "store", configuration=configuration)


@pytest.mark.slow
def test_process_pool_reads_the_images_itself(cifar10, score_on_images, tmp_path):
    pooled = score_many(
        CELLS[:2], "grad_norm", ON_IMAGES, store=tmp_path / "pooled", workers=Workers(number=2), progress=False
    )
    assert_same_rows(pooled, score_on_images(CELLS[:2], "grad_norm", "store"))


def test_images_of_a_data_set_that_the_space_does_not_list(cifar10):
    ((inputs, labels),) = Setting("mobilenetv2", "cifar10", 2, "images", num_classes=10).batches(seed=0)
    assert (inputs.shape, labels.max() < 10) == ((2, 3, 32, 32), True)
