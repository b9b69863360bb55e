"""Group commit: everything that waits is written together, so that the cost of making it durable is shared.

Knows nothing of the store: what is written, and how, is the `write` that it is given. One batch is being
written at a time; the next one gathers meanwhile. So the busier it gets, the bigger the batches.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from cludale.ports.records import StoreUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

Write = Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]
"""Writes a batch and returns one result an item, in order. If it raises, nothing of the batch is true."""


class _Call(NamedTuple, Generic[Item, Result]):
    items: Sequence[Item]
    answer: "asyncio.Future[Sequence[Result]]"


GATHER_SECONDS = 0.001
"""How long a busy store lets commits gather. A batch has costs of its own (statements, a sync, two changes of
threads), so under load fewer and larger ones are faster for everybody; an idle store never waits."""
BUSY_ITEMS = 8
"""A store is busy when the last batch had this many items: a lone order makes batches of one or two."""
ENOUGH_ITEMS = 64
"""When so many wait, more would hardly make each of them cheaper, and the disk would be idle meanwhile."""


class GroupCommit(Generic[Item, Result]):
    """Gathers calls into batches for one `write`.

    A call is never split, and a batch takes calls as long as it has fewer than `batch_limit` items. At most
    `queue_limit` items wait; what comes on top is refused with StoreUnavailable. A call that is cancelled
    while it waits may still be written. Used from one event loop.
    """

    def __init__(self, write: Write[Item, Result], *, batch_limit: int = 1_000, queue_limit: int = 20_000) -> None:
        self._write = write
        self._batch_limit = batch_limit
        self._queue_limit = queue_limit
        self._waiting: deque[_Call[Item, Result]] = deque()
        self._queued = 0
        self._last_size = 0
        self._runner: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def queued(self) -> int:
        """Items that wait for the next batch."""
        return self._queued

    async def submit(self, items: Sequence[Item]) -> Sequence[Result]:
        """The results of `items`, in order, once they are written.

        Raises StoreUnavailable when too much waits already or after close(), ValueError for more than can ever wait,
        and whatever `write` raised.
        """
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if len(items) > self._queue_limit:
            raise ValueError(f"{len(items)} commits in one call, {self._queue_limit} are the most")
        if self._queued + len(items) > self._queue_limit:
            raise StoreUnavailable(f"{self._queued} commits wait already, {self._queue_limit} may")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[Result]] = loop.create_future()
        self._waiting.append(_Call(items, answer))
        self._queued += len(items)
        if self._runner is None:
            # The task starts in the next turn of the loop, so what commits in this one joins the batch.
            self._runner = loop.create_task(self._run())
        return await answer

    async def close(self) -> None:
        """Refuse new calls, and return once all that waits has been written."""
        self._closed = True
        if self._runner is not None:
            await asyncio.wait([self._runner])

    async def _run(self) -> None:
        try:
            while self._waiting:
                if self._last_size >= BUSY_ITEMS and self._queued < ENOUGH_ITEMS:
                    await asyncio.sleep(GATHER_SECONDS)
                await self._write_calls(self._take())
        finally:
            self._runner = None
            for call in self._waiting:  # only if this task was cancelled
                call.answer.cancel()

    def _take(self) -> Sequence[_Call[Item, Result]]:
        calls: list[_Call[Item, Result]] = []
        size = 0
        while self._waiting and size < self._batch_limit:
            call = self._waiting.popleft()
            size += len(call.items)
            calls.append(call)
        self._queued -= size
        self._last_size = size
        return calls

    async def _write_calls(self, calls: Sequence[_Call[Item, Result]]) -> None:
        try:
            results = await self._write([item for call in calls for item in call.items])
        except asyncio.CancelledError:
            for call in calls:
                call.answer.cancel()
            raise
        except StoreUnavailable as unavailable:
            # It is away for those who wait, too. Tried one batch after another, the last would wait for all the
            # timeouts before it.
            waiting, self._waiting, self._queued = self._waiting, deque(), 0
            _fail([*calls, *waiting], unavailable)
        except Exception as error:  # noqa: BLE001 - not swallowed: whoever caused it gets it
            if len(calls) == 1:
                _fail(calls, error)
                return
            # One call holds what can't be written. The others must not suffer for it.
            for call in calls:
                await self._write_calls([call])
        else:
            at = 0
            for items, answer in calls:
                size = len(items)
                if not answer.done():
                    answer.set_result(results[at : at + size])
                at += size


def _fail(calls: Sequence[_Call[Item, Result]], error: Exception) -> None:
    for call in calls:
        if not call.answer.done():
            call.answer.set_exception(error)
