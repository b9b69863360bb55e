"""Limits of buyers at work: claims what a hold would add to what its buyer has, before the seats are asked for.

Exact, whoever asks where and when: an allowance is changed under its version, a claim is there before its reservation,
and goes only once the reservation is stored as Released. Who has neither a limit nor a quota never comes here.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import NamedTuple
from weakref import WeakValueDictionary

import msgspec
from msgspec import UNSET

from cludale.kernel.buyers import BuyerKeys, KnownBy
from cludale.kernel.decision import Decision
from cludale.kernel.refusals import Busy, Refusal
from cludale.ports.seats import BuyerLimitReached, HoldsLapsed, TooManyHolds
from cludale.runtime.aggregates import Change, ChangeResult, Updates
from cludale.services.concerts.buyers import domain as allowances
from cludale.services.concerts.buyers.domain import CLAIM_SECONDS, Allowance, Claim
from cludale.services.concerts.buyers.looks import Looks
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.store import ALLOWANCES, EVERYWHERE, allowance_id

ROUNDS = 6
"""How often a claim is tried while others of the same buyer come and go."""
WAIT_SECONDS = 0.05
"""The longest first wait for claims of others that have no seats yet; it grows by as much with each round."""

TURN_SECONDS = 1.0
"""How long an order waits for those of the same buyer before it. Who called may not wait for longer."""
_TOO_MANY = "One buyer has too many orders under way at once."


class Quotas(NamedTuple):
    """The operator's limits of unpaid orders, at all concerts together. None: any number."""

    holds_per_buyer: int | None = None
    holds_per_address: int | None = None
    lapses: int | None = None
    """After so many in a row that were not paid, a pause."""
    pause_seconds: float = 60.0

    @property
    def are_set(self) -> bool:
        """Is there any?"""
        return (self.holds_per_buyer, self.holds_per_address, self.lapses) != (None, None, None)


NO_QUOTAS = Quotas()


class WantedSeats(msgspec.Struct, frozen=True, gc=False):
    """What a reservation would add to what its buyers have."""

    concert: Concert
    buyers: BuyerKeys
    reservation_id: str
    quantity: int
    hold_seconds: float
    counts_holds: bool = True
    """Is it one that is yet to be paid?"""


class _Tried(NamedTuple):
    """What came of one try: the allowances that took the claim, and why others did not."""

    claimed: list[str]
    refused: dict[str, Refusal | None]
    """By allowance; None: to be looked at first."""


