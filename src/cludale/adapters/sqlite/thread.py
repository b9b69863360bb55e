"""A dedicated thread that runs one job after another for an event loop. Knows nothing of SQLite."""

import asyncio
import threading
from collections.abc import Callable
from enum import Enum
from queue import SimpleQueue
from typing import Any, TypeVar, TypeVarTuple

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...]]


class _Word(Enum):
    TIDY = "tidy up, there is no job"
    STOP = "stop"


class JobThread:
    """Cheaper than an executor (one queue, one wake-up of the loop a job), and it may tidy up after a job."""

    def __init__(self, name: str, *, after_each: Callable[[], None], on_error: Callable[[Exception], None]) -> None:
        """`after_each` runs in the thread once a job's result is on its way; `on_error` on the loop, if that raises."""
        self._jobs: SimpleQueue[_Word | _Job] = SimpleQueue()
        self._after_each = after_each
        self._on_error = on_error
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def run(self, job: Callable[[*Arguments], Result], *arguments: *Arguments) -> "asyncio.Future[Result]":
        """Run `job` with these when those before it are done; the future has what it returns or raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._jobs.put((loop, future, job, arguments))
        return future

    def tidy(self) -> None:
        """Have `after_each` run once more after the jobs there are. Called from any thread; there was a job before."""
        self._jobs.put(_Word.TIDY)

    def stop(self) -> None:
        """End the thread once all jobs are done, and wait for that."""
        self._jobs.put(_Word.STOP)
        self._thread.join()

    def _work(self) -> None:
        while (entry := self._jobs.get()) is not _Word.STOP:
            if entry is not _Word.TIDY:
                loop, future, job, arguments = entry
                try:
                    result = job(*arguments)
                except Exception as error:  # noqa: BLE001 - not swallowed: it is handed to whoever waits
                    _tell(loop, _reject, future, error)
                else:
                    _tell(loop, _resolve, future, result)
            try:
                self._after_each()
            except Exception as error:  # noqa: BLE001 - not swallowed: the loop's side decides
                _tell(loop, self._on_error, error)


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *arguments: object) -> None:
    if not loop.is_closed():  # if it is, no one waits any more
        loop.call_soon_threadsafe(what, *arguments)


def _resolve(future: "asyncio.Future[Any]", result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _reject(future: "asyncio.Future[Any]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
