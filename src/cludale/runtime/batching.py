"""BatchingQueue: calls that wait are done together in one batch, so that they share its cost.

Commands for a section, commits, look-ups by id, events on their way to a service or to a topic: each time items wait,
a worker takes all that wait up to a limit, does them at once, and everybody gets their own results. The next batch
gathers meanwhile, so the busier it gets, the larger the batches. What is done is the owner's.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from cludale.kernel.refusals import Refusal
from cludale.ports.records import StoreUnavailable

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")

Do = Callable[[Key, Sequence[Item]], Awaitable[Sequence[Result]]]
"""Does a batch of one key; one result an item, in order. If it raises, it may be called again with parts of it."""

_Call = tuple[Sequence[Item], asyncio.Future[Sequence[Result]]]
"""Items and the future of their results. A plain tuple, because there is one for each call there is."""


async def a_round(_: object) -> None:
    """Gather for a round of the event loop."""
    await asyncio.sleep(0)


class BatchingQueue(Generic[Key, Item, Result]):
    """One queue a key, in the order of the calls; keys never wait for each other. Used from one event loop."""

    def __init__(
        self,
        do: Do[Key, Item, Result],
        *,
        of: str,
        refuse: Callable[[str], Exception] = StoreUnavailable,
        away: type[Exception] = StoreUnavailable,
        batch_limit: int = 512,
        waiting_limit: int = 20_000,
        at_once: int = 1,
        gather: Callable[[Key], Awaitable[None]] | None = None,
    ) -> None:
        """`of` names the items in what is said when more than `waiting_limit` would wait: `refuse` makes an exception
        of it. `do` raises `away` when it can do nothing for anybody. `at_once` batches of a key may be under way.
        `gather` is waited for before each batch, and who asks meanwhile joins it.
        """
        self._do = do
        self._of = of
        self._refuse = refuse
        self._away = away
        self._batch_limit = batch_limit
        self._waiting_limit = waiting_limit
        self._at_once = at_once
        self._gather = gather
        self._lines: dict[Key, deque[_Call[Item, Result]]] = {}
        self._busy: dict[Key, int] = {}
        """Workers of each key that has any."""
        self._workers: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self.waiting = 0
        """Items that wait for a batch, of all keys."""

    def around(self, wrap: Callable[[Do[Key, Item, Result]], Do[Key, Item, Result]]) -> None:
        """Have each batch done by what `wrap` makes of how it is done now."""
        self._do = wrap(self._do)

    def waiting_for(self, key: Key) -> int:
        """Items of this key that wait for a batch."""
        return sum(len(items) for items, _ in self._lines.get(key, ()))

    def submit(self, key: Key, items: Sequence[Item]) -> "asyncio.Future[Sequence[Result]]":
        """The results of `items`, in order, done in one batch; they wait for it from this call on, awaited or not. A
        call that is cancelled may be done all the same.

        The future has what `refuse` makes when too many wait or after close(), ValueError for more than can ever wait,
        and what doing them raised: `away` for all who wait for this key, as it is away for them, too; a Refusal for all
        of the batch. After any other exception each call is tried alone, so that it fails only its own.
        """
        loop = self._loop
        if loop is None:  # asked for once: that is a call of the kernel each time
            loop = self._loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[Result]] = loop.create_future()
        size = len(items)
        if not size:
            answer.set_result(())
            return answer
        if self._is_closed or self.waiting + size > self._waiting_limit:
            answer.set_exception(self._refusal(size))
            return answer
        waiting = self._lines.get(key)
        if waiting is None:
            waiting = self._lines[key] = deque()
            self._busy[key] = 0
        waiting.append((items, answer))
        self.waiting += size
        if self._busy[key] < self._at_once:
            # The task starts in the loop's next round, so what is submitted in this one joins the batch.
            self._busy[key] += 1
            worker = loop.create_task(self._work(key, waiting))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return answer

    def _refusal(self, size: int) -> Exception:
        """Why so many can't wait."""
        if self._is_closed:
            return self._refuse(f"closed: no more {self._of} are taken")
        if size > self._waiting_limit:
            return ValueError(f"{size} {self._of} in one call, {self._waiting_limit} are the most")
        return self._refuse(f"{self.waiting} {self._of} wait already, {self._waiting_limit} may")

    async def close(self) -> None:
        """Refuse new calls, and return once all that waits is done."""
        self._is_closed = True
        if self._workers:
            await asyncio.wait(self._workers)

    async def stop(self) -> None:
        """Refuse new calls and cancel those that wait or are being done."""
        self._is_closed = True
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self, key: Key, waiting: deque[_Call[Item, Result]]) -> None:
        calls: list[_Call[Item, Result]] = []
        alone: deque[_Call[Item, Result]] = deque()
        """Calls of a batch that failed: each is tried by itself."""
        try:
            while alone or waiting:
                if self._gather is not None and not alone:
                    await self._gather(key)
                    if not waiting:  # another worker was faster
                        break
                calls, batch = self._next_batch(alone, waiting)
                try:
                    results = await self._do(key, batch)
                except Exception as error:  # noqa: BLE001 - not swallowed: whoever caused it gets it
                    self._failed(error, calls, alone, waiting)
                else:
                    _answer(calls, results)
        except asyncio.CancelledError:
            _fail([*calls, *alone], None)
            raise
        finally:
            self._busy[key] -= 1
            if not self._busy[key]:
                del self._lines[key], self._busy[key]
                if waiting:  # only if this task was cancelled
                    self._fail_waiting(waiting, None)

    def _next_batch(
        self, alone: deque[_Call[Item, Result]], waiting: deque[_Call[Item, Result]]
    ) -> tuple[list[_Call[Item, Result]], Sequence[Item]]:
        """One of those that are tried alone, or as many of the calls that wait as a batch may have, one at least; and
        their items.
        """
        if alone:
            call = alone.popleft()
            return [call], call[0]
        calls: list[_Call[Item, Result]] = []
        batch: list[Item] = []
        while waiting and (not calls or len(batch) + len(waiting[0][0]) <= self._batch_limit):
            calls.append(waiting.popleft())
            batch += calls[-1][0]
        self.waiting -= len(batch)
        return calls, batch

    def _failed(
        self,
        error: Exception,
        calls: Sequence[_Call[Item, Result]],
        alone: deque[_Call[Item, Result]],
        waiting: deque[_Call[Item, Result]],
    ) -> None:
        """Tell whom it is about; where that is not known, each of `calls` is to be tried by itself."""
        if isinstance(error, self._away):
            # Tried one batch after another, the last of those who wait would wait for all the timeouts before it.
            _fail([*calls, *alone], error)
            alone.clear()
            self._fail_waiting(waiting, error)
        elif len(calls) == 1 or isinstance(error, Refusal):
            _fail(calls, error)
        else:
            alone.extend(calls)

    def _fail_waiting(self, waiting: deque[_Call[Item, Result]], error: Exception | None) -> None:
        self.waiting -= sum(len(items) for items, _ in waiting)
        _fail(waiting, error)
        waiting.clear()


def _answer(calls: Iterable[_Call[Item, Result]], results: Sequence[Result]) -> None:
    """Give each of the callers the results of its own items."""
    at = 0
    for own, answer in calls:
        size = len(own)
        if not answer.done():
            answer.set_result(results[at : at + size])
        at += size


def _fail(calls: Iterable[_Call[Item, Result]], error: Exception | None) -> None:
    """Raise this to the callers; None: they are cancelled."""
    for _, answer in calls:
        if error is None:
            answer.cancel()
        elif not answer.done():
            answer.set_exception(error)
