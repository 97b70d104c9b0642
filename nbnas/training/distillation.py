"""Distillation from a pretrained teacher, as the published ImageNet recipe has it.

To the cross-entropy with the labels come, with the recipe's weights:

- on features: the sum over the down-sampling ratios r >= 16 of the smooth-L1 distance, averaged over all elements,
  between the teacher's features and a 1x1 convolution of the student's;
- on logits: the cross-entropy of the student's probabilities q with the teacher's p, -sum_k p_k ln q_k.

The student's features at a ratio are those of its last super block there but for the tail; the teacher's are averaged
over the student's grid, which is coarser because teachers see larger images. Both choices are ours.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from nbnas.datasets.training_images import ImageData
from nbnas.errors import NbnasError, first_line
from nbnas.networks.initialisation import torch_default
from nbnas.spaces.super_blocks.network import BlockNetwork
from nbnas.training.recipe import Recipe

SMALLEST_RATIO = 16


class TeacherOutputs(NamedTuple):
    """What a teacher says of a batch: logits, and down-sampling ratio -> features (batch, channels, height, width)."""

    logits: Tensor
    features: dict[int, Tensor]


class Teacher:
    """The recipe's teacher, a timm model with frozen weights, which timm downloads once.

    Raises:
        NbnasError: If timm is missing or cannot be imported, has no such model or no weights of it, or the model has
            another number of classes than the data.
    """

    def __init__(self, recipe: Recipe, data: ImageData, device: torch.device) -> None:
        self._network = _load(recipe.teacher).to(device).eval().requires_grad_(False)
        self._resolution = recipe.teacher_resolution
        if self._network.num_classes != data.num_classes:
            raise NbnasError(
                f"the teacher {recipe.teacher!r} knows {self._network.num_classes} classes, the data have "
                f"{data.num_classes}; train without it: -p teacher none"
            )
        own = self._network.pretrained_cfg
        mean, deviation, own_mean, own_deviation = (
            torch.tensor(values, dtype=torch.float64, device=device).view(3, 1, 1)
            for values in (data.mean, data.deviation, own["mean"], own["std"])
        )
        self._scale = (deviation / own_deviation).float()
        self._shift = ((mean - own_mean) / own_deviation).float()

    @torch.no_grad()
    def __call__(self, images: Tensor) -> TeacherOutputs:
        """Return logits and features of normalised images (batch, 3, R, R), after bilinear interpolation."""
        images = functional.interpolate(
            images * self._scale + self._shift, size=(self._resolution,) * 2, mode="bilinear", align_corners=False
        )
        last, maps = self._network.forward_intermediates(images)
        features = {round(self._resolution / each.shape[-1]): each for each in maps}
        features = {ratio: each for ratio, each in features.items() if ratio >= SMALLEST_RATIO}
        return TeacherOutputs(self._network.forward_head(last), features)

    def channels(self) -> dict[int, int]:
        """Down-sampling ratio -> channels of the features."""
        outputs = self(torch.zeros(1, 3, self._resolution, self._resolution, device=self._scale.device))
        return {ratio: features.shape[1] for ratio, features in outputs.features.items()}


def _load(name: str) -> nn.Module:
    try:
        import timm
    # Beside a torch that it was not built for, torchvision, which timm imports, fails in ways of its own.
    except Exception as error:
        raise NbnasError(
            f"a teacher needs timm ({first_line(error)}): pip install 'nbnas[distillation]', or train without it: "
            "-p teacher none"
        ) from error
    try:
        return timm.create_model(name, pretrained=True)
    except Exception as error:
        raise NbnasError(f"timm gives no pretrained model {name!r}: {first_line(error)}") from error


class Distillation(nn.Module):
    """The student's side of distillation: the 1x1 convolutions, drawn from a CPU generator, and the losses.

    ``channels`` maps the down-sampling ratio to the channels of the teacher's features; ratios that the student lacks
    are left out. ``resolution`` is the number of pixels of a side of the student's images.

    Raises:
        NbnasError: If student and teacher have no ratio in common.
    """

    def __init__(
        self, student: BlockNetwork, resolution: int, channels: Mapping[int, int], generator: Generator
    ) -> None:
        super().__init__()
        places = feature_blocks(student, resolution)
        self.places = {ratio: places[ratio] for ratio in channels if ratio in places}
        if not self.places:
            raise NbnasError(
                f"teacher and student have no features of the same size: down-sampling ratios {list(channels)} and "
                f"{list(places)}"
            )
        self.projections = nn.ModuleDict()
        for ratio, place in self.places.items():
            convolutions = [layer for layer in student.blocks[place][-1].layers if isinstance(layer, nn.Conv2d)]
            self.projections[str(ratio)] = nn.Conv2d(convolutions[-1].out_channels, channels[ratio], 1)
        torch_default(self.projections, generator)

    def feature_loss(self, features: Mapping[int, Tensor], teacher: TeacherOutputs) -> Tensor:
        """Return the loss on features; ``features`` maps the ratio to the student's."""
        losses = []
        for ratio in self.places:
            projected = self.projections[str(ratio)](features[ratio])
            wanted = functional.adaptive_avg_pool2d(teacher.features[ratio], projected.shape[-2:])
            losses.append(functional.smooth_l1_loss(projected.float(), wanted.float()))
        return torch.stack(losses).sum()

    def logit_loss(self, logits: Tensor, teacher: TeacherOutputs) -> Tensor:
        """Return the loss on logits."""
        return functional.cross_entropy(logits.float(), teacher.logits.float().softmax(-1))

    @contextmanager
    def recorded_features(self, student: BlockNetwork) -> Iterator[dict[int, Tensor]]:
        """Collect the student's features by ratio while it runs."""
        features: dict[int, Tensor] = {}
        handles = [
            student.blocks[place].register_forward_hook(
                lambda module, inputs, outputs, ratio=ratio: features.__setitem__(ratio, outputs)
            )
            for ratio, place in self.places.items()
        ]
        try:
            yield features
        finally:
            for handle in handles:
                handle.remove()


def feature_blocks(network: BlockNetwork, resolution: int) -> dict[int, int]:
    """Return down-sampling ratio (16 and more) -> number of the last super block of it, the tail left out."""
    ratio, places = 1, {}
    for place, block in enumerate(network.blocks[:-1]):
        for unit in block:
            for layer in unit.layers:
                ratio *= layer.stride[0] if isinstance(layer, nn.Conv2d) else 1
        if SMALLEST_RATIO <= ratio <= resolution:
            places[ratio] = place
    return places
