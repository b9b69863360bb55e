"""Keeps what this process knows of keys new: asks their keeper again and again, and tells it which were used."""

import asyncio
import logging
import time
from collections.abc import Callable

from cludale.ports.keys import Keys, KeysUnreachable
from cludale.runtime.tasks import Tasks
from cludale.web.keyring import KeyRing

LOOK_SECONDS = 0.3
"""How often: with time for an answer, a key that is revoked ends within FRESH_SECONDS everywhere."""
USED_SECONDS = 60.0
"""How often uses are told: `last used` is as exact as that, and costs no more than a write a key and minute."""
AWAY_SECONDS = 5.0
"""After how long the log says that they can't be known: processes don't start all at once."""

_log = logging.getLogger(__name__)


class KeyWatch:
    """The watch over the keys, from start to stop."""

    def __init__(self, ring: KeyRing, keys: Keys, *, are_here: bool, also: Callable[[], None] = lambda: None) -> None:
        """`are_here`: their keeper is in this process. `also` is called at each look, on the event loop."""
        self._also = also
        self._are_here = are_here
        self._ring = ring
        self._keys = keys
        self._tasks = Tasks(lambda error: _log.critical("keys are looked at no more: %r", error, exc_info=error))
        self._told_at = time.monotonic()
        self._known_at = time.monotonic()
        self._is_away = False

    async def start(self) -> None:
        """Look again and again. Where the keys are kept here, they are known before the first request."""
        if self._are_here:
            await self.look_now()
        self._tasks.start(self._watch())

    async def stop(self) -> None:
        """End it, and tell what was used."""
        await self._tasks.stop()
        await self._tell()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._also()
            await self.look_now()
            if time.monotonic() - self._told_at >= USED_SECONDS:
                await self._tell()

    async def look_now(self) -> None:
        """Ask for the keys. Where something has changed here, whoever changed it may use it at once after that."""
        asked_at = time.monotonic()
        try:
            listing = await self._keys.listing(self._ring.listing)
        except KeysUnreachable as error:
            if not self._is_away and asked_at - self._known_at >= AWAY_SECONDS:
                _log.warning("which keys there are can't be known, so only the first one is taken: %s", error)
                self._is_away = True
            return
        self._known_at, self._is_away = asked_at, False
        self._ring.learn(listing, asked_at=asked_at)

    async def _tell(self) -> None:
        self._told_at = time.monotonic()
        used, self._ring.used = self._ring.used, {}
        rehashed, self._ring.rehashed = self._ring.rehashed, {}
        if used:
            try:
                await self._keys.used(used, rehashed)
            except KeysUnreachable as error:
                _log.warning("the last uses of keys can't be noted: %s", error)
