"""A payment: what is to be charged for an order, and how far that has come. No I/O, clock or HTTP."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from cludale.kernel.allocation import Allocation
from cludale.kernel.carts import is_cart
from cludale.kernel.events import Cause
from cludale.kernel.ids import same_as
from cludale.kernel.money import Money
from cludale.kernel.refusals import Refusal
from cludale.kernel.tills import Till
from cludale.ports.payment_gateway import Charge
from cludale.services.orders.events import (
    PartRefund,
)
from cludale.services.payments.events import (
    FailureReason,
)
from cludale.services.payments.mends import Mend


class Status(StrEnum):
    """Where a payment is in its life."""

    PENDING = "Pending"
    COMPLETED = "Completed"
    FAILED = "Failed"
    REFUNDED = "Refunded"


NEXT: Mapping[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.COMPLETED, Status.FAILED}),
    Status.COMPLETED: frozenset({Status.REFUNDED}),
    Status.FAILED: frozenset({Status.PENDING}),  # tried anew, in a new round
    Status.REFUNDED: frozenset(),
}


ATTEMPTS_KEPT = 20


class AttemptOutcome(StrEnum):
    """How an attempt ended."""

    CHARGED = "charged"
    DECLINED = "declined"
    UNKNOWN = "no answer"


class Attempt(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One try to charge."""

    at: datetime
    round: int
    outcome: AttemptOutcome
    detail: str | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """How the last round failed, as it was told."""

    at: datetime
    reason: FailureReason
    returned: bool
    retry_until: datetime | None


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """A part of the money that was asked back."""

    part: PartRefund
    done_at: datetime | None = None
    """When it went back; None: it is still to be given back."""


class Share(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """What a cart's payment has of the money of one of its lines, beside the charge. As in Payment."""

    order_id: str
    amount: Money
    closed: bool = False
    refunding: bool = False
    refunded_at: datetime | None = None
    parts: tuple[Part, ...] = ()
    part_tries: int = 0
    due_at: datetime | None = None
    cause: Cause | None = None
    """What causes what is being done for it; None: the same as for the charge."""
    seats: Allocation


class Payment(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """The money side of one order, or of a cart."""

    id: str
    order_id: str
    amount: Money
    method: str
    status: Status
    created_at: datetime
    expires_at: datetime
    round: int = 1
    tries: int = 0
    """Attempts in this round."""
    attempts: tuple[Attempt, ...] = ()
    due_at: datetime | None = None
    closing: FailureReason | None = None
    """The round is over without a known charge: to be Failed once the provider holds nothing."""
    refunding: bool = False
    closed: bool = False
    """The order was cancelled on purpose: no new round."""
    hold_ends_at: datetime | None = None
    """When the order's own hold ends, once a round had another time for its end."""
    cause: Cause = Cause()
    """What causes what is being done now."""
    failure: Failure | None = None
    """Why the last round failed, while it is Failed; None if it never began, and in records of older versions."""
    refunded_at: datetime | None = None
    retells: int = 0
    """How often the end of the round is still to be told again: orders knows nothing of a round that the organizer
    began, so it doesn't miss the end of it."""
    parts: tuple[Part, ...] = ()
    """Part refunds, as they were heard of; never more than was paid."""
    part_tries: int = 0
    """Attempts in vain to give back the part, or the mend, that is now being given back."""
    reference: str | None = None
    """The provider's own id of this round's charge, once it has said one. Default for records of older versions."""
    waits: int = 0
    """How often the provider said of this round that the buyer or a bank has something left to do."""
    mends: tuple[Mend, ...] = ()
    """What reconciliation had given back beside all that. Default for records of older versions."""
    till: Till | None = None
    """How it was paid at the box office; None, as in records of older versions: the provider is asked."""
    back_by: str | None = None
    """Who gave it back there, if that was somebody in particular."""
    shares: tuple[Share, ...] = ()
    """Of a cart: its lines' (`carts.py`). `order_id` is the cart then, and `allocation` the seats of its first line.
    Empty: of one order, as in records of older versions."""
    allocation: Allocation
    """What is paid for; handed on whole."""

    @property
    def is_free(self) -> bool:
        """Does it cost nothing?"""
        return not self.amount.amount

    @property
    def asks_provider(self) -> bool:
        """Does the provider take its money? Of what is free or paid at the box office it never hears."""
        return self.till is None and self.amount.amount > 0

    @property
    def open_part(self) -> PartRefund | None:
        """The first part refund that is still to be given back."""
        return next((each.part for each in self.parts if each.done_at is None), None)

    @property
    def open_mend(self) -> Mend | None:
        """The first mend that is still to be given back."""
        return next((each for each in self.mends if each.done_at is None), None)

    @property
    def owed_back(self) -> int:
        """Minor units that part refunds give back; of a cart also what went back of whole lines."""
        if not self.shares:
            return sum(each.part.amount.amount for each in self.parts)
        back = 0
        for share in self.shares:
            parts = sum(each.part.amount.amount for each in share.parts)
            back += parts if share.refunded_at is None else share.amount.amount
        return back

    @property
    def rest(self) -> Money:
        """What part refunds leave of the money: what goes back if all of it does."""
        return Money(self.amount.amount - sum(each.part.amount.amount for each in self.parts), self.amount.currency)

    @property
    def hold_end(self) -> datetime:
        """When the hold of the order's seats ends."""
        return self.hold_ends_at or self.expires_at

    @property
    def key(self) -> str:
        """The provider's key of this round."""
        return f"{self.id}.{self.round}"

    @property
    def charge(self) -> Charge:
        """This round's, as the provider is asked for it."""
        return Charge(self.key, self.amount, self.reference, self.created_at)


class AttemptLimits(msgspec.Struct, frozen=True):
    """How often a charge is tried in a round, and how long one attempt may take at most."""

    attempts: int
    attempt_seconds: float
    retell_seconds: float = 60.0
    """After what time the end of a round that the organizer began is told again; the next wait is three times that."""


class PaymentClosed(Refusal):
    """This order can't be charged any more."""

    def __init__(self, payment: Payment) -> None:
        super().__init__(f"Order {payment.order_id!r} can't be charged any more.", paymentStatus=payment.status)


def payment_id(order_id: str) -> str:
    """The id of an order's payment, or a cart's: there is one for each."""
    return f"payment-{order_id}" if is_cart(order_id) else same_as("payment", order_id)
