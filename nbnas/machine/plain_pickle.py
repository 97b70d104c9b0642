"""Reading pickles that a user brings: they may hold plain values and numpy arrays, and run no code."""

import pickle
import re
from collections.abc import Mapping
from typing import Any, BinaryIO

_PLAIN = {
    *(
        ("builtins", name)
        for name in ("set", "frozenset", "list", "dict", "tuple", "int", "float", "complex", "bytearray")
    ),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("_codecs", "encode"),
}
_OF_NUMPY = ("_reconstruct", "ndarray", "dtype", "_frombuffer", "scalar")


def load_plain(file: BinaryIO, stand_ins: Mapping[tuple[str, str], type] | None = None, **options: Any) -> Any:
    """Unpickle a file; ``stand_ins`` are classes to make in place of others, by (module, name).

    Raises :class:`pickle.UnpicklingError` for a class or function that is neither plain nor of numpy's arrays, before
    its module is imported.
    """
    return _Unpickler(file, stand_ins or {}, **options).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, stand_ins: Mapping[tuple[str, str], type], **options: Any) -> None:
        super().__init__(file, **options)
        self._stand_ins = stand_ins

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._stand_ins:
            return self._stand_ins[module, name]
        module = {"__builtin__": "builtins"}.get(module, module)  # Its name in Python 2.
        # Not any module of numpy: importing numpy.f2py.__main__, say, runs a program.
        from_numpy = re.fullmatch(r"numpy(\._?core\.(multiarray|numeric))?", module) and name in _OF_NUMPY
        if not from_numpy and (module, name) not in _PLAIN:
            raise pickle.UnpicklingError(f"refuses to load {module:.60}.{name:.60}")
        return super().find_class(module, name)
