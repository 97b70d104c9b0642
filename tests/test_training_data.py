"""Images to train on: CIFAR files, and the tree of ImageNet."""

import builtins

import numpy as np
import pytest
import torch
from PIL import Image

from nbnas.datasets.images import Images, PictureFiles, random_box
from nbnas.errors import NbnasError
from nbnas.training import load_data
from tests.training_data import write_cifar10, write_imagenet


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    monkeypatch.delenv("NBNAS_DATA", raising=False)


# --------------------------------------------------------------------------------------------------------------- CIFAR


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_both_splits_of_cifar10_are_read(tmp_path, monkeypatch, by):
    rows, labels = write_cifar10(tmp_path)
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path) if by == "environment" else "elsewhere")
    data = load_data("cifar10", 32, tmp_path if by == "argument" else None)
    assert data.num_classes == 10
    assert len(data.train.labels) == 160
    assert data.test.labels.tolist() == labels.tolist()
    expected = torch.from_numpy(rows[3].reshape(3, 32, 32)).float() / 255
    assert torch.equal(data.test.test_crop(3), expected)
    assert "160 to train and 50 to test" in data.description


def test_training_crops_are_of_the_framed_image():
    pixels = torch.randint(1, 256, (1, 3, 32, 32), dtype=torch.uint8, generator=generator())
    images = Images("cifar10", "made up", pixels, torch.tensor([0]))
    framed = torch.zeros(3, 40, 40)
    framed[:, 4:36, 4:36] = pixels[0] / 255
    seen = set()
    for seed in range(300):
        crop = images.training_crop(0, generator(seed))
        places = [
            (top, left)
            for top in range(9)
            for left in range(9)
            if torch.equal(crop, framed[:, top : top + 32, left : left + 32])
        ]
        assert len(places) == 1
        seen.update(places)
    assert {top for top, _ in seen} == {left for _, left in seen} == set(range(9))


def test_subsets_are_drawn_once_and_for_all(tmp_path):
    write_cifar10(tmp_path)
    everything = load_data("cifar10", 32, tmp_path)
    few, again = (load_data("cifar10", 32, tmp_path, 40, 7) for _ in range(2))
    assert torch.equal(few.train.pixels, again.train.pixels)
    assert (len(few.train.labels), len(few.test.labels)) == (40, 7)
    numbers = {image.numpy().tobytes(): row for row, image in enumerate(everything.train.pixels)}
    rows = [numbers[image.numpy().tobytes()] for image in few.train.pixels]
    assert len(set(rows)) == 40
    assert rows != list(range(40))
    assert torch.equal(few.train.labels, everything.train.labels[rows])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mnist", 32), "no data set 'mnist' to train on; choose from cifar10, cifar100, imagenet"),
        (("cifar10", 224), "images of cifar10 have 32 pixels, not the 224 of the recipe"),
        (("cifar10", 32, None, 161), "train images must be 1 to the 160 that there are, got 161"),
        (("cifar10", 32, None, None, 0), "test images must be 1 to the 50 that there are, got 0"),
        (("cifar100", 32), "no test images of cifar100: set NBNAS_DATA to a folder with cifar-100-python/test"),
        (("imagenet", 224), "no train images of imagenet: set NBNAS_DATA to a folder with imagenet/train/CLASS/*.JPEG"),
    ],
)
def test_what_is_missing_is_named(tmp_path, monkeypatch, arguments, message):
    write_cifar10(tmp_path)
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path))
    with pytest.raises(NbnasError) as caught:
        load_data(*arguments)
    assert str(caught.value) == message


def test_missing_test_images_are_named(tmp_path):
    write_cifar10(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "test_batch").unlink()
    with pytest.raises(NbnasError, match=r"no test images of cifar10: .* has no cifar-10-batches-py/test_batch"):
        load_data("cifar10", 32, tmp_path)


# ------------------------------------------------------------------------------------------------------------ ImageNet


