"""An event loop with virtual time: no I/O, no threads, and every choice it makes comes from one random generator.

Time stands still while anything can run and jumps to the next timer when nothing can. Everything that runs has an
`Owner` (a simulated process): what belongs to a dead one never runs again, and what belongs to a paused one waits.
"""

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from math import ceil
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STEPS_AT_ONE_MOMENT = 200_000
"""More steps without any time passing mean that somebody is running in a circle."""


class Owner:
    """Somebody whose code runs on the loop: a simulated process, or the world around them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused_until = 0.0
        self.steps_to_live: int | None = None
        """Dies when so many more of its steps have run; None: lives on."""
        self.tasks: list[asyncio.Task[Any]] = []
        """Every task it ever began. Kept, so that no garbage collector decides when a dead one's `finally` runs."""

    def die(self) -> None:
        """Stop here and now: nothing of it runs again, not even a `finally`."""
        self.alive = False

    def run_out_of_steps(self) -> None:
        """`steps_to_live` are over."""
        self.die()


OUTSIDE = Owner("outside")
OWNER: ContextVar[Owner] = ContextVar("owner", default=OUTSIDE)
OUTSIDE_CONTEXT = Context()
"""For what the world does by itself, even where a step of some process set it off."""


def inside(owner: Owner, begin: Callable[[*Ts], T], *args: *Ts) -> T:
    """Call `begin` so that all that it starts belongs to `owner`."""

    def entered() -> T:
        OWNER.set(owner)
        return begin(*args)

    return copy_context().run(entered)


class Deadlock(Exception):
    """Nothing is left to run and nothing will ever be."""


class Livelock(Exception):
    """Things run on and on without any time passing."""


class Step:
    """A callback that is to run, now or at a time, and whose it is: what asyncio's handles are, at half the cost."""

    __slots__ = ("args", "callback", "context", "is_cancelled", "owner", "time")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context, time: float) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.owner: Owner = context.get(OWNER, OUTSIDE)
        self.time = time
        self.is_cancelled = False

    def cancel(self) -> None:
        """Never run."""
        self.is_cancelled = True

    def cancelled(self) -> bool:
        """Was it cancelled?"""
        return self.is_cancelled

    def when(self) -> float:
        """The virtual time at which it is to run."""
        return self.time


