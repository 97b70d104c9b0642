"""Search spaces by name."""

from functools import cache

from nbnas.errors import NbnasError
from nbnas.spaces.nasbench201 import NasBench201

SPACES = {"nasbench201": NasBench201}


@cache
def get_space(name: str) -> NasBench201:
    """Return the search space called ``name``; raises :class:`NbnasError` for an unknown one."""
    if name not in SPACES:
        raise NbnasError(f"unknown search space {name!r}; choose from {', '.join(SPACES)}")
    return SPACES[name]()
