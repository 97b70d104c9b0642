"""Reading pickles that a user brings: they may hold plain values and numpy arrays, and run no code."""

import pickle
import re
from collections.abc import Mapping
from typing import Any, BinaryIO

_TYPES = ("set", "frozenset", "list", "dict", "tuple", "int", "float", "complex", "bytearray")
_PLAIN = {
    *(("builtins", name) for name in _TYPES),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("_codecs", "encode"),
}
_OF_NUMPY = ("_reconstruct", "ndarray", "dtype", "_frombuffer", "scalar")

StandIns = Mapping[tuple[str, str], type]
"""(Module, name) of a class -> the class to make in its place."""


def load_plain(file: BinaryIO, stand_ins: StandIns | None = None, **options: Any) -> Any:
    """Unpickle a file of plain values and numpy arrays; where ``stand_ins`` are given, of their classes alone.

    Raises :class:`pickle.UnpicklingError` for any other class or function, before its module is imported.
    """
    return _Unpickler(file, stand_ins, **options).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, stand_ins: StandIns | None, **options: Any) -> None:
        super().__init__(file, **options)
        self._stand_ins = stand_ins

    def find_class(self, module: str, name: str) -> Any:
        if self._stand_ins is not None and (module, name) in self._stand_ins:
            return self._stand_ins[module, name]
        module = "builtins" if module == "__builtin__" else module  # Its name in Python 2.
        # Not any module of numpy: importing numpy.f2py.__main__, say, runs a program.
        of_numpy = re.fullmatch(r"numpy(\._?core\.(multiarray|numeric))?", module) and name in _OF_NUMPY
        if self._stand_ins is not None or not (of_numpy or (module, name) in _PLAIN):
            raise pickle.UnpicklingError(f"refuses to load {module:.60}.{name:.60}")
        return super().find_class(module, name)
