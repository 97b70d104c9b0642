"""Many tasks, of which only so many are submitted at a time."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

Task = TypeVar("Task")


def in_flight(
    tasks: Iterable[Task], submit: Callable[[Task], Future], window: Callable[[], int]
) -> Iterator[tuple[Task, Future]]:
    """Yield every task with its finished future, in the order in which they end.

    Tasks are taken from the iterator only when there is room, so it may decide late what comes next. It ends when
    nothing is running and no task, or no room, is left. Of futures that end together, those with a result come before
    failed ones. When the loop over this generator ends early, tasks that wait are cancelled.

    Args:
        tasks: What to do.
        submit: Hands one task to an executor, and returns its future.
        window: How many tasks may be submitted at a time, now; it is asked again whenever one has ended.
    """
    remaining = iter(tasks)
    running: dict[Future, Task] = {}
    try:
        while True:
            for task in itertools.islice(remaining, max(window() - len(running), 0)):
                running[submit(task)] = task
            if not running:
                return
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            # What is there is handed out before an error ends it.
            for future in sorted(finished, key=failed):
                yield running.pop(future), future
    finally:
        for future in running:
            future.cancel()


def failed(future: Future) -> bool:
    """Whether a finished future holds no result."""
    return future.cancelled() or future.exception() is not None
