"""The loss that training minimises: cross-entropy with the labels, and distillation from a pretrained teacher.

A teacher adds two losses with the recipe's weights: on features, the sum over the down-sampling ratios r >= 16 of the
smooth-L1 distance, averaged over all elements, between the teacher's features and a 1x1 convolution of the student's;
on logits, the cross-entropy of the student's probabilities q with the teacher's p, -sum_k p_k ln q_k. The student's
features at a ratio are those of its last super block there but for the tail; the teacher's are averaged over the
student's grid, which is coarser because teachers see larger images. Both choices are ours.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from nbnas.datasets.images import ImageData
from nbnas.errors import NbnasError, first_line
from nbnas.networks.initialisation import torch_default
from nbnas.spaces.super_blocks.network import BlockNetwork
from nbnas.training.recipe import Recipe

SMALLEST_RATIO = 16


class Teacher:
    """The recipe's teacher, a timm model with frozen weights, which timm downloads once."""

    def __init__(self, recipe: Recipe, data: ImageData, device: torch.device) -> None:
        try:
            import timm
        # Beside a torch that it was not built for, torchvision, which timm imports, fails in ways of its own.
        except Exception as error:
            remedy = "pip install 'nbnas[distillation]', or train without it: -p teacher none"
            raise NbnasError(f"a teacher needs timm ({first_line(error)}): {remedy}") from error
        try:
            network = timm.create_model(recipe.teacher, pretrained=True)
        except Exception as error:
            raise NbnasError(f"timm gives no pretrained model {recipe.teacher!r}: {first_line(error)}") from error
        if network.num_classes != data.num_classes:
            classes = f"{network.num_classes} classes, the data have {data.num_classes}"
            raise NbnasError(f"the teacher {recipe.teacher!r} knows {classes}; train without it: -p teacher none")
        self._network = network.to(device).eval().requires_grad_(False)
        self._resolution = recipe.teacher_resolution
        colours = data.mean, data.deviation, network.pretrained_cfg["mean"], network.pretrained_cfg["std"]
        colours = torch.tensor(colours, dtype=torch.float64, device=device)
        mean, deviation, own_mean, own_deviation = colours.view(4, 3, 1, 1)
        self._scale = (deviation / own_deviation).float()
        self._shift = ((mean - own_mean) / own_deviation).float()

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """Return logits, and down-sampling ratio -> features (batch, channels, height, width), of resized images."""
        size = (self._resolution,) * 2
        images = functional.interpolate(images * self._scale + self._shift, size, mode="bilinear", align_corners=False)
        last, maps = self._network.forward_intermediates(images)
        features = {round(self._resolution / each.shape[-1]): each for each in maps}
        features = {ratio: each for ratio, each in features.items() if ratio >= SMALLEST_RATIO}
        return self._network.forward_head(last), features

    def channels(self) -> dict[int, int]:
        """Down-sampling ratio -> channels of the features."""
        _, features = self(torch.zeros(1, 3, self._resolution, self._resolution, device=self._scale.device))
        return {ratio: each.shape[1] for ratio, each in features.items()}


class Distillation(nn.Module):
    """The student's side of distillation: the 1x1 convolutions, drawn from a CPU generator, and the losses.

    Ratios that the student lacks at its ``resolution`` are left out; if it lacks all, :class:`NbnasError` is raised.
    """

    def __init__(self, student: BlockNetwork, resolution: int, teacher: Teacher, generator: Generator) -> None:
        super().__init__()
        self._teacher, channels, places = teacher, teacher.channels(), feature_blocks(student, resolution)
        self.places = {ratio: places[ratio] for ratio in channels if ratio in places}
        if not self.places:
            ratios = f"down-sampling ratios {list(channels)} and {list(places)}"
            raise NbnasError(f"teacher and student have no features of the same size: {ratios}")
        self.projections = nn.ModuleDict()
        for ratio, place in self.places.items():
            convolutions = [layer for layer in student.blocks[place][-1].layers if isinstance(layer, nn.Conv2d)]
            self.projections[str(ratio)] = nn.Conv2d(convolutions[-1].out_channels, channels[ratio], 1)
        torch_default(self.projections, generator)

    def forward(self, images: Tensor, logits: Tensor, features: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the losses on features and on logits, both the student's; ``features`` has them by ratio."""
        taught_logits, taught_features = self._teacher(images)
        losses = []
        for ratio in self.places:
            projected = self.projections[str(ratio)](features[ratio])
            wanted = functional.adaptive_avg_pool2d(taught_features[ratio], projected.shape[-2:])
            losses.append(functional.smooth_l1_loss(projected.float(), wanted.float()))
        on_logits = functional.cross_entropy(logits.float(), taught_logits.float().softmax(-1))
        return torch.stack(losses).sum(), on_logits

    @contextmanager
    def recorded_features(self, student: BlockNetwork) -> Iterator[dict[int, Tensor]]:
        """Collect the student's features by ratio while it runs."""
        features: dict[int, Tensor] = {}
        with ExitStack() as hooks:
            for ratio, place in self.places.items():
                # The loop's ratio by its value: all hooks run after the loop.
                keep = partial(lambda ratio, module, inputs, outputs: features.update({ratio: outputs}), ratio)
                hooks.enter_context(student.blocks[place].register_forward_hook(keep))
            yield features


def feature_blocks(network: BlockNetwork, resolution: int) -> dict[int, int]:
    """Return down-sampling ratio (16 and more) -> number of the last super block of it, the tail left out."""
    ratio, places = 1, {}
    for place, block in enumerate(network.blocks[:-1]):
        convolutions = [layer for unit in block for layer in unit.layers if isinstance(layer, nn.Conv2d)]
        ratio *= math.prod(layer.stride[0] for layer in convolutions)
        if SMALLEST_RATIO <= ratio <= resolution:
            places[ratio] = place
    return places


class Objective(nn.Module):
    """Cross-entropy of the logits with soft targets (batch, K), and with a teacher the losses of distillation.

    One module, as a process must know all of it to compute its share of the gradient.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, distillation: Distillation | None = None) -> None:
        super().__init__()
        self.model, self.distillation, self._recipe = model, distillation, recipe

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        distillation, recipe = self.distillation, self._recipe
        with nullcontext() if distillation is None else distillation.recorded_features(self.model) as features:
            logits = self.model(images)
        if not isinstance(logits, Tensor) or logits.shape != targets.shape:
            got = f"the shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
            raise NbnasError(f"the network must return logits of shape {tuple(targets.shape)}, got {got}")
        loss = functional.cross_entropy(logits.float(), targets)
        if distillation is None:
            return loss
        on_features, on_logits = distillation(images, logits, features)
        return loss + recipe.feature_weight * on_features + recipe.logit_weight * on_logits
