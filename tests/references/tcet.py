"""SSNR and T-CET from lists of saliencies per layer, the slow way.

Source: Xiang et al., AutoML 2023 (key ``xiang2023tcet``), Eq. 3-7.
"""

import math
import statistics
from collections.abc import Mapping, Sequence


def signal_to_noise(saliencies: Sequence[float], variant: str = "official") -> float:
    """Sum over standard deviation, with n - 1 (``official``) or n (``paper``); the sum where there is no deviation."""
    if len(saliencies) == 1:
        return saliencies[0]
    deviation = (statistics.stdev if variant == "official" else statistics.pstdev)(saliencies)
    return sum(saliencies) / deviation if deviation > 0 else sum(saliencies)


def logarithm(ratio: float) -> float:
    """ln; 0 stays 0 and a negative ratio has none."""
    if ratio == 0:
        return 0.0
    return math.log(ratio) if ratio > 0 else math.nan


def ssnr(saliencies: Mapping[str, Sequence[float]], log: bool = False) -> float:
    """Sum over layers."""
    ratios = [signal_to_noise(values) for values in saliencies.values()]
    return sum(logarithm(ratio) if log else ratio for ratio in ratios)


def tcet(saliencies: Mapping[str, Sequence[float]], log_determinants: Mapping[str, float], log: bool = False) -> float:
    """Sum over layers of the ratio times ln |det K_l|; a layer that is never called counts 0."""
    score = 0.0
    for name, values in saliencies.items():
        ratio = signal_to_noise(values)
        score += (logarithm(ratio) if log else ratio) * log_determinants.get(name, 0.0)
    return score
