"""Turns: commands for one hot aggregate wait in a queue; one turn takes them all.

What everyone wants at once (a section's seats) is loaded once, decided for all that wait, and committed
once. So contention costs per turn, not per buyer. What a turn does is the service's own; here is only
the queueing: one turn at a time for each key, everything bounded.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from cludale.kernel.refusals import Busy

K = TypeVar("K", bound=Hashable)
C = TypeVar("C")
R = TypeVar("R")

TakeTurn = Callable[[K, Sequence[C]], Awaitable[Sequence[R]]]


class Turns(Generic[K, C, R]):
    """One queue a key. `take_turn(key, commands)` answers each command, in order."""

    def __init__(self, take_turn: TakeTurn[K, C, R], *, turn_limit: int = 512, waiting_limit: int = 20_000) -> None:
        self._take_turn = take_turn
        self._turn_limit = turn_limit
        self._waiting_limit = waiting_limit
        self._queues: dict[K, deque[tuple[Sequence[C], asyncio.Future[Sequence[R]]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.waiting = 0

    def around(self, wrap: Callable[[TakeTurn[K, C, R]], TakeTurn[K, C, R]]) -> None:
        """Have each turn taken by what `wrap` makes of how it is taken now."""
        self._take_turn = wrap(self._take_turn)

    async def submit(self, key: K, commands: Sequence[C]) -> Sequence[R]:
        """What the turn answers to `commands`, taken together in one turn. Raises Busy when too many wait.

        Whatever the turn itself raises (a store that is away) is raised here to all that waited.
        """
        if self.waiting + len(commands) > self._waiting_limit:
            raise Busy("Too many requests wait for the same seats.")
        future: asyncio.Future[Sequence[R]] = asyncio.get_running_loop().create_future()
        self.waiting += len(commands)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = deque()
            task = asyncio.get_running_loop().create_task(self._run(key, queue))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        queue.append((commands, future))
        return await future

    async def _run(self, key: K, queue: deque[tuple[Sequence[C], asyncio.Future[Sequence[R]]]]) -> None:
        while queue:
            taken: list[tuple[Sequence[C], asyncio.Future[Sequence[R]]]] = []
            commands: list[C] = []
            while queue and (not taken or len(commands) + len(queue[0][0]) <= self._turn_limit):
                entry = queue.popleft()
                taken.append(entry)
                commands.extend(entry[0])
            self.waiting -= len(commands)
            try:
                answers = await self._take_turn(key, commands)
            except Exception as error:  # noqa: BLE001 - handed on to everyone who waited
                for _, future in taken:
                    if not future.done():
                        future.set_exception(error)
                continue
            start = 0
            for own, future in taken:
                if not future.done():
                    future.set_result(answers[start : start + len(own)])
                start += len(own)
        del self._queues[key]
