"""Tasks: work that runs beside its owner. Each is kept until it ends, and the owner hears what broke one."""

import asyncio
from collections.abc import Callable, Coroutine


class Tasks:
    """The tasks of one owner. Used from one event loop."""

    def __init__(self, broke: Callable[[BaseException], None]) -> None:
        """`broke` is called with the exception of a task that raised one."""
        self._broke = broke
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many are running."""
        return len(self._running)

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Run this in a task of its own."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def stop(self, *, finish_seconds: float = 0.0) -> None:
        """Let them end by themselves for so long, then cancel the rest, and return when all have ended."""
        if self._running and finish_seconds:
            await asyncio.wait(self._running, timeout=finish_seconds)
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broke(error)
