"""Discount codes: what each gives, and how often it was used. No I/O or clock.

A use is claimed before its seats, as the tickets of a buyer are (buyers/domain.py), in the code's own record: so it is
decided in one place, whoever asks where. Whether a claim came to something says its reservation alone: while that is
held it counts, once it was sold it counts for good, and what ended unpaid counts no more.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel.decision import Decision
from cludale.kernel.refusals import Invalid, Refusal
from cludale.kernel.times import rfc3339
from cludale.ports.prices import CodeOver, CodeUsedUp
from cludale.services.concerts.buyers import domain as allowances
from cludale.services.concerts.buyers.domain import FORGOTTEN_SECONDS, Allowance, Claim
from cludale.services.concerts.events import CodeChanged, CodeCreated, CodeLimits
from cludale.services.concerts.prices.domain import CodeTerms
from cludale.services.concerts.stock import Answered, Reservation, Status

LOOK_AT = 512
"""With so many claims it is looked up which of them were paid: the record is written whole with each use."""


class CodeExists(Refusal):
    """The concert has this code already."""

    def __init__(self, concert_id: str, code: str) -> None:
        super().__init__(f"Concert {concert_id!r} has a code {code!r} already.", code=code)


class Code(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """A code of one concert, and its uses."""

    concert_id: str
    terms: CodeTerms
    limits: CodeLimits
    created_at: datetime
    changes: int = 0
    had: Allowance = Allowance(id="")
    """Claims of reservations that are not known to be paid, or to have ended."""
    paid_uses: int = 0
    paid_tickets: int = 0
    """How many tickets are known to be paid. They stay counted, even if the order is cancelled later."""
    look_at: int = LOOK_AT

    @property
    def id(self) -> str:
        """The id of its record. No concert's id has a colon, so it can't be confused."""
        return code_id(self.concert_id, self.terms.code)

    @property
    def uses(self) -> int:
        """Paid, held, or about to be held."""
        return self.paid_uses + len(self.had.claims)

    @property
    def tickets(self) -> int:
        """Of all uses."""
        return self.paid_tickets + self.had.quantity

    @property
    def is_limited(self) -> bool:
        """Are its uses counted?"""
        return self.limits.max_uses is not None or self.limits.max_tickets is not None


def folded(code: str) -> str:
    """A code as it is compared: neither case matters, nor space around it."""
    return code.strip().upper()


def code_id(concert_id: str, code: str) -> str:
    """The id of a code's record."""
    return f"{concert_id}:{code}"


def create(
    concert_id: str, terms: CodeTerms, limits: CodeLimits, before: Code | None, *, by: str, now: datetime
) -> Decision[Code]:
    """Make a code. Raises CodeExists, Invalid for one that is over already."""
    if before is not None:
        raise CodeExists(concert_id, terms.code)
    if limits.ends_at is not None and limits.ends_at <= now:
        raise Invalid(("endsAt", f"must be in the future, and {rfc3339(limits.ends_at)} is not"))
    created = CodeCreated(
        concert_id=concert_id,
        code=terms.code,
        percent=terms.percent,
        less=terms.amount,
        unlocks=terms.unlocks,
        limits=limits,
        changed_by=by,
    )
    return Decision(as_created(created, at=now), (created,))


def as_created(event: CodeCreated, *, at: datetime) -> Code:
    """The code as it was made."""
    terms = CodeTerms(code=event.code, percent=event.percent, amount=event.less, unlocks=event.unlocks)
    return Code(concert_id=event.concert_id, terms=terms, limits=event.limits, created_at=at)


class NewLimits(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is to be otherwise about a code; what is unset stays, None takes it away."""

    max_uses: int | UnsetType | None = UNSET
    max_tickets: int | UnsetType | None = UNSET
    ends_at: datetime | UnsetType | None = UNSET


def change(code: Code, wanted: NewLimits, *, by: str) -> Decision[Code]:
    """Other limits from now on. Below what was used, nobody gets it any more; who has it keeps it."""
    new = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not UNSET}
    limits = msgspec.structs.replace(code.limits, **new)
    if limits == code.limits:
        return Decision(code)
    changed = CodeChanged(
        concert_id=code.concert_id, code=code.terms.code, change=code.changes + 1, limits=limits, changed_by=by
    )
    return Decision(evolve(code, changed), (changed,))


def evolve(code: Code, event: CodeChanged) -> Code:
    """The code after this fact."""
    return msgspec.structs.replace(code, limits=event.limits, changes=event.change)


def check_valid(code: Code, now: datetime) -> None:
    """May it be used at all? Raises CodeOver."""
    if code.limits.ends_at is not None and now >= code.limits.ends_at:
        raise CodeOver(code.terms.code, ended_at=code.limits.ends_at)


def check_room(code: Code, tickets: int) -> None:
    """Is there one use more, for so many tickets? Raises CodeUsedUp."""
    limits = code.limits
    if limits.max_uses is not None and code.uses >= limits.max_uses:
        raise CodeUsedUp(code.terms.code, limit=limits.max_uses, left=0, counts="uses")
    if limits.max_tickets is not None and code.tickets + tickets > limits.max_tickets:
        left = max(0, limits.max_tickets - code.tickets)
        raise CodeUsedUp(code.terms.code, limit=limits.max_tickets, left=left, counts="tickets")


def claim(code: Code, reservation_id: str, wanted: Claim) -> Code:
    """With one use more, for this reservation; asked for again, it is the same one. Raises CodeUsedUp."""
    if not code.is_limited:
        return code
    if reservation_id not in code.had.claims:
        check_room(code, wanted.quantity)
    return msgspec.structs.replace(code, had=allowances.claim(code.had, reservation_id, wanted))


def give_up(code: Code, reservation_id: str) -> Code:
    """Without the claim of one request that got no seats."""
    had = allowances.give_up(code.had, reservation_id)
    return code if had is code.had else msgspec.structs.replace(code, had=had)


def looked_at(code: Code, found: Mapping[str, Reservation], *, now: datetime) -> Code:
    """The code without claims of orders that ended unpaid; claims of orders that were paid are counted for good.

    `found`: the reservations that there are. A hold counts until its end is stored, as in buyers/domain.py.
    """
    left = dict(code.had.claims)
    uses, tickets = code.paid_uses, code.paid_tickets
    for id, each in code.had.claims.items():
        reservation = found.get(id)
        if reservation is None:
            is_over = now - each.claimed_at >= timedelta(seconds=FORGOTTEN_SECONDS)
        else:
            is_its = reservation.code == code.terms.code  # else the order was asked for again with another code
            is_over = reservation.status is not Status.HELD or not is_its
            if is_its and (reservation.status is Status.SOLD or reservation.answered is Answered.SOLD):
                uses, tickets = uses + 1, tickets + each.quantity
        if is_over:
            del left[id]
    if len(left) == len(code.had.claims):
        return code
    had = msgspec.structs.replace(code.had, claims=left)
    return msgspec.structs.replace(
        code, had=had, paid_uses=uses, paid_tickets=tickets, look_at=max(LOOK_AT, 2 * len(left))
    )
