"""What a long run says while it works: which notebooks run, and how long all of them may still take."""

import time
from collections.abc import Callable, Sequence
from threading import Event, Thread

from nbnas.reproduce.notebook_runs import Job


class Progress:
    """Prints a line every minute from a thread of its own, as long as its ``with`` block runs.

    A job is expected to take as long as its last run on this machine, else as long as its notebook says.
    """

    def __init__(
        self, jobs: Sequence[Job], workers: int, every: float = 60, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # The expectation is read now: a run that begins removes what is known of the last one.
        self._expected = {job.item: (job.minutes, job.notebook.alone) for job in jobs}
        self._workers, self._every, self._clock = workers, every, clock
        self._since: dict[str, float] = {}
        self._over = Event()
        self._thread = Thread(target=self._print, daemon=True)

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def start(self, job: Job) -> None:
        self._since[job.item] = self._clock()

    def end(self, job: Job) -> None:
        self._since.pop(job.item, None)
        self._expected.pop(job.item, None)

    def minutes_left(self) -> float:
        """Return the minutes until the last job ends; those that measure time run one after the other, at the end."""
        left = {False: [0.0], True: [0.0]}
        since = dict(self._since)
        for item, (minutes, alone) in dict(self._expected).items():
            # A job that is overdue may end at any time.
            left[alone].append(max(minutes - self._elapsed(since[item]), 0.0) if item in since else minutes)
        return max(max(left[False]), sum(left[False]) / self._workers) + sum(left[True])

    def line(self) -> str:
        """Return what is printed.

        ``running vkdnw/table1 (3 of about 8 min), tcet/table2 (1 of about 2 min); about 12 min left``
        """
        # Copies, because jobs start and end while this thread reads.
        since, expected = dict(self._since), dict(self._expected)
        jobs = [
            f"{item} ({self._elapsed(start):.0f} of about {expected[item][0]:.0f} min)"
            for item, start in since.items()
            if item in expected
        ]
        return f"running {', '.join(jobs)}; about {self.minutes_left():.0f} min left"

    def _elapsed(self, start: float) -> float:
        return (self._clock() - start) / 60

    def _print(self) -> None:
        while not self._over.wait(self._every):
            if self._since:
                print(self.line(), flush=True)
