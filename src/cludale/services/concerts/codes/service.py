"""Codes at work: makes, changes and lists them, and claims their uses before the seats are asked for.

All claims of a code that wait are decided together, in its own command queue, and committed once: so however many want
it at the same moment, it is written once for each batch of them, and never used more often than it may be.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy, NotFound, Refusal
from cludale.ports.prices import CodeUnknown, CodeUsedUp
from cludale.ports.records import Query
from cludale.runtime.aggregates import Change, ChangeResult, Updates
from cludale.runtime.batching import BatchingQueue
from cludale.services.concerts.buyers.domain import CLAIM_SECONDS, Claim
from cludale.services.concerts.buyers.looks import Looks
from cludale.services.concerts.codes import domain
from cludale.services.concerts.codes.domain import Code, NewLimits
from cludale.services.concerts.events import CodeLimits
from cludale.services.concerts.prices.domain import CodeTerms
from cludale.services.concerts.store import CODES


class WantedUse(NamedTuple):
    """One use of a code: for the tickets of this reservation."""

    concert_id: str
    code: str
    reservation_id: str
    tickets: int
    hold_seconds: float
    is_late: bool = False
    """Its money came after its hold had ended: the code was valid when it was asked for."""


class ClaimedUse(NamedTuple):
    """A use that was claimed: what the code gives, and until when the seats may be taken; None: it has no limits."""

    terms: CodeTerms
    ends: datetime | None


class CodeService:
    """The codes of all concerts."""

    def __init__(self, updates: Updates, looks: Looks) -> None:
        self._updates = updates
        self._looks = looks
        self._queue: BatchingQueue[str, WantedUse, ClaimedUse | Refusal] = BatchingQueue(
            self._claim_all, of="uses of codes", refuse=lambda _: Busy("Too many requests wait for the same code.")
        )

    # -- what the organizer does

    async def create(self, concert_id: str, terms: CodeTerms, limits: CodeLimits, *, by: str, cause: Cause) -> Code:
        """Make a code. Raises CodeExists, Invalid for one that is over already, Busy."""

        def decide(before: Code | None, now: datetime) -> Decision[Code]:
            return domain.create(concert_id, terms, limits, before, by=by, now=now)

        ((_, known),) = await self._updates.update(
            (Change(CODES, domain.code_id(concert_id, terms.code), decide, cause),)
        )
        if known is None:
            raise Busy("Codes are being made by too many requests at once.")
        made: Code = known.state
        return made

    async def change(self, concert_id: str, code: str, wanted: NewLimits, *, by: str, cause: Cause) -> Code:
        """Give a code other limits. Raises NotFound, Busy."""
        id = domain.code_id(concert_id, domain.folded(code))
        return await self._updates.change(CODES, id, lambda known, _: domain.change(known, wanted, by=by), cause)

    async def page(self, concert_id: str, *, after: str | None, limit: int) -> tuple[list[Code], str | None]:
        """A page of a concert's codes, with their uses as they are now, and the cursor of the next one."""
        query = Query(equal={"concertId": concert_id}, after=after, limit=limit)
        found, page = await CODES.find(self._updates.records, query)
        return [await self._as_it_is(each.state) for each in found], page.next

    async def show(self, concert_id: str, code: str) -> Code:
        """A code, with its uses as they are now. Raises NotFound."""
        found = await self._stored(concert_id, code)
        if found is None:
            raise NotFound("code", domain.folded(code))
        return await self._as_it_is(found)

    async def _as_it_is(self, code: Code) -> Code:
        now = self._updates.clock.now()
        return domain.looked_at(code, await self._looks.as_ended(code.had.claims, now), now=now)

    async def _stored(self, concert_id: str, code: str) -> Code | None:
        id = domain.code_id(concert_id, domain.folded(code))
        found = (await CODES.load(self._updates.records, (id,))).get(id)
        return None if found is None else found.state

    # -- what an order does

    async def quoted(self, concert_id: str, code: str, tickets: int) -> CodeTerms:
        """What the code gives, if it could be used now; nothing is claimed.

        Raises CodeUnknown, CodeOver, CodeUsedUp.
        """
        found = await self._stored(concert_id, code)
        if found is None:
            raise CodeUnknown(concert_id, code)
        now = self._updates.clock.now()
        domain.check_valid(found, now)
        if found.is_limited:
            domain.check_room(await self._as_it_is(found), tickets)
        return found.terms

    async def has_room(self, wanted: WantedUse) -> bool:
        """Could it be claimed for money that comes late, as things stand?"""
        found = await self._stored(wanted.concert_id, wanted.code)
        if found is None:
            return False
        try:
            domain.check_room(await self._as_it_is(found), wanted.tickets)
        except CodeUsedUp:
            return False
        return True

    async def claim(self, wanted: WantedUse) -> ClaimedUse:
        """Claim one use. Raises CodeUnknown, CodeOver, CodeUsedUp, Busy."""
        id = domain.code_id(wanted.concert_id, domain.folded(wanted.code))
        (result,) = await self._queue.submit(id, (wanted,))
        if isinstance(result, Refusal):
            raise result
        return result

    async def give_up(self, wanted: WantedUse) -> None:
        """The seats were refused: take the claim back."""

        def decide(known: Code | None, _: datetime) -> Decision[Code] | None:
            return None if known is None else Decision(domain.give_up(known, wanted.reservation_id))

        id = domain.code_id(wanted.concert_id, domain.folded(wanted.code))
        await self._updates.update((Change(CODES, id, decide),))

    async def _claim_all(self, id: str, wanted: Sequence[WantedUse]) -> list[ClaimedUse | Refusal]:
        """Decide for all who wait; before anybody is refused, it is looked at which uses have come to nothing."""
        results, is_large = await self._try(id, wanted)
        full = [i for i, result in enumerate(results) if isinstance(result, CodeUsedUp)]
        if (full or is_large) and await self._look(id) and full:
            again, _ = await self._try(id, [wanted[i] for i in full])
            for i, result in zip(full, again, strict=True):
                results[i] = result
        return results

    async def _try(self, id: str, wanted: Sequence[WantedUse]) -> tuple[list[ClaimedUse | Refusal], bool]:
        """What comes of each, and whether there are so many claims that they are to be looked at."""
        results: list[ClaimedUse | Refusal] = []

        def decide(known: Code | None, now: datetime) -> Decision[Code] | None:
            results.clear()
            code = known
            for each in wanted:
                result, code = _claimed(code, each, now)
                results.append(result)
            return None if code is None else Decision(code)

        ((result, known),) = await self._updates.update((Change(CODES, id, decide),))
        if result is ChangeResult.CONFLICT:
            return [Busy("The code is being used by too many requests at once.")] * len(wanted), False
        is_large = known is not None and len(known.state.had.claims) >= known.state.look_at
        return list(results), is_large

    async def _look(self, id: str) -> bool:
        """Look at the reservations of the claims: was any freed, or counted for good?"""
        loaded = (await CODES.load(self._updates.records, (id,))).get(id)
        if loaded is None:
            return False
        found = await self._looks.ended(loaded.state.had.claims)

        def decide(known: Code | None, now: datetime) -> Decision[Code] | None:
            return None if known is None else Decision(domain.looked_at(known, found, now=now))

        ((result, _),) = await self._updates.update((Change(CODES, id, decide),))
        return result is ChangeResult.CHANGED


def _claimed(code: Code | None, wanted: WantedUse, now: datetime) -> tuple[ClaimedUse | Refusal, Code | None]:
    if code is None:
        return CodeUnknown(wanted.concert_id, wanted.code), None
    claim = Claim(
        concert_id=wanted.concert_id,
        quantity=wanted.tickets,
        claimed_at=now,
        ends_at=now + timedelta(seconds=CLAIM_SECONDS + wanted.hold_seconds),
    )
    try:
        if not wanted.is_late:
            domain.check_valid(code, now)
        after = domain.claim(code, wanted.reservation_id, claim)
    except Refusal as refusal:
        return refusal, code
    return ClaimedUse(code.terms, now + timedelta(seconds=CLAIM_SECONDS) if code.is_limited else None), after