class _Task(asyncio.Task[T]):
    """A task whose hash is its number: sets of tasks keep the same order in every process."""

    def __init__(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        loop: "SimulatedLoop",
        name: str,
        context: Context | None,
        number: int,
    ) -> None:
        self.number = number
        super().__init__(coro, loop=loop, name=name, context=context)

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class SimulatedLoop(asyncio.AbstractEventLoop):
    """`shuffle` is how often the next step is any of those that could run, not the one that has waited longest.

    With `tick_seconds`, time goes on in ticks of that length, so that much happens in the same moment.
    """

    def __init__(self, choices: random.Random, *, shuffle: float = 0.0, tick_seconds: float = 0.0) -> None:
        self._random = choices.random
        self.shuffle = shuffle
        self._tick_seconds = tick_seconds
        self._now = 0.0
        self._ready: list[Step] = []
        self._head = 0
        self._timers: list[tuple[float, int, Step]] = []
        self._number = 0
        self._closed = False
        self._running = False
        self._failure: BaseException | None = None
        self._owners: dict[Owner, None] = {}
        self.steps = 0
        self.on_exception: Callable[[dict[str, Any]], object] | None = None

    # -- what asyncio asks of a loop ------------------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self._now

    def get_debug(self) -> bool:
        """Never: its checks look at the real clock."""
        return False

    def is_running(self) -> bool:
        """Is it running now?"""
        return self._running

    def is_closed(self) -> bool:
        """Has it ended for good?"""
        return self._closed

    def call_soon(  # type: ignore[override] # typeshed has it with a TypeVarTuple and asyncio's own handle
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Step:
        """Run `callback` in this moment, after or among what else is ready."""
        step = Step(callback, args, context if context is not None else copy_context(), self._now)
        if not self._closed:
            self._ready.append(step)
        return step

    def call_later(  # type: ignore[override] # as above
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Step:
        """Run `callback` in `delay` virtual seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override] # as above
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Step:
        """Run `callback` at this virtual time."""
        if self._tick_seconds:
            when = ceil(when / self._tick_seconds) * self._tick_seconds
        step = Step(callback, args, context if context is not None else copy_context(), when)
        if not self._closed:
            self._number += 1
            heapq.heappush(self._timers, (when, self._number, step))
        return step

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """A task that belongs to whoever begins it."""
        self._number += 1
        owner = OWNER.get() if context is None else context.get(OWNER, OUTSIDE)
        task = _Task(coro, loop=self, name=name or str(self._number), context=context, number=self._number)
        owner.tasks.append(task)
        self._owners[owner] = None
        return task

    def run_in_executor(  # type: ignore[override] # as above
        self, _executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """There are no threads here: runs `func` at once."""
        future: asyncio.Future[T] = asyncio.Future(loop=self)
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed to whoever awaits it
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Somebody's exception reached nobody."""
        if self.on_exception is not None and not self._closed:
            self.on_exception(context)

    # -- running ------------------------------------------------------------------------------------------------

    def fail(self, failure: BaseException) -> None:
        """End the run with this after the step that runs now, whatever that step makes of it."""
        if self._failure is None:
            self._failure = failure

    def run_until_complete(self, future: Coroutine[Any, Any, T] | asyncio.Future[T]) -> T:  # type: ignore[override] # no awaitables of other sorts
        """Run until `future` is done; its result. Raises Deadlock, Livelock and what `fail` was given."""
        waited: asyncio.Future[T] = (
            future if isinstance(future, asyncio.Future) else self.create_task(future, name="main")
        )
        self._running = True
        asyncio._set_running_loop(self)  # noqa: SLF001 - documented for those who write event loops
        try:
            while not waited.done():
                self._step()
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001 - as above
            self._running = False
        return waited.result()

    def _step(self) -> None:
        ready = self._ready
        at = self._head
        left = len(ready) - at
        if at > STEPS_AT_ONE_MOMENT:
            raise Livelock(f"{at} steps at {self._now:.6f} s")
        if not left:
            self._wait()
            return
        if left > 1 and self.shuffle and self._random() < self.shuffle:
            other = at + int(self._random() * left)
            ready[at], ready[other] = ready[other], ready[at]
        step = ready[at]
        self._head = at + 1
        owner = step.owner
        if step.is_cancelled or not owner.alive:
            return
        if owner.paused_until > self._now:
            self.call_at(owner.paused_until, self._ready.append, step, context=OUTSIDE_CONTEXT)
            return
        if owner.steps_to_live is not None:
            owner.steps_to_live -= 1
            if owner.steps_to_live < 0:
                owner.run_out_of_steps()
                return
        self.steps += 1
        try:
            step.context.run(step.callback, *step.args)
        except Exception as error:  # noqa: BLE001 - what asyncio does with it, too
            name = getattr(step.callback, "__qualname__", type(step.callback).__name__)
            self.call_exception_handler({"message": f"an exception in {name}", "exception": error})
        if self._failure is not None:
            raise self._failure

    def _wait(self) -> None:
        """Nothing is ready: go on to the next timer's time."""
        self._ready.clear()
        self._head = 0
        timers = self._timers
        while timers:
            when, _, step = timers[0]
            if step.is_cancelled or not step.owner.alive:
                heapq.heappop(timers)
                continue
            if self._ready and when > self._now:
                return
            self._now = max(self._now, when)
            heapq.heappop(timers)
            self._ready.append(step)
        if not self._ready:
            raise Deadlock(f"nothing is left to run at {self._now:.6f} s")

    def close(self) -> None:
        """End for good. Whatever was still under way is thrown away."""
        self._closed = True
        self._ready.clear()
        self._timers.clear()
        for owner in self._owners:
            for task in owner.tasks:
                _bury(task)
            owner.tasks.clear()
        self._owners.clear()


def _bury(task: asyncio.Task[Any]) -> None:
    if task.done():
        if not task.cancelled():
            task.exception()  # seen, so that nothing is said about it later
        return
    # It is pending for ever, and that is meant; asyncio's own gather says so in this way.
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
    coroutine = task.get_coro()
    if coroutine is not None:
        with suppress(RuntimeError):  # its `finally` wants to wait for something, and nobody will
            coroutine.close()
