"""Time and identity come in through here, so that a test or the simulator can decide them."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class IdSource(Protocol):
    """Makes ids that no one else makes."""

    def new(self, prefix: str) -> str:
        """A fresh id, `prefix-…`, later ids sorting after earlier ones."""
        ...

    def jitter(self) -> float:
        """A random share in [0, 1), to spread retries."""
        ...
