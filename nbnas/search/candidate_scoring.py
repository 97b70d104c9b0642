"""Scoring of one candidate, in this process or in a worker."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nbnas.errors import NbnasError
from nbnas.scoring.setting import Setting, lay_out, single_thread
from nbnas.scoring.timing import measure_latency

TOO_SLOW = "latency above the budget"
"""Status of a candidate that was measured and not scored."""

ScoreFunction = Callable[[str], float | Mapping[str, float]]
"""Architecture -> its score, or several by name."""


@dataclass(frozen=True)
class CandidateScorer:
    """Scores candidates; pickle can send it to another process if it can send what it holds."""

    scores: tuple[str, ...] | ScoreFunction
    """Names of scores of networks, or a function."""
    setting: Setting
    seed: int
    device: str
    latency: float | None
    """Largest latency in seconds; ``None`` measures none."""

    def __call__(self, arch: str, occurrence: int) -> dict[str, Any]:
        """Score one architecture, whose network was a candidate ``occurrence`` times before.

        Returns:
            ``values``: name -> number, NaN where it failed; ``status``: ``ok`` or the first other status of a score;
            ``seconds`` that it took; ``time`` at which it was done (UTC); ``latency`` in seconds if it is limited.

        Raises:
            NbnasError: If the function returns something else than numbers.
        """
        start = time.perf_counter()
        row: dict[str, Any] = {"values": {}, "status": "ok"}
        with single_thread():
            if self.latency is not None:
                row["latency"] = self._latency(arch)
            if self.latency is not None and row["latency"] > self.latency:
                row["status"] = TOO_SLOW
            elif callable(self.scores):
                row["values"] = _numbers(self.scores(arch), arch)
            elif self.scores:
                table = self.setting.score(arch, self.scores, self.seed, self.device, occurrence=occurrence)
                table = table.loc[list(self.scores)]
                row["values"] = table["value"].to_dict()
                row["status"] = next((status for status in table["status"] if status != "ok"), "ok")
        if row["status"] == "ok" and not all(map(math.isfinite, row["values"].values())):
            row["status"] = "non_finite"
        row["seconds"] = round(time.perf_counter() - start, 4)
        row["time"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        return row

    def _latency(self, arch: str) -> float:
        network = lay_out(self.setting.network(arch), self.device).to(self.device)
        return measure_latency(network, (1, *self.setting.input_shape[1:]), self.device)


def _numbers(returned: Any, arch: str) -> dict[str, float]:
    values = returned if isinstance(returned, Mapping) else {"score": returned}
    try:
        return {str(name): float(value) for name, value in values.items()}
    except (TypeError, ValueError) as error:
        raise NbnasError(
            f"the score function must return a number, or several by name, got {returned!r} for {arch!r}"
        ) from error
