"""What buyers may have at once: tickets of a concert, and seats that they hold without having paid. No I/O or clock.

An allowance lists the claims of whoever has one buyer key. A claim comes before its reservation and stays for as long
as that may have seats; whether it has is for the reservation alone to say. So what was given back counts no more, and
nobody has to hear of it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from cludale.services.concerts.stock import Answered, Reservation, Status

CLAIM_SECONDS = 30.0
"""For so long after a claim its seats may be taken: what takes longer asks again."""
FORGOTTEN_SECONDS = 120.0
"""After this no request can still be taking seats by a claim. Only a process that died leaves such claims."""
LAPSES_COUNT_SECONDS = 3_600.0
"""Lapsed holds that came after a longer while than this count anew."""


class Claim(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Seats that a reservation has, or is about to have."""

    concert_id: str
    quantity: int
    claimed_at: datetime
    ends_at: datetime
    """A hold that comes of it is over by then, unless it is paid."""
    asked: int = 1
    """By how many requests; each takes back its own, if it gets no seats."""


class Allowance(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """The claims of whoever has one buyer key: those of one concert, or the unpaid ones of all concerts."""

    id: str
    claims: Mapping[str, Claim] = msgspec.field(default_factory=dict)
    """By reservation."""
    lapses: int = 0
    """How many holds were given back in a row without having been paid."""
    lapsed_at: datetime | None = None

    @property
    def quantity(self) -> int:
        """Tickets of all claims."""
        return sum(claim.quantity for claim in self.claims.values())


def claim(allowance: Allowance, reservation_id: str, wanted: Claim) -> Allowance:
    """With this claim; one request more asks for a reservation that has one."""
    before = allowance.claims.get(reservation_id)
    if before is not None:
        quantity, ends_at = max(wanted.quantity, before.quantity), max(wanted.ends_at, before.ends_at)
        wanted = msgspec.structs.replace(wanted, quantity=quantity, ends_at=ends_at, asked=before.asked + 1)
    return msgspec.structs.replace(allowance, claims={**allowance.claims, reservation_id: wanted})


def give_up(allowance: Allowance, reservation_id: str) -> Allowance:
    """Without the claim of one request that got no seats."""
    before = allowance.claims.get(reservation_id)
    if before is None:
        return allowance
    claims = dict(allowance.claims)
    if before.asked > 1:
        claims[reservation_id] = msgspec.structs.replace(before, asked=before.asked - 1)
    else:
        del claims[reservation_id]
    return msgspec.structs.replace(allowance, claims=claims)


def looked_at(allowance: Allowance, found: Mapping[str, Reservation], *, unpaid_only: bool, now: datetime) -> Allowance:
    """Without the claims whose reservations have no seats any more; where `unpaid_only`, without those that are paid.

    A claim of which some tickets were given back is for those that are left.
    `found`: the reservations that there are. A hold that has ended still counts until its end is stored: then nobody
    can sell it any more, whatever their clock says.
    """
    after = allowance
    for id, each in allowance.claims.items():
        reservation = found.get(id)
        if reservation is None:
            if now - each.claimed_at >= timedelta(seconds=FORGOTTEN_SECONDS):
                after = _without(after, id)
        elif reservation.status is Status.RELEASED:
            after = _without(after, id)
            if unpaid_only and reservation.answered is not Answered.SOLD and reservation.successor is None:
                after = _lapsed(after, min(now, reservation.expires_at))
        elif reservation.status is Status.SOLD and unpaid_only:
            after = msgspec.structs.replace(_without(after, id), lapses=0, lapsed_at=None)
        elif reservation.kept < each.quantity:
            fewer = msgspec.structs.replace(each, quantity=reservation.kept)
            after = msgspec.structs.replace(after, claims={**after.claims, id: fewer})
    return after


def _without(allowance: Allowance, reservation_id: str) -> Allowance:
    claims = {id: each for id, each in allowance.claims.items() if id != reservation_id}
    return msgspec.structs.replace(allowance, claims=claims)


def _lapsed(allowance: Allowance, at: datetime) -> Allowance:
    before = allowance.lapsed_at
    goes_on = before is not None and at - before < timedelta(seconds=LAPSES_COUNT_SECONDS)
    lapsed_at = at if before is None else max(at, before)
    return msgspec.structs.replace(allowance, lapses=allowance.lapses + 1 if goes_on else 1, lapsed_at=lapsed_at)


def is_doubtful(allowance: Allowance, now: datetime) -> bool:
    """Has a hold come to its end, so that it is to be looked at whether it was paid?"""
    return any(now >= each.ends_at for each in allowance.claims.values())
