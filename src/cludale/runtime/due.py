"""Due work: calls to the outside that an aggregate still needs, at the time in its `due_at`.

Claim → do → settle. What is due is claimed first: the service's policy puts `due_at` off for as long as one attempt may
take, and that commits. Then it is done, many at once, and what came of each is committed. An attempt that comes to
nothing puts `due_at` off again, by the backoff. So `due_at` is a lease: whose process dies is found due by another once
the lease is over, and nothing is lost; it may be done twice, so it must be safe to repeat.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Generic, NamedTuple, Protocol, TypeVar

from cludale.kernel.backoff import Backoff
from cludale.kernel.decision import Decision
from cludale.ports.clock import IdSource
from cludale.ports.records import StoreUnavailable
from cludale.runtime.aggregates import AggregateStore, Change, ChangeResult, Updates, Versioned, changed
from cludale.runtime.tasks import Tasks

PAGE = 200
"""How many are claimed at once."""
LATE_SECONDS = 0.02
"""An event loop that wakes up later than this was busy: what came meanwhile is still to be read."""
LOOK_SECONDS = 0.001
"""The shortest wait for one that is nearly due: clocks differ slightly."""

_log = logging.getLogger(__name__)


class HasDue(Protocol):
    """A state with something left to do."""

    @property
    def due_at(self) -> datetime | None:
        """When, or until when somebody has it claimed; None: nothing is left to do."""
        ...


D = TypeVar("D", bound=HasDue)

Step = Callable[[D, datetime], Decision[D]]
"""The result of an attempt, decided on the state at that time."""
Do = Callable[[D], Awaitable[Step[D]]]
"""Does the work of one aggregate and returns the result. Runs in its own task."""


class PutOff(NamedTuple):
    """When to try a failed attempt again: exponential backoff with a limit and jitter."""

    backoff: Backoff
    ids: IdSource

    def __call__(self, attempt: int, now: datetime) -> datetime:
        """After the `attempt`-th try (from 1), which ended `now`."""
        return now + timedelta(seconds=self.backoff.seconds(attempt, self.ids.jitter()))


class DuePolicy(Generic[D]):
    """What a service does about its due aggregates."""

    def take_up(self, state: D, now: datetime) -> Decision[D]:
        """Claim it, if it is due: `due_at` is then the end of the lease. Or decide at once what is to become of it."""
        raise NotImplementedError

    def is_taken(self, state: D) -> bool:  # noqa: ARG002 - a policy's own looks at it
        """Was it claimed, where its `due_at` is later now? Not, if `take_up` put it off."""
        return True

    async def start(self, states: Sequence[D]) -> Do[D]:
        """How these, claimed together, are done; what all of them need is asked for here. Raises nothing."""
        raise NotImplementedError

    def no_answer(self, state: D, why: str) -> Step[D]:
        """The result of an attempt that timed out."""
        raise NotImplementedError

    def settled(self, states: Sequence[D]) -> None:
        """These stand in the store as something became of them."""

    def at_once(self, limit: int) -> int:
        """How many may be under way now, `limit` at most."""
        return limit


class Wait(Protocol):
    """Something that is waited for."""

    def cancel(self) -> None:
        """Wait no more."""
        ...


CallLater = Callable[[float, Callable[[], None]], Wait]
"""Calls back after so many seconds."""


class DueWork(Generic[D]):
    """Does what is due in one store: `at_once` attempts at most, the rest waits there."""

    def __init__(
        self,
        updates: Updates,
        store: AggregateStore[D],
        policy: DuePolicy[D],
        *,
        at_once: int,
        attempt_seconds: float,
        finish_seconds: float = 0.0,
        call_later: CallLater | None = None,
        takes_work: Callable[[], bool] = lambda: True,
    ) -> None:
        """`attempt_seconds`: for one attempt, less than the lease. `finish_seconds`: how long a stop waits for what is
        under way. `call_later`: how it waits until the next is due; the event loop's own, if none is given.
        `takes_work`: while it says no, nothing is claimed.
        """
        self._updates = updates
        self._store = store
        self._policy = policy
        self._at_once = at_once
        self._attempt_seconds = attempt_seconds
        self._finish_seconds = finish_seconds
        self._call_later = call_later
        self._takes_work = takes_work
        self._tasks = Tasks(self._broke)
        self._sweeping = asyncio.Lock()
        self._is_catching_up = False
        self._is_stopping = False
        self._more_is_due = False
        self._dues: list[datetime] = []
        """A heap: when those are due that were put off here."""
        self._next_look: Wait | None = None
        self._late_seconds = 0.0
        self.under_way = 0
        """Attempts."""

    @property
    def busy(self) -> bool:
        """Is anything being done, or looked for to be done?"""
        return bool(self._tasks)

    @property
    def late_seconds(self) -> float:
        """How long that waited, at the last look, which was due for longest; 0 where nothing is to be claimed here."""
        return self._late_seconds if self._takes_work() else 0.0

    async def sweep(self) -> int:
        """Claim what is due, as far as there is room, and begin to do it; returns how many were claimed or decided."""
        async with self._sweeping:
            limit = min(PAGE, self._room())
            if limit <= 0:
                self._more_is_due = True
                return 0
            self._more_is_due = False
            now = self._updates.clock.now()
            query = self._store.due(until=now + timedelta(microseconds=1), limit=limit)
            found, _ = await self._store.find(self._updates.records, query)
            waited = [(now - each.state.due_at).total_seconds() for each in found if each.state.due_at is not None]
            self._late_seconds = max(waited, default=0.0)
            updated = await self._updates.update(
                [Change(self._store, self._store.id_of(each.state), self._policy.take_up, known=each) for each in found]
            )
            self._more_is_due = self._more_is_due or len(found) == limit
            new = changed(updated)
            later = [each for each in new if each.state.due_at is not None and each.state.due_at > now]
            taken = [each for each in later if self._policy.is_taken(each.state)]
            self._policy.settled([each.state for each in new if each not in later])
            self.begin(taken)
            self._remember([each.state for each in later if each not in taken])
        if found and not taken:
            self._go_on()
        return len(new)

    def wake(self) -> None:
        """Something is due now: look for it without waiting for a sweep, once half of the room is free."""
        self._more_is_due = True
        self._go_on()

    def begin(self, claimed: Sequence[Versioned[D]]) -> None:
        """Do these, as far as there is room; the others are due when their lease is over."""
        claimed = claimed[: self._at_once - self.under_way]
        if claimed and not self._is_stopping:
            self.under_way += len(claimed)
            self._tasks.start(self._work(claimed))

    async def do(self, claimed: Versioned[D]) -> None:
        """Do this one now, however many others are under way; what it has to have done after that is begun."""
        self.under_way += 1
        await self._work((claimed,))

    async def stop(self) -> None:
        """Start no more, finish what is under way within the time allowed; the rest is due after its lease."""
        self._is_stopping = True
        if self._next_look is not None:
            self._next_look.cancel()
        await self._tasks.stop(finish_seconds=self._finish_seconds)

    def _room(self) -> int:
        if self._is_stopping or not self._takes_work():
            return 0
        return self._policy.at_once(self._at_once) - self.under_way

    def _go_on(self) -> None:
        if self._more_is_due and not self._is_catching_up and self._has_room():
            self._is_catching_up = True
            self._tasks.start(self._catch_up())

    def _has_room(self) -> bool:
        room = self._room()
        return room > 0 and 2 * room >= self._policy.at_once(self._at_once)

    async def _catch_up(self) -> None:
        try:
            while self._more_is_due and self._has_room():
                await self.sweep()
        except StoreUnavailable as away:
            _log.warning("%s: what is due waits for the next sweep: %s", self._store.kind.name, away)
        finally:
            self._is_catching_up = False

    async def _work(self, claimed: Sequence[Versioned[D]]) -> None:
        """Do these, for one attempt's time at most; settle those together that are through at the same time.

        As late as this process comes to look, so much longer it waits, up to an attempt's time more: its own slowness
        is not the other side's silence.
        """
        left = len(claimed)
        acts: dict[asyncio.Future[Step[D]], Versioned[D]] = {}
        try:
            loop = asyncio.get_running_loop()
            deadline = loop.time() + self._attempt_seconds
            more = self._attempt_seconds
            do = await self._policy.start([each.state for each in claimed])
            acts = {asyncio.ensure_future(do(each.state)): each for each in claimed}
            while acts:
                in_time = max(0.0, deadline - loop.time())
                done, late = await asyncio.wait(acts, timeout=in_time, return_when=asyncio.FIRST_COMPLETED)
                own = min(more, loop.time() - deadline)
                if not done and own > LATE_SECONDS:
                    more -= own
                    deadline = loop.time() + own
                    continue
                steps = [(acts[act], act.result()) for act in done if self._came_to_an_end(act)]
                if not done:
                    steps = [(acts[act], self._policy.no_answer(acts[act].state, "no answer in time")) for act in late]
                for act in done or late:
                    act.cancel()
                    del acts[act]
                await self._settle(steps)
                left -= len(done or late)
                self.under_way -= len(done or late)
                self._go_on()
        finally:
            self.under_way -= left
            for act in acts:
                act.cancel()

    async def _settle(self, steps: Sequence[tuple[Versioned[D], Step[D]]]) -> None:
        if not steps:
            return
        changes = [Change(self._store, self._store.id_of(each.state), step, known=each) for each, step in steps]
        try:
            updated = await self._updates.update(changes)
        except StoreUnavailable as away:
            _log.warning("what came of %d of %s can't be written down: %s", len(steps), self._store.kind.name, away)
            return
        # One that met conflicts over and over is due when its lease is over.
        states = [known.state for result, known in updated if result in _STANDING and known is not None]
        self._policy.settled(states)
        self._remember(states)

    def _remember(self, states: Sequence[D]) -> None:
        """When these are due again."""
        now = self._updates.clock.now()
        for due_at in [state.due_at for state in states if state.due_at is not None]:
            if due_at <= now:
                self._more_is_due = True
            elif len(self._dues) < self._at_once:
                heappush(self._dues, due_at)
        if self._dues:
            self._look_at_the_next()

    def _look_at_the_next(self) -> None:
        """Look when the next of them is due: a retry need not wait for the next regular sweep."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        if self._dues and not self._is_stopping:
            wait = max(LOOK_SECONDS, (self._dues[0] - self._updates.clock.now()).total_seconds())
            self._next_look = (self._call_later or asyncio.get_running_loop().call_later)(wait, self._look)

    def _look(self) -> None:
        self._next_look = None
        now = self._updates.clock.now()
        is_due = False
        while self._dues and self._dues[0] <= now:
            heappop(self._dues)
            is_due = True
        if is_due:
            self.wake()
        self._look_at_the_next()

    def _came_to_an_end(self, act: asyncio.Future[Step[D]]) -> bool:
        """Is the result known? If not, it is due again when its lease ends."""
        error = act.exception()
        if error is not None:
            _log.error("%s: what was due broke: %r", self._store.kind.name, error, exc_info=error)
        return error is None

    def _broke(self, error: BaseException) -> None:
        # What was not settled is due again when its lease is over.
        _log.error("%s: work that is due stopped: %s", self._store.kind.name, error, exc_info=error)


_STANDING = (ChangeResult.CHANGED, ChangeResult.UNCHANGED)
