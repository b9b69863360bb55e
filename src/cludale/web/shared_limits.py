"""Limits that hold for several processes together: each counts for itself, and some ten times a second all compare.

Whoever asks seldom is let in at once and told to nobody. Whoever asks often is told to the others, and may have only a
share of what is left until all have been heard; more than that waits for it, some milliseconds. While the counts that
all share can't be had, each process goes by its own.
"""

import asyncio
import contextlib
import hmac
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from cludale.ports.records import StoreUnavailable
from cludale.ports.request_counts import CountKey, RequestCounts, Total
from cludale.runtime.tasks import Tasks
from cludale.web.limits import OTHERS, RequestLimit
from cludale.web.responses import Headers

_log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 0.1
SOONEST_SECONDS: Final = 0.01
"""Where somebody waits for the others' counts they are asked for sooner; not more often than this."""
WAIT_SECONDS: Final = 0.3
"""The longest wait for the others' counts. Then what is known counts."""
IDLE_SECONDS: Final = 1.0
"""How often a process that has nothing to tell says that it is there."""
AWAY_SECONDS: Final = 1.0
"""How long nothing is asked of a store that did not answer."""
MOST_TOLD: Final = 2_000
"""Counters in one exchange; the others come with the next."""
UNTOLD_SHARE: Final = 20
"""Of whom fewer than a twentieth of their requests came here, other processes are told nothing."""
UNHEARD_SHARE: Final = 8
"""What is left of a limit, by this and the number of processes, is let in without hearing the others …"""
UNHEARD_LEAST: Final = 2
"""… or this. A limit is exceeded by as much at the most, for each process but one."""
PROCESS_SECONDS: Final = 10
"""A process counts as one of them for this long after it was last heard of, or twice as long."""
_HASH_BYTES: Final = 16


