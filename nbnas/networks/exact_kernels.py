"""Choosing the kernels that torch computes a network with."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def exact_kernels(device: torch.device) -> Iterator[None]:
    """Compute what the network says, in its own precision and differentiably, whatever the caller has switched on.

    Mixed precision and ``no_grad`` of the caller do not apply. TF32, which CUDA uses in convolutions by default and in
    matrix products on request, would not agree with a CPU. Fused attention has no second derivative.
    """
    fused_attention = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.callback(torch.backends.mha.set_fastpath_enabled, fused_attention)
        torch.backends.mha.set_fastpath_enabled(False)
        if device.type == "cuda":
            stack.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
            torch.set_float32_matmul_precision("highest")
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False))
        yield
