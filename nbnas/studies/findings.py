"""The numbers that a study leaves behind, each under the keys by which its text finds it again."""

import math
from collections.abc import Hashable, Iterable
from typing import NamedTuple

import pandas as pd

from nbnas.errors import NbnasError
from nbnas.rankings import Estimate


class Finding(NamedTuple):
    """One number, the ends of its interval (NaN without one), and how many networks it was computed from."""

    value: float
    low: float
    high: float
    networks: int


class Findings:
    """A growing table of numbers under named keys, in which no number is missing and none is there twice.

    What breaks that, and keys that are not there, is an :class:`NbnasError`.

    >>> findings = Findings("section", "score")
    >>> findings.add("agreement", "flops", value=Estimate(0.62, 0.6, 0.64), networks=9445)
    >>> findings["agreement", "flops"].value
    0.62
    """

    def __init__(self, *keys: str) -> None:
        self._keys = keys
        self._found: dict[tuple[Hashable, ...], Finding] = {}

    def add(self, *keys: Hashable, value: float | Estimate, networks: int) -> None:
        """Keep one number under its keys, with its interval if it has one; it must be finite, and the first there."""
        name = self._check(keys)
        estimate = value if isinstance(value, Estimate) else Estimate(value)
        if keys in self._found:
            raise NbnasError(f"{name} is there already")
        if not math.isfinite(estimate.value):
            raise NbnasError(f"{name} must be a finite number, got {float(estimate.value)}")
        self._found[keys] = Finding(*map(float, estimate), int(networks))

    def __getitem__(self, keys: Hashable | tuple[Hashable, ...]) -> Finding:
        """Return the number under these keys."""
        keys = keys if isinstance(keys, tuple) else (keys,)
        name = self._check(keys)
        if keys not in self._found:
            raise NbnasError(f"no number for {name}")
        return self._found[keys]

    @property
    def table(self) -> pd.DataFrame:
        """A row per number in the order in which they came: the keys, ``value``, ``low``, ``high``, ``networks``."""
        rows = [(*keys, *finding) for keys, finding in self._found.items()]
        return pd.DataFrame(rows, columns=[*self._keys, *Finding._fields])

    def select(self, **keys: Hashable) -> pd.DataFrame:
        """Return the rows of the table with these keys, without the columns that are then all the same."""
        unknown = set(keys) - set(self._keys)
        if unknown:
            raise NbnasError(f"no key {', '.join(sorted(unknown))}; there are {', '.join(self._keys)}")
        table = self.table
        table = table[(table[list(keys)] == list(keys.values())).all(axis=1)]
        if table.empty:
            raise NbnasError("no number for " + ", ".join(f"{name} {key!r}" for name, key in keys.items()))
        return table.drop(columns=list(keys)).reset_index(drop=True)

    def with_intervals(self, index: str, columns: str, digits: int = 3, **keys: Hashable) -> pd.DataFrame:
        """Return selected numbers as text, "value (low to high)", or "value" where there is no interval.

        The values of the key ``index`` get a row each, those of ``columns`` a column; the others select. Two numbers
        in one cell are an error.
        """
        rows = self.select(**keys)
        if rows.duplicated([index, columns]).any():
            raise NbnasError(f"several numbers with the same {index} and {columns}; select by other keys, too")
        value, low, high = (rows[name].map(f"{{:.{digits}f}}".format) for name in ("value", "low", "high"))
        rows["text"] = value.where(rows["low"].isna(), value + " (" + low + " to " + high + ")")
        table = rows.pivot(index=index, columns=columns, values="text")
        return table.loc[rows[index].unique(), rows[columns].unique()].fillna("")

    def _check(self, keys: tuple[Hashable, ...]) -> str:
        """Return the keys in words."""
        if len(keys) != len(self._keys):
            raise NbnasError(f"a number has the keys {', '.join(self._keys)}, got {keys!r}")
        return ", ".join(f"{name} {key!r}" for name, key in zip(self._keys, keys, strict=True))


def span(values: Iterable[float], form: str = ".2f") -> str:
    """Return the smallest and the largest value in words, or one where both look alike in the ``form``.

    >>> span([0.31, 0.27, 0.29]), span([0.251, 0.249], ".0%")
    ('0.27 to 0.31', '25%')
    """
    values = list(values)
    return " to ".join(dict.fromkeys([f"{min(values):{form}}", f"{max(values):{form}}"]))