class SharedLimit(RequestLimit):
    """At most so many requests in so many seconds to all processes together. Their clocks have to agree."""

    def __init__(self, name: str, *, most: int, seconds: float, clock: Callable[[], float], secret: bytes) -> None:
        """`clock`: the time of day, in seconds. `secret`: what addresses and keys are hashed with, in all processes."""
        super().__init__(name, most=most, seconds=seconds, clock=clock)
        self._secret = secret
        self._name_for_all = f"{name} {most}/{seconds:g}"
        self._told_of: dict[str, int] = {}
        """How many of its own this process has told …"""
        self._elsewhere: dict[str, int] = {}
        """… and how many the others had by then."""
        self._changed: set[str] = set()
        """Of whom the others are to be told."""
        self._late: list[tuple[CountKey, int]] = []
        self._untold_most = max(2, most // UNTOLD_SHARE)
        self.exchange: Exchange | None = None

    async def admit(self, who: str) -> Headers:
        """As `check`, for all processes together: waits for their counts where they may decide."""
        number, quota = self._counted(who, self._elsewhere)
        if number >= self._untold_most or who in self._told_of:
            self._changed.add(who)
        exchange = self.exchange
        if exchange is None or quota.left < 0 or not self._has_to_ask(who, number, exchange):
            return self._headers_for(quota)
        window = self._window
        self._changed.add(who)
        await exchange.heard()
        if self._window == window:
            quota = self._quota(who, number + self._elsewhere.get(who, 0), self._clock() % self.seconds)
        return self._headers_for(quota)

    def _has_to_ask(self, who: str, number: int, exchange: "Exchange") -> bool:
        """Has so much been asked here since the others were heard that together it may be too much?"""
        if exchange.processes == 1 or who not in self._counts:
            return False
        told = self._told_of.get(who, 0)
        known = told + self._elsewhere.get(who, 0) + self._before.get(who, 0)
        return number - told > max(UNHEARD_LEAST, (self.most - known) // (UNHEARD_SHARE * exchange.processes))

    def _turn(self, window: int) -> None:
        if window == self._window + 1:
            self._late += [(self._key(who), number) for who, number in self._to_tell()]
            for who, number in self._elsewhere.items():
                self._counts[who] = self._counts.get(who, 0) + number
        self._changed.clear()
        self._told_of, self._elsewhere = {}, {}
        super()._turn(window)

    def _to_tell(self) -> Iterator[tuple[str, int]]:
        for who in self._changed:
            number, told = self._counts.get(who, 0), self._told_of.get(who, 0)
            if number > told:
                yield who, number - told

    def _key(self, who: str) -> CountKey:
        hashed = hmac.digest(self._secret, who.encode(), "sha256")[:_HASH_BYTES]
        return CountKey(self._name_for_all, self._window, hashed)

    # The exchange asks what is to be told, and says what it came to

    @property
    def has_news(self) -> bool:
        """Is there something that the others should be told?"""
        return bool(self._changed or self._late)

    def take(self, most: int) -> Sequence[tuple[str, CountKey, int]]:
        """What the others have not been told, `most` at a time."""
        taken = [(who, self._key(who), number) for who, number in islice(self._to_tell(), most)]
        self._changed = set() if len(taken) < most else self._changed - {who for who, _, _ in taken}
        late, self._late = self._late[:most], []
        return [*taken, *((OTHERS, key, number) for key, number in late)]

    def put_back(self, taken: Sequence[tuple[str, CountKey, int]]) -> None:
        """They were not told, and are to be told again; what is of an earlier window is left."""
        self._changed.update(who for who, key, _ in taken if key.window == self._window)

    def hear(self, taken: Sequence[tuple[str, CountKey, int]], totals: Mapping[CountKey, Total]) -> None:
        """These were told, and this is what all have by now."""
        for who, key, number in taken:
            total = totals.get(key)
            if total is None or key.window != self._window or who == OTHERS:
                continue
            told = self._told_of[who] = self._told_of.get(who, 0) + number
            self._elsewhere[who] = total.here - told
            if total.before:
                self._before[who] = max(total.before, self._before.get(who, 0))

    @property
    def oldest(self) -> tuple[str, int]:
        """The name of this limit, and the first window of it that is still needed."""
        return self._name_for_all, self._window - 1


class Exchange:
    """Tells what this process counted and hears what all did, for as long as it runs."""

    def __init__(
        self, counts: RequestCounts, limits: Sequence[SharedLimit], *, group: str, clock: Callable[[], float]
    ) -> None:
        """`group`: the processes of one name share the requests to a service. `clock`: the time of day."""
        self._counts = counts
        self._limits = limits
        self._group = f"process {group}"
        self._name = secrets.token_bytes(_HASH_BYTES)
        self._clock = clock
        self._tasks = Tasks(lambda error: _log.critical("limits are shared no more: %r", error, exc_info=error))
        self._wanted = asyncio.Event()
        self._waiting: asyncio.Future[None] | None = None
        self._forgot_at = self._compared_at = 0.0
        self.processes = 1
        self.works: bool | None = None
        """Has the last exchange gone well? None before the first."""
        for limit in limits:
            limit.exchange = self

    async def start(self) -> None:
        """Compare with the others from now on. A store that is away is no reason not to begin."""
        self._tasks.start(self._run())

    async def stop(self) -> None:
        """Compare no more."""
        await self._tasks.stop()
        self._released()
        await self._counts.close()

    async def heard(self) -> None:
        """Return once the others have been told what was counted until now, and heard; or can't be."""
        if self.processes == 1:
            return
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
            self._wanted.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                await asyncio.shield(self._waiting)

    def gauges(self) -> Mapping[str, float]:
        """Whether the counts are shared now, and with how many."""
        shared = float(self.works is True)
        return {"cludale_request_limits_shared": shared, "cludale_request_limits_processes": self.processes}

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()
            is_idle = self._waiting is None and not any(limit.has_news for limit in self._limits)
            if is_idle and self._clock() - self._compared_at < IDLE_SECONDS:
                continue
            try:
                await self._compare()
            except StoreUnavailable as away:
                self._lost(away)
                await asyncio.sleep(AWAY_SECONDS)
            else:
                await asyncio.sleep(SOONEST_SECONDS)

    async def _compare(self) -> None:
        waiting, self._waiting = self._waiting, None
        taken = [(limit, limit.take(MOST_TOLD)) for limit in self._limits]
        now = self._compared_at = self._clock()
        me = CountKey(self._group, int(now // PROCESS_SECONDS), self._name)
        try:
            added: dict[CountKey, int] = {}
            for _, all_ in taken:
                for _, key, number in all_:
                    added[key] = added.get(key, 0) + number
            totals, self.processes = await self._counts.add(list(added.items()), me)
            for limit, each in taken:
                limit.hear(each, totals)
            self._found()
        except StoreUnavailable:
            for limit, each in taken:
                limit.put_back(each)
            raise
        finally:
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
        if now - self._forgot_at > PROCESS_SECONDS:
            self._forgot_at = now
            await self._counts.forget([*(limit.oldest for limit in self._limits), (self._group, me.window - 1)])

    def _found(self) -> None:
        if not self.works:
            _log.info("limits on requests are shared by %d processes", self.processes)
        self.works = True

    def _lost(self, away: StoreUnavailable) -> None:
        if self.works is not False:
            _log.warning(
                "limits on requests are counted by each process for itself, until they can be shared: %s", away
            )
        self.works, self.processes = False, 1
        self._released()

    def _released(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        self._waiting = None
