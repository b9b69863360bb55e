"""Shared: what several ask for at the same time is asked for once, and all of them get that answer."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class Shared(Generic[K, T]):
    """Answers that are under way, by what is asked. Who stops waiting for one takes it from nobody else."""

    def __init__(self) -> None:
        self._asking: dict[K, asyncio.Task[T]] = {}

    async def get(self, key: K, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer that is under way, or that of `ask`. Raises what that raises."""
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.get_running_loop().create_task(ask())
            asking.add_done_callback(lambda done: self._over(key, done))
        return await asyncio.shield(asking)

    def stop(self) -> None:
        """Ask for nothing any more."""
        for asking in self._asking.values():
            asking.cancel()

    def _over(self, key: K, done: "asyncio.Task[T]") -> None:
        self._asking.pop(key, None)
        if not done.cancelled():
            done.exception()  # whoever still waits is told; nobody need be
