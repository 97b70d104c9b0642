import concurrent.futures
import ctypes
import sys

import pytest
import torch

from nbnas.machine.executors import Workers, open_executor

glibc = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")


def page_faults_of_a_repeat() -> int:
    """Pages that the system clears when 128 MiB of tensors, freed before, are made again: without care, 32,768."""
    import resource

    def use() -> None:
        tensors = [torch.empty(2**22).fill_(1) for _ in range(8)]
        assert len(tensors) == 8

    use()
    use()  # The first time may have filled gaps of another size.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    use()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not glibc, reason="the allocator of another system")
@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_worker_processes_use_freed_memory_again(executor):
    if executor == "dask":
        pytest.importorskip("distributed")
    with open_executor(Workers(executor, 1), tasks=1) as (workers, _):
        (future,) = concurrent.futures.wait([workers.submit(page_faults_of_a_repeat)]).done
        assert future.result() < 1000