def test_tree_of_pictures_is_read(tmp_path):
    write_imagenet(tmp_path)
    (tmp_path / "imagenet" / "train" / "n02" / "notes.txt").write_text("not a picture")
    (tmp_path / "imagenet" / "train" / "empty").mkdir()
    data = load_data("imagenet", 24, tmp_path)
    assert data.num_classes == 3
    assert data.train.labels.tolist() == [0] * 12 + [1] * 12 + [2] * 12
    assert data.test.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    for index in range(6):
        for crop in (data.train.training_crop(index, generator(index)), data.test.test_crop(index)):
            assert crop.shape == (3, 24, 24)
            assert 0 <= crop.min() <= crop.max() <= 1
    means = torch.stack([data.test.test_crop(index).mean((1, 2)) for index in range(18)]).view(3, 6, 3)
    # Pictures of a class share its colour, and classes do not.
    assert means.std(1).max() < 0.02
    assert (means.mean(1)[0] - means.mean(1)[1]).abs().max() > 0.1


def test_shadow_files_of_macos_are_no_pictures(tmp_path):
    write_imagenet(tmp_path)
    expected = load_data("imagenet", 24, tmp_path).train.labels.tolist()
    (tmp_path / "imagenet" / "train" / "n02" / "._0.JPEG").write_bytes(bytes(60))
    assert load_data("imagenet", 24, tmp_path).train.labels.tolist() == expected


def test_grey_and_transparent_pictures_become_colours(tmp_path):
    for name, mode in (("grey.png", "L"), ("transparent.png", "RGBA"), ("palette.png", "P")):
        Image.new(mode, (40, 50)).save(tmp_path / name)
        crop = PictureFiles([tmp_path / name], torch.tensor([0]), 16).test_crop(0)
        assert crop.shape == (3, 16, 16)


def test_test_crop_is_the_central_part(tmp_path):
    # Brightness is the column: a crop of 0.875 x 64 = 56 columns from the middle of 100 begins with number 22.
    columns = np.broadcast_to(np.arange(100, dtype=np.uint8), (64, 100))
    Image.fromarray(np.stack([columns] * 3, -1)).save(tmp_path / "ramp.png")
    crop = PictureFiles([tmp_path / "ramp.png"], torch.tensor([0]), 56).test_crop(0) * 255
    expected = torch.arange(22, 78).float().expand(3, 56, 56)
    assert torch.equal(crop, expected)


def test_random_boxes_have_the_published_areas_and_ratios():
    boxes = np.array([random_box(120, 90, generator(seed)) for seed in range(2000)])
    left, top, right, bottom = boxes.T
    assert left.min() >= 0
    assert top.min() >= 0
    assert right.max() <= 120
    assert bottom.max() <= 90
    width, height = right - left, bottom - top
    area, ratio = width * height / (120 * 90), width / height
    assert 0.07 < area.min() < 0.1
    assert area.max() > 0.85
    assert 0.7 < ratio.min() < 0.78
    assert 1.29 < ratio.max() < 1.4
    # Where every draw fits, areas are uniform up to what does not.
    small = area[area < 0.5]
    assert np.histogram(small, bins=4, range=(0.08, 0.5))[0].min() > 0.8 * len(small) / 4


@pytest.mark.parametrize(("width", "height"), [(1000, 10), (10, 1000)])
def test_box_of_a_narrow_picture_is_central(width, height):
    # No random box fits: the smallest has 8 % of the area.
    left, top, right, bottom = random_box(width, height, generator())
    assert (left + right, top + bottom) == (width, height)
    assert max(right - left, bottom - top) / min(right - left, bottom - top) == pytest.approx(4 / 3)


def test_class_that_only_the_test_images_have_is_refused(tmp_path):
    write_imagenet(tmp_path)
    (tmp_path / "imagenet" / "train" / "n02").rename(tmp_path / "imagenet" / "train" / "n04")
    with pytest.raises(NbnasError, match="imagenet/val has a class 'n02' that the training images lack"):
        load_data("imagenet", 24, tmp_path)


def test_broken_picture_is_named(tmp_path):
    write_imagenet(tmp_path)
    data = load_data("imagenet", 24, tmp_path)
    data.test.paths[0].write_bytes(b"not a picture")
    with pytest.raises(NbnasError, match=r"imagenet/val/n01/picture_0.JPEG is not a picture: "):
        data.test.test_crop(0)


def test_absent_pillow_is_named(tmp_path, monkeypatch):
    write_imagenet(tmp_path)
    real = builtins.__import__

    def without_pillow(name, *arguments, **keywords):
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(NbnasError, match=r"picture files need pillow: pip install 'nbnas\[train\]'"):
        load_data("imagenet", 24, tmp_path)
