"""Where the provider's books and the payments here differ, and what is done about it. No I/O, clock or HTTP.

What is certainly the buyer's money goes back by itself, as a mend of the payment: written down first, then given back
by a key of its own. Everything else is shown for a person, who settles it.
"""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.ids import from_key
from cludale.kernel.money import Money
from cludale.kernel.refusals import Refusal
from cludale.ports.payment_gateway import Booked, Charge
from cludale.services.payments import domain
from cludale.services.payments.events import DifferenceSettled, PaymentDiffers, PaymentMended
from cludale.services.payments.mends import Difference, Mend
from cludale.services.payments.payment import Payment, Status


class State(StrEnum):
    """What has become of a difference."""

    OPEN = "open"
    """Shown: a person has to settle it."""
    MENDING = "mending"
    """It mends itself: whether the money is back, the payment says."""
    SETTLING = "settling"
    """A person has money given back, and the provider has not answered yet."""
    SETTLED = "settled"


class Settlement(StrEnum):
    """What a person decides."""

    GIVE_BACK = "give-back"
    """Give back what the provider has of this charge."""
    LEAVE = "leave"
    """Leave it as it is: it was looked into, and is not shown again."""


class FoundDifference(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """A difference that was found, once."""

    id: str
    kind: Difference
    key: str
    reference: str | None = None
    payment_id: str | None = None
    order_id: str | None = None
    amount: Money
    """What it is about: what goes back, or what the provider has, or should have."""
    taken: Money | None = None
    """What the provider took in all; None: nothing."""
    returned: int = 0
    """Minor units of it that went back."""
    found_at: datetime
    found_by: str
    """The reconciliation."""
    state: State = State.OPEN
    ended_at: datetime | None = None
    note: str = ""


class NotToSettle(Refusal):
    """This difference is none that a person settles so."""

    def __init__(self, found: FoundDifference, why: str) -> None:
        super().__init__(f"Difference {found.id!r} can't be settled so: {why}.", kind=found.kind, state=found.state)


def last_moved(payment: Payment) -> datetime:
    """When the last thing happened to its money, as far as is known here."""
    times = [payment.created_at]
    times += [each.at for each in payment.attempts[-1:]]
    times += [each.done_at for each in payment.parts if each.done_at is not None]
    times += [each.done_at or each.begun_at for each in payment.mends]
    for share in payment.shares:
        times += [each.done_at for each in share.parts if each.done_at is not None]
        times += [] if share.refunded_at is None else [share.refunded_at]
    times += [] if payment.failure is None else [payment.failure.at]
    times += [] if payment.refunded_at is None else [payment.refunded_at]
    return max(times)


def is_in_flight(payment: Payment, key: str, reference: str | None, *, read_at: datetime, tolerance: timedelta) -> bool:
    """May the books of this charge, as they were read then, be older than the payment, or the payment older than they?

    What is mended of another charge says nothing of this one: each of several that are wrong is found at once.
    """
    payment = replace(payment, mends=_of_charge(payment.mends, key, reference))
    if payment.status is Status.PENDING or domain.owes_money(payment):
        return True
    return last_moved(payment) > read_at - tolerance


def _of_charge(mends: tuple[Mend, ...], key: str, reference: str | None) -> tuple[Mend, ...]:
    """Those that give money of this charge back; where the provider counts several under one key, of this one alone."""
    return tuple(
        each
        for each in mends
        if each.key == key and (None in (each.reference, reference) or each.reference == reference)
    )


def found_in(
    booked: Booked, payment: Payment | None, *, by: str, read_at: datetime, tolerance: timedelta
) -> FoundDifference | None:
    """What is wrong about this charge of the provider's; None: nothing, or nothing yet."""
    if booked.at > read_at - tolerance:
        return None
    if payment is None:
        return _differs(booked, Difference.UNKNOWN_MONEY, booked.kept, None, by, read_at) if booked.kept > 0 else None
    if is_in_flight(payment, booked.key, booked.reference, read_at=read_at, tolerance=tolerance):
        return None
    wrong = _wrong(booked, payment)
    return None if wrong is None else _differs(booked, *wrong, payment, by, read_at)


def _wrong(booked: Booked, payment: Payment) -> tuple[Difference, int] | None:
    """What is wrong, and how many minor units that is about: by what the provider keeps, and should keep."""
    round = _round_of(booked.key)
    if round > payment.round:
        return (Difference.UNKNOWN_MONEY, booked.kept) if booked.kept > 0 else None
    wanted = payment.amount
    if booked.taken.currency != wanted.currency:
        return (Difference.OTHER_CURRENCY, booked.kept) if booked.kept else None
    is_unused = round < payment.round or payment.status is not Status.COMPLETED or _is_another(booked, payment)
    if is_unused or payment.till is not None:  # what was paid at the box office the provider is not to have
        too_much = booked.kept
        why = Difference.UNUSED_MONEY
        if payment.status is Status.REFUNDED and round == payment.round:
            why = Difference.REFUND_LOST
    else:
        too_much = booked.kept - (wanted.amount - payment.owed_back)
        why = Difference.REFUND_LOST
    if booked.times > 1 and too_much > 0:
        why = Difference.TAKEN_TWICE
    elif booked.times == 1 and booked.taken.amount != wanted.amount and too_much:
        return Difference.OTHER_AMOUNT, booked.taken.amount
    if too_much < 0:
        return Difference.TOO_MUCH_BACK, -too_much
    return (why, too_much) if too_much else None


def _is_another(booked: Booked, payment: Payment) -> bool:
    """Is it a second charge under the key of this round, where the provider counts them apart?"""
    return None not in (booked.reference, payment.reference) and booked.reference != payment.reference


def no_money(payment: Payment, *, by: str, read_at: datetime, tolerance: timedelta) -> FoundDifference | None:
    """The provider knows nothing of this payment's charge: what is wrong about that; None: nothing."""
    is_taken = payment.status in (Status.COMPLETED, Status.REFUNDED) and payment.asks_provider
    if not is_taken or is_in_flight(payment, payment.key, payment.reference, read_at=read_at, tolerance=tolerance):
        return None
    return FoundDifference(
        id=from_key("difference", Difference.NO_MONEY, payment.key),
        kind=Difference.NO_MONEY,
        key=payment.key,
        reference=payment.reference,
        payment_id=payment.id,
        order_id=payment.order_id,
        amount=payment.amount,
        found_at=read_at,
        found_by=by,
    )


def _differs(
    booked: Booked, kind: Difference, amount: int, payment: Payment | None, by: str, read_at: datetime
) -> FoundDifference:
    # The same books and as many mends of this charge are the same difference, found again.
    mends = 0 if payment is None else len(_of_charge(payment.mends, booked.key, booked.reference))
    parts = (kind, booked.key, booked.reference or "", str(booked.taken), str(booked.returned), str(mends))
    return FoundDifference(
        id=from_key("difference", *parts),
        kind=kind,
        key=booked.key,
        reference=booked.reference,
        payment_id=None if payment is None else payment.id,
        order_id=None if payment is None else payment.order_id,
        amount=Money(amount, booked.taken.currency),
        taken=booked.taken,
        returned=booked.returned,
        found_at=read_at,
        found_by=by,
        state=State.MENDING if kind.mends_itself else State.OPEN,
    )


def _round_of(key: str) -> int:
    text = key.rpartition(".")[2]
    return int(text) if text.isdecimal() else 0


def noted(stored: FoundDifference | None, found: FoundDifference) -> Decision[FoundDifference]:
    """It is found; the second time nothing happens."""
    if stored is not None:
        return Decision(stored)
    event = PaymentDiffers(
        difference_id=found.id,
        kind=found.kind,
        key=found.key,
        amount=found.amount,
        mends_itself=found.kind.mends_itself,
        payment_id=found.payment_id,
        order_id=found.order_id,
    )
    return Decision(found, (event,))


def begin_mend(payment: Payment, found: FoundDifference, *, now: datetime, tolerance: timedelta) -> Decision[Payment]:
    """Have the money of this difference given back, once: what was found in older books than the payment is let be."""
    if any(each.difference_id == found.id for each in payment.mends):
        return Decision(payment)
    if is_in_flight(payment, found.key, found.reference, read_at=found.found_at, tolerance=tolerance):
        return Decision(payment)
    mend = Mend(
        number=max((each.number for each in payment.mends), default=0) + 1,
        difference_id=found.id,
        kind=found.kind,
        key=found.key,
        reference=found.reference,
        amount=found.amount,
        begun_at=now,
    )
    return Decision(replace(payment, mends=(*payment.mends, mend), due_at=now, part_tries=0))


def mended(payment: Payment, mend: Mend, *, now: datetime) -> Decision[Payment]:
    """The money is back."""
    if all(each.number != mend.number or each.done_at is not None for each in payment.mends):
        return Decision(payment)
    event = PaymentMended(
        payment_id=payment.id,
        order_id=payment.order_id,
        concert_id=payment.allocation.concert_id,
        difference_id=mend.difference_id,
        kind=mend.kind,
        number=mend.number,
        key=mend.key,
        amount=mend.amount,
    )
    return Decision(domain.evolve(payment, event, at=now), (event,), at=now)


def charge_of(found: FoundDifference) -> Charge:
    """The charge that it is about."""
    return Charge(found.key, found.taken or found.amount, found.reference)


def to_give_back(found: FoundDifference) -> Money | None:
    """What goes back if a person says so; None: there is nothing."""
    if found.taken is None or found.taken.amount <= found.returned:
        return None
    if found.kind is Difference.TOO_MUCH_BACK:
        return None
    return Money(found.taken.amount - found.returned, found.taken.currency)


def begin_settling(
    found: FoundDifference, settlement: Settlement, note: str, *, now: datetime
) -> Decision[FoundDifference]:
    """Somebody has decided how to settle this difference. Raises NotToSettle."""
    if found.state is State.SETTLED:
        return Decision(found)
    if found.state is State.MENDING:
        raise NotToSettle(found, "it mends itself")
    if settlement is Settlement.LEAVE:
        if found.state is State.SETTLING:
            raise NotToSettle(found, "its money is on its way back")
        return settled(found, gave_back=None, note=note, now=now)
    if to_give_back(found) is None:
        raise NotToSettle(found, "the provider has no money of it to give back; it can only be left")
    return Decision(replace(found, state=State.SETTLING, note=note or found.note))


def settled(found: FoundDifference, *, gave_back: Money | None, note: str, now: datetime) -> Decision[FoundDifference]:
    """What a person decided is done."""
    if found.state is State.SETTLED:
        return Decision(found)
    event = DifferenceSettled(
        difference_id=found.id,
        kind=found.kind,
        key=found.key,
        gave_back=gave_back,
        payment_id=found.payment_id,
        order_id=found.order_id,
    )
    return Decision(replace(found, state=State.SETTLED, ended_at=now, note=note), (event,), at=now)
