"""Keeping freed memory for the next tensors instead of returning it to the system."""

import ctypes

_TRIM_THRESHOLD, _MAP_THRESHOLD, _ARENAS = -1, -3, -8
"""Numbers of parameters in glibc's malloc.h."""


def keep_freed_memory() -> None:
    """Let this process keep up to 2 GiB that it has freed; without glibc, do nothing.

    A network's tensors are freed and made again all the time, and the system clears every page that it hands out anew:
    an eighth of the time of scoring on a CPU. This is a matter of the whole process, so only those that nbnas starts
    itself ask for it.
    """
    try:
        set_parameter = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    set_parameter(_TRIM_THRESHOLD, 2**31 - 1)
    set_parameter(_MAP_THRESHOLD, 2**25)  # The most that it accepts; larger tensors are rare.
    set_parameter(_ARENAS, 1)  # The heaps of threads that are not the first are small, and given back when empty.
