"""A table of trained accuracies."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nbnas.errors import NbnasError


@dataclass(frozen=True)
class Benchmark:
    """Trained accuracies in percent, one row per architecture."""

    source: str
    description: str
    """One line to print beside every number that rests on this table."""
    table: pd.DataFrame
    """With a column ``arch``; where the space can be listed, in the order of its indices."""
    accuracy_columns: dict[str, str]
    """Data set -> column to rank against, for the data sets that the source has."""
    deviation: str = ""
    """Why numbers that rest on this table may deviate from published ones; empty for the papers' own accuracies."""
    hint: str = ""
    """What to do for the data sets that the source lacks."""

    @property
    def archs(self) -> list[str]:
        """Architectures, in the order of the rows."""
        return self.table["arch"].tolist()

    def accuracy(self, dataset: str) -> np.ndarray:
        """Return the accuracies in percent of all rows.

        Raises:
            NbnasError: If the source lacks the data set; the message says which source has it.
        """
        if dataset not in self.accuracy_columns:
            raise NbnasError(f"{dataset} test accuracies are not in source {self.source!r}: {self.hint}")
        return self.table[self.accuracy_columns[dataset]].to_numpy(copy=True)