class BuyerLimits:
    """The limits of all buyers."""

    def __init__(self, updates: Updates, looks: Looks, quotas: Quotas) -> None:
        self._updates = updates
        self._looks = looks
        self._quotas = quotas
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """Of each buyer who claims something; gone with the last who waits."""
        self.refused: Counter[str] = Counter()
        """How often a buyer was refused, by the refusal's name."""

    def concern(self, concert: Concert, buyers: BuyerKeys) -> bool:
        """Do limits apply to these buyers at this concert, so that seats have to be claimed first?"""
        return bool(buyers) and (concert.max_per_buyer is not UNSET or self._quotas.are_set)

    async def claim(self, wanted: WantedSeats) -> datetime:
        """Claim the seats; returns until when they may be taken. Those of one buyer wait for each other.

        Raises BuyerLimitReached, TooManyHolds, HoldsLapsed, Busy.
        """
        turn = self._turns.setdefault(wanted.buyers[0], asyncio.Lock())
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await turn.acquire()
        except TimeoutError:
            raise Busy(_TOO_MANY) from None
        try:
            return await self._claim(wanted)
        except Refusal as refusal:
            self.refused[refusal.name()] += 1
            raise
        finally:
            turn.release()

    async def give_up(self, wanted: WantedSeats) -> None:
        """The seats were refused: take the claim back."""
        await self._give_up(self._scopes(wanted), wanted.reservation_id)

    async def have_room(self, wanted: WantedSeats) -> bool:
        """Could the seats be claimed, as things stand? Writes nothing."""
        return await self.refusal(wanted) is None

    async def refusal(self, wanted: WantedSeats) -> Refusal | None:
        """Why the seats could not be claimed, as things stand; None: they could, or are. Writes nothing."""
        ids = self._scopes(wanted)
        now = self._updates.clock.now()
        loaded = await ALLOWANCES.load(self._updates.records, ids)
        claims = {id: each for known in loaded.values() for id, each in known.state.claims.items()}
        found = await self._looks.as_ended(claims, now)
        for id in ids:
            known = loaded[id].state if id in loaded else Allowance(id=id)
            left = allowances.looked_at(known, found, unpaid_only=False, now=now)
            refusal = None if wanted.reservation_id in left.claims else self._why_not(left, ids[id], wanted, now)
            if refusal is not None:
                return refusal
        return None

    def _scopes(self, wanted: WantedSeats) -> dict[str, str]:
        """The allowances that are asked, each with its buyer key."""
        scopes: dict[str, str] = {}
        for key in wanted.buyers:
            if wanted.concert.max_per_buyer is not UNSET and KnownBy.of(key) is not KnownBy.ADDRESS:
                scopes[allowance_id(key, wanted.concert.id)] = key
            if wanted.counts_holds and (self._most_holds(key) is not None or self._quotas.lapses is not None):
                scopes[allowance_id(key)] = key
        return scopes

    def _most_holds(self, key: str) -> int | None:
        is_address = KnownBy.of(key) is KnownBy.ADDRESS
        return self._quotas.holds_per_address if is_address else self._quotas.holds_per_buyer

    async def _claim(self, wanted: WantedSeats) -> datetime:
        scopes = self._scopes(wanted)
        looked: set[str] = set()
        refusal: Refusal | None = None
        for round in range(1, ROUNDS + 1):
            now = self._updates.clock.now()
            tried = await self._try(wanted, scopes, now, looked)
            if len(tried.claimed) == len(scopes):
                return now + timedelta(seconds=CLAIM_SECONDS)
            await self._give_up(tried.claimed, wanted.reservation_id)
            is_to_be_looked_at = None in tried.refused.values()
            refusal = next((each for each in tried.refused.values() if each is not None), None)
            if isinstance(refusal, HoldsLapsed):
                break
            freed, may_go = await self._look(tried.refused)
            looked.update(tried.refused)
            if freed or is_to_be_looked_at:
                continue
            if refusal is not None and not may_go:
                break
            await self._updates.clock.sleep(WAIT_SECONDS * round * self._updates.ids.jitter())
        raise refusal or Busy(_TOO_MANY)

    async def _try(self, wanted: WantedSeats, scopes: Mapping[str, str], now: datetime, looked: set[str]) -> _Tried:
        tried = _Tried([], {})
        more = Claim(
            concert_id=wanted.concert.id,
            quantity=wanted.quantity,
            claimed_at=now,
            ends_at=now + timedelta(seconds=CLAIM_SECONDS + wanted.hold_seconds),
        )

        def decide(id: str, stored: Allowance | None, _: datetime) -> Decision[Allowance] | None:
            tried.refused.pop(id, None)
            known = stored or Allowance(id=id)
            if wanted.reservation_id not in known.claims:
                is_everywhere = id.startswith(EVERYWHERE)
                if is_everywhere and id not in looked and allowances.is_doubtful(known, now):
                    tried.refused[id] = None
                    return None
                refusal = self._why_not(known, scopes[id], wanted, now)
                if refusal is not None:
                    tried.refused[id] = refusal
                    return None
            return Decision(allowances.claim(known, wanted.reservation_id, more))

        changes = [Change(ALLOWANCES, id, partial(decide, id)) for id in scopes]
        for id, (result, _) in zip(scopes, await self._updates.update(changes), strict=True):
            if result is ChangeResult.CHANGED:
                tried.claimed.append(id)
        return tried

    def _why_not(self, known: Allowance, key: str, wanted: WantedSeats, now: datetime) -> Refusal | None:
        by, concert = KnownBy.of(key), wanted.concert
        if not known.id.startswith(EVERYWHERE):
            limit = concert.max_per_buyer
            if limit is UNSET or known.quantity + wanted.quantity <= limit:
                return None
            return BuyerLimitReached(concert.id, limit=limit, has=known.quantity, wanted=wanted.quantity, known=by)
        pause = timedelta(seconds=self._quotas.pause_seconds)
        if self._quotas.lapses is not None and known.lapses >= self._quotas.lapses and known.lapsed_at is not None:
            until = known.lapsed_at + pause
            if now < until:
                seconds = ceil((until - now).total_seconds())
                return HoldsLapsed(lapses=known.lapses, until=until, seconds=seconds, known=by)
        most = self._most_holds(key)
        if most is None or len(known.claims) < most:
            return None
        return TooManyHolds(limit=most, has=len(known.claims), known=by)

    async def _give_up(self, ids: Collection[str], reservation_id: str) -> None:
        def decide(stored: Allowance | None, _: datetime) -> Decision[Allowance] | None:
            return None if stored is None else Decision(allowances.give_up(stored, reservation_id))

        if ids:
            await self._updates.update([Change(ALLOWANCES, id, decide) for id in ids])

    async def _look(self, ids: Collection[str]) -> tuple[bool, bool]:
        """Look at the reservations of these allowances' claims.

        Did that free anything; are there claims without seats yet, which may be given up any moment?
        """
        if not ids:
            return False, False
        loaded = await ALLOWANCES.load(self._updates.records, ids)
        claims = {id: each for known in loaded.values() for id, each in known.state.claims.items()}
        found = await self._looks.ended(claims)

        def decide(id: str, stored: Allowance | None, now: datetime) -> Decision[Allowance] | None:
            if stored is None:
                return None
            unpaid_only = id.startswith(EVERYWHERE)
            return Decision(allowances.looked_at(stored, found, unpaid_only=unpaid_only, now=now))

        updated = await self._updates.update([Change(ALLOWANCES, id, partial(decide, id)) for id in loaded])
        freed = any(result is not ChangeResult.UNCHANGED for result, _ in updated)
        return freed, len(found) < len(claims)
