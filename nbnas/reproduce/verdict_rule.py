"""The rule by which a published number and ours are compared.

Ours has an interval [low, high]: what ties, the sample of networks and the seed leave open. The published number was
rounded, and it varies with the seeds of its own runs. Put together, they give the uncertainty U of the comparison.

    match        the published value lies inside U, and U is narrow enough to tell
    consistent   it lies inside U, but U is wide: nothing contradicts it, nothing confirms it
    close        outside U, by at most the smallest difference that matters
    explained    further outside, but a number computed otherwise, which the note names, meets the published value
    differs      further outside; the note says what was tried

The notebook ``studies/verdict_rule`` shows how often each verdict is right and wrong.
"""

import math
from decimal import Decimal
from typing import NamedTuple

from nbnas.errors import NbnasError

MATCH, CONSISTENT, CLOSE, EXPLAINED, DIFFERS = "match", "consistent", "close", "explained", "differs"


class Tolerance(NamedTuple):
    """What a comparison of one kind of number needs."""

    rounding: float
    """Least distance that counts as rounding: published values with six digits are not read as exact."""
    relevant: float
    """Smallest difference that matters."""
    widest: float
    """Half-width of U up to which a value inside it is confirmed."""


CORRELATION = Tolerance(rounding=0.001, relevant=0.005, widest=0.03)
NDCG = Tolerance(rounding=0.001, relevant=0.01, widest=0.04)


def rounding(text: str) -> float:
    """Half a unit of the last printed digit: 0.0005 for ``0.623``.

    >>> rounding("0.623"), rounding("70"), round(rounding("2.20e-01"), 6)
    (0.0005, 0.5, 0.0005)
    """
    return 0.5 * 10.0 ** Decimal(text).as_tuple().exponent


def tolerance(metric: str, published: str) -> Tolerance:
    """Return that of a metric; of sizes, counts and medians, only three times the rounding matters."""
    if metric.startswith("ndcg"):
        return NDCG
    if metric.endswith(("kendall_tau", "spearman_rho")):
        return CORRELATION
    half_unit = rounding(published)
    return Tolerance(half_unit, 2 * half_unit, NDCG.widest)


def judge(
    published: str, reproduced: float, low: float, high: float, metric: str = "kendall_tau", published_error: float = 0
) -> str:
    """Compare a published number, as printed, with ours and its 95 % interval from ``low`` to ``high``.

    ``published_error`` is half the width of the 95 % interval of the published value, 0 if unknown; it is added to ours
    in quadrature. Returns ``match``, ``consistent``, ``close`` or ``differs``. :class:`NbnasError` if our value lies
    outside of its interval or one is NaN.

    >>> judge("0.623", 0.64, 0.62, 0.66), judge("0.623", 0.64, 0.56, 0.72), judge("0.623", 0.64, 0.63, 0.65)
    ('match', 'consistent', 'differs')
    """
    # Both are sums in some order: a ranking has tau 1 with itself in every resample, and 1 - 1e-16 in the whole.
    if not low - 1e-12 <= reproduced <= high + 1e-12:
        raise NbnasError(f"reproduced value {reproduced} is not inside its interval [{low}, {high}]")
    allowed = tolerance(metric, published)
    below = math.hypot(max(reproduced - low, 0), published_error)
    above = math.hypot(max(high - reproduced, 0), published_error)
    distance = float(published) - reproduced
    outside = max(distance - above, -distance - below) - max(rounding(published), allowed.rounding) - 1e-12
    if outside <= 0:
        return MATCH if (below + above) / 2 <= allowed.widest else CONSISTENT
    return CLOSE if outside <= allowed.relevant else DIFFERS
