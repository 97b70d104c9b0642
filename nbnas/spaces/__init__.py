"""Search spaces by name."""

from functools import cache

from nbnas.errors import NbnasError
from nbnas.spaces.nasbench1shot1 import NasBench1Shot1SS1, NasBench1Shot1SS2, NasBench1Shot1SS3
from nbnas.spaces.nasbench101 import NasBench101
from nbnas.spaces.nasbench201 import NasBench201
from nbnas.spaces.nasbench301 import NasBench301
from nbnas.spaces.nasbench_macro import NasBenchMacro
from nbnas.spaces.nats_sss import NatsSizeSpace
from nbnas.spaces.space import EnumeratedSpace, SearchSpace
from nbnas.spaces.super_blocks.space import MobileNetV2Space, ZenResNetSpace
from nbnas.spaces.transnasbench101 import TransNasBench101Macro, TransNasBench101Micro

SPACES: dict[str, type[SearchSpace]] = {
    space.name: space
    for space in (
        NasBench201,
        NatsSizeSpace,
        NasBench101,
        NasBench1Shot1SS1,
        NasBench1Shot1SS2,
        NasBench1Shot1SS3,
        NasBench301,
        NasBenchMacro,
        TransNasBench101Micro,
        TransNasBench101Macro,
        ZenResNetSpace,
        MobileNetV2Space,
    )
}
"""Name -> search space; :func:`get_space` makes one."""


@cache
def get_space(name: str) -> SearchSpace:
    """Return the search space called ``name``; raises :class:`NbnasError` for an unknown one."""
    if name not in SPACES:
        raise NbnasError(f"unknown search space {name!r}; choose from {', '.join(SPACES)}")
    return SPACES[name]()


__all__ = ["SPACES", "EnumeratedSpace", "SearchSpace", "get_space"]
