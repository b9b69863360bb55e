"""Pairing at work: makes codes, and swaps each once for a key."""

from collections.abc import Callable
from datetime import datetime

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy
from cludale.runtime.aggregates import Change, Updates
from cludale.services.concerts import pairings as domain
from cludale.services.concerts.key_service import KeyService
from cludale.services.concerts.keys import Key, KeyDigest, NewKey
from cludale.services.concerts.pairings import Pairing, PairingRefused, Pairings
from cludale.services.concerts.store import ALL_PAIRINGS, PAIRINGS


class PairingService:
    """The codes that wait for their device."""

    def __init__(self, updates: Updates, keys: KeyService) -> None:
        self._updates = updates
        self._keys = keys

    def now(self) -> datetime:
        """The time."""
        return self._updates.clock.now()

    async def offer(self, new: Pairing) -> None:
        """Let a device be paired. Raises TooManyPairings, Busy."""
        await self._change(lambda pairings, now: domain.offer(pairings, new, now=now))

    async def swap(self, finds: str, digest: str, key: KeyDigest, cause: Cause) -> Key:
        """The device's key, for its code, which is used up. Raises PairingRefused, TooManyKeys, Busy.

        The code is used up first: a stop in between leaves no key and no code, never two keys.
        """
        paired = (await self._change(lambda pairings, now: domain.swap(pairings, finds, digest, now=now))).paired
        if paired is None:
            raise PairingRefused
        made = NewKey(
            id=key.id,
            digest=key.digest,
            name=paired.name,
            organizer=paired.organizer,
            scopes=(Scope.DOOR,),
            only_concert=paired.concert_id,
            ends_at=paired.key_ends_at,
        )
        return await self._keys.create(made, cause)

    async def _change(self, decide: Callable[[Pairings, datetime], Decision[Pairings]]) -> Pairings:
        change = Change(PAIRINGS, ALL_PAIRINGS, lambda found, now: decide(found or Pairings(), now), Cause())
        ((_, known),) = await self._updates.update((change,))
        if known is None:
            raise Busy("Too many devices are paired at once.")
        state: Pairings = known.state
        return state
