"""The Fisher information matrix of a network, and the scores of its spectrum; formulas are in the module ``vkdnw``."""

import random
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from nbnas.errors import NbnasError
from nbnas.networks.eigenvalues import eigenvalues
from nbnas.networks.entry_jacobian import entry_jacobian
from nbnas.networks.exact_kernels import exact_kernels

QUANTILES = tuple(k / 10 for k in range(1, 10))
"""The inner deciles; minimum and maximum are left out on purpose."""


@dataclass(frozen=True)
class FisherSetting:
    """Which parameters, which probabilities and which spectrum; the defaults are those of the published score."""

    tensors: int = 128
    """Number of parameter tensors; all where there are fewer."""
    which: str = "first"
    """``first`` or ``last`` tensors in registration order, or ``random``: drawn without replacement by Python's
    generator, seeded with the number of tensors as in the authors' MobileNetV2 search."""
    entries_per_tensor: int = 1
    """k > 1 takes the flat indices floor(linspace(0, numel - 1, k)) of each tensor."""
    position: float | None = 0.0
    """For one entry per tensor: flat index floor(position * (numel - 1)); None draws it."""
    smoothing: float = 0.05
    """a of :meth:`probabilities`."""
    half_precision_constants: bool = True
    """Round a, 1 - a and a / C to float16, as the released code did for the published numbers; the probabilities then
    add up to about 1.0002."""
    quantiles: tuple[float, ...] = QUANTILES
    variant: str = "official"
    """``official``: A = L J as in the released code; ``paper``: A = L^T J as in the definition."""

    def __post_init__(self) -> None:
        if self.tensors < 1 or self.entries_per_tensor < 1 or self.which not in ("first", "last", "random"):
            raise NbnasError("tensors and entries_per_tensor must be at least 1, and which 'first', 'last' or 'random'")
        if self.position is not None and not 0 <= self.position <= 1:
            raise NbnasError(f"position must lie between 0 and 1, got {self.position}")
        if self.variant not in ("official", "paper"):
            raise NbnasError(f"variant must be 'official' or 'paper', got {self.variant!r}")

    def entries(self, network: nn.Module, generator: Generator | None = None) -> list[tuple[str, int]]:
        """Choose the parameters of the matrix, as pairs (name, flat index); ``generator`` draws random positions."""
        named = list(network.named_parameters())
        if self.which == "random":
            named = random.Random(len(named)).sample(named, min(self.tensors, len(named)))
        else:
            named = named[: self.tensors] if self.which == "first" else named[-self.tensors :]
        return [(name, index) for name, parameter in named for index in self._indices(parameter.numel() - 1, generator)]

    def _indices(self, last: int, generator: Generator | None) -> list[int]:
        if self.entries_per_tensor > 1:
            return torch.linspace(0, last, self.entries_per_tensor, dtype=torch.float64).long().tolist()
        if self.position is not None:
            return [int(self.position * last)]
        if generator is None:
            raise NbnasError("random positions need a generator")
        return torch.randint(last + 1, (1,), generator=generator, device="cpu").tolist()

    def probabilities(self, logits: Tensor) -> Tensor:
        """(1 - a) softmax(z) + a / C of logits (N, C): a softmax that is nearly one-hot has nearly no covariance."""
        uniform = torch.tensor(self.smoothing, dtype=torch.float16 if self.half_precision_constants else torch.float64)
        keep, share = float(1 - uniform), float(uniform / logits.shape[1])
        return logits.softmax(1) * keep + share

    def root(self, jacobian: Tensor, probabilities: Tensor) -> Tensor:
        """Return A of all samples, one below the other, (N C, P), from (N, C, P) and (N, C)."""
        factor = covariance_factor(probabilities)
        return ((factor if self.variant == "official" else factor.mT) @ jacobian).flatten(0, 1)

    def matrix(self, jacobian: Tensor, probabilities: Tensor) -> Tensor:
        """Return the Fisher matrix A^T A / N, (P, P), symmetric and positive semi-definite."""
        root = self.root(jacobian, probabilities)
        return root.T @ root / len(jacobian)

    def scores(self, jacobian: Tensor, logits: Tensor) -> dict[str, Tensor]:
        """Return ``entropy`` (NaN if all quantiles are zero), ``quantiles`` (a vector) and ``trace``, in float64."""
        matrix = self.matrix(jacobian.double(), self.probabilities(logits.double()))
        values = spectrum_deciles(matrix, self.quantiles)
        values = torch.where(values.any(), values, float("nan"))
        return {"entropy": entropy(values), "quantiles": values, "trace": matrix.trace()}

    def scores_of_network(self, network: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
        """Return the scores of a network in eval mode on one batch; errors of :func:`entry_jacobian`."""
        with exact_kernels(inputs.device):
            return self.scores(*entry_jacobian(network, inputs, self.entries(network)))


def covariance_factor(probabilities: Tensor) -> Tensor:
    """Lower triangular L, (N, C, C), with L L^T = diag(p) - p p^T, in closed form (Tanabe & Sagae, 1992).

    With q_j = 1 - (p_1 + ... + p_j), q_0 = 1 and d_j = sqrt(p_j q_j / q_(j-1)): L_jj = d_j and L_ij = -p_i d_j / q_j
    below the diagonal. The last column is zero because the covariance is singular.
    """
    rest = (1 - probabilities.cumsum(1)).clamp(min=0)
    rest[:, -1] = 0
    rest_before = torch.cat([torch.ones_like(rest[:, :1]), rest[:, :-1]], dim=1)
    diagonal = (probabilities * rest / rest_before).nan_to_num(0.0).sqrt()
    ratio = torch.where(rest > 0, diagonal / rest, torch.zeros_like(rest))
    below = -(probabilities.unsqueeze(2) * ratio.unsqueeze(1)).tril(-1)
    return below + torch.diag_embed(diagonal)


def spectrum_deciles(matrix: Tensor, quantiles: tuple[float, ...] = QUANTILES) -> Tensor:
    """Quantiles, linearly interpolated, of the eigenvalues of a positive semi-definite matrix; NaN if not finite."""
    finite = matrix.isfinite().all()
    spectrum = eigenvalues(torch.where(finite, matrix, torch.eye(len(matrix)).to(matrix))).clamp(min=0)
    levels = torch.as_tensor(quantiles, dtype=matrix.dtype, device=matrix.device)
    return torch.where(finite, torch.quantile(spectrum, levels), float("nan"))


def entropy(deciles: Tensor) -> Tensor:
    """Entropy in nats, - sum_k w_k ln(w_k + 1e-10), w_k = decile_k / (sum of deciles + 1e-10): 0 to ln 9 = 2.197.

    The released code has both guards. They matter where the deciles themselves are as small as the guard, with weights
    far smaller than the published initialisation.
    """
    weights = deciles / (deciles.sum() + 1e-10)
    return -(weights * (weights + 1e-10).log()).sum()
