"""A part that is kept running: when it ends unasked it is started again, after a wait that grows, and that is said."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum

from cludale.kernel.backoff import Backoff
from cludale_operations.local.find import MissingProgram
from cludale_operations.local.part import Part, PartFailed, how

AGAIN = Backoff(first_seconds=0.5, max_seconds=10)
STEADY_SECONDS = 30
"""Who has run for so long, or ended in order, begins again with the first wait."""

Say = Callable[[str], None]


class State(StrEnum):
    """How a part stands."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    UNREADY = "not ready"
    ENDED = "ended"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Watched:
    """Keeps one part running."""

    def __init__(self, part: Part, say: Say, changed: Callable[[], None]) -> None:
        """`changed` is called after every change of state or process."""
        self.part = part
        self.state = State.WAITING
        self.restarts = 0
        self.since = time.time()
        self._say = say
        self._changed = changed
        self._busy = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """The first start, which has to succeed; from then on it is watched. Raises what Part.start raises."""
        began = time.monotonic()
        self._becomes(State.STARTING)
        try:
            await self.part.start()
        except BaseException:
            self._becomes(State.ENDED)
            raise
        self._becomes(State.READY)
        self._say(f"{self.part.name} is ready after {time.monotonic() - began:.1f} s")
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def restart(self, between: Callable[[], Awaitable[None]] | None = None) -> None:
        """Stop it in order and start it again, `between` done before that.

        Raises what Part.start and `between` raise; it is tried again then, too.
        """
        async with self._busy:
            self._becomes(State.STOPPING)
            await self.part.stop()
            if between is not None:
                await between()
            await self._start_again()
        self._say(f"{self.part.name} was restarted")

    async def stop(self) -> None:
        """Stop it, and watch it no longer."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self.part.pid is not None:
            self._becomes(State.STOPPING)
        await self.part.stop()
        self._becomes(State.STOPPED)

    async def kill(self) -> None:
        """End it at once, and watch it no longer."""
        if self._watching is not None:
            self._watching.cancel()
        await self.part.kill()

    async def look(self) -> None:
        """Is it still ready? Says so when that has changed."""
        if self.state not in {State.READY, State.UNREADY}:
            return
        seen, now = self.state, State.READY if await self.part.is_well() else State.UNREADY
        if self.state is seen is not now and self.part.pid is not None:
            self._becomes(now)
            self._say(f"{self.part.name} is {now}")

    async def _watch(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            status = await self.part.wait()
            async with self._busy:
                if self.part.pid is not None:
                    continue  # it was restarted on purpose
                is_steady = status == 0 or time.monotonic() - began > STEADY_SECONDS
                failures = 1 if is_steady else failures + 1
                self._becomes(State.ENDED)
                wait = AGAIN.seconds(failures, random.random() if failures > 1 else 0)  # noqa: S311 - spreads starts
                self._say(f"{self.part.name} ended ({how(status)}), started again in {wait:.1f} s")
                await asyncio.sleep(wait)
                try:
                    await self._start_again()
                except (PartFailed, MissingProgram, OSError) as error:
                    self._say(f"{self.part.name} could not be started: {error}")
                else:
                    self._say(f"{self.part.name} is ready again")

    async def _start_again(self) -> None:
        self.restarts += 1
        self._becomes(State.STARTING)
        try:
            await self.part.start()
        except BaseException:
            self._becomes(State.ENDED)
            raise
        self._becomes(State.READY)

    def _becomes(self, state: State) -> None:
        self.state = state
        self.since = time.time()
        self._changed()
