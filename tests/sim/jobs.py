"""Executors without threads: a job waits until the world lets it run, or somebody needs its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.sim.chance import Crash


class Job:
    """A Future of one job."""

    def __init__(self, call: Callable[[], Any], before: Job | None = None) -> None:
        """before: what is to be done before it, in the same thread."""
        self._call: Callable[[], Any] | None = call
        self._before = before
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do it, once."""
        if self._call is None:
            return
        if self._before is not None:
            before, self._before = self._before, None
            before.run()
        call, self._call = self._call, None
        try:
            self._value = call()
        except Crash:
            raise
        except Exception as error:  # noqa: BLE001 (it is raised where the result is wanted)
            self._error = error

    def done(self) -> bool:
        """Whether it ran."""
        return self._call is None

    def result(self, timeout: float | None = None) -> Any:
        """Its result, made now if need be; or its exception."""
        self.run()
        if self._error is not None:
            raise self._error
        return self._value


class Jobs:
    """The jobs of all executors, which wait in `waiting`, in order for each."""

    waiting: list[Job]

    def __init__(self) -> None:
        self.waiting = []

    def executor(self, workers: int, *_: Any, **__: Any) -> Executor:
        """What takes the place of ThreadPoolExecutor."""
        return Executor(self, workers)

    def step(self) -> None:
        """Run the oldest job that waits."""
        while self.waiting:
            job = self.waiting.pop(0)
            if not job.done():
                job.run()
                return


class Executor:
    """One of them: with one worker no job runs before those that were handed in earlier."""

    def __init__(self, jobs: Jobs, workers: int) -> None:
        self._jobs, self._workers = jobs, workers
        self._last: Job | None = None

    def submit(self, call: Callable[..., Any], *args: Any) -> Job:
        """Put a job behind the others."""
        self._last = job = Job(lambda: call(*args), self._last if self._workers == 1 else None)
        self._jobs.waiting.append(job)
        return job

    def shutdown(self, wait: bool = True, cancel_futures: bool = False) -> None:
        """End. Jobs that nobody waited for do not happen."""
        self._jobs.waiting.clear()

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        while self._jobs.waiting:
            self._jobs.step()
