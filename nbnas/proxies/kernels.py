"""Choosing the kernels that torch computes a network with."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def exact_kernels(device: torch.device) -> Iterator[None]:
    """Choose kernels that compute what the network says, and that can be differentiated twice.

    TF32, which CUDA uses in convolutions by default, would not agree with a CPU. Fused attention has no second
    derivative.
    """
    fused_attention = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.callback(torch.backends.mha.set_fastpath_enabled, fused_attention)
        torch.backends.mha.set_fastpath_enabled(False)
        if device.type == "cuda":
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False))
        yield
