"""A clock and ids that a test decides, and seals."""

import asyncio
from datetime import UTC, datetime, timedelta

from cludale.adapters.ciphers import AeadSeals

SEALS = AeadSeals("master")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class ManualClock:
    """A Clock that stands still until a test moves it."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        """Whoever sleeps moves the time on."""
        self.advance(seconds)
        await asyncio.sleep(0)


class CountingIds:
    """An IdSource that counts: `event-000001`, `event-000002`, …; waits without jitter."""

    def __init__(self) -> None:
        self.made = 0

    def new(self, prefix: str) -> str:
        self.made += 1
        return f"{prefix}-{self.made:06}"

    def jitter(self) -> float:
        return 0.0
