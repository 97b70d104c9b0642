"""The network of a recipe."""

from torch import nn

from nbnas.errors import NbnasError
from nbnas.spaces import get_space
from nbnas.spaces.block_space import BlockSpace
from nbnas.training.recipe import Recipe


def build_network(space: str, arch: str, num_classes: int, recipe: Recipe) -> nn.Module:
    """Build an architecture as the recipe trains it; its weights are yet to be drawn.

    Args:
        space: Name of the search space.
        arch: Architecture; a structure string in the block spaces.
        num_classes: Number of logits.
        recipe: Says whether the network has squeeze-excitation.

    Raises:
        NbnasError: If space or architecture are malformed, or squeeze-excitation is not the space's.
    """
    found = get_space(space)
    if not recipe.squeeze_excite:
        return found.build(found.normalise(arch), num_classes)
    if not isinstance(found, BlockSpace):
        raise NbnasError(f"networks of {space!r} have no squeeze-excitation; train without it: -p squeeze_excite false")
    return found.build(found.normalise(arch), num_classes, squeeze_excite=True)
