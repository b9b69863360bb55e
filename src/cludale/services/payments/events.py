"""What payments tells the others."""

from datetime import datetime
from enum import StrEnum

from cludale.kernel.allocation import Allocation, SeatsEvent
from cludale.kernel.events import Event, Topic
from cludale.kernel.money import Money
from cludale.services.orders.events import PartRefund


class FailureReason(StrEnum):
    """Why no money came."""

    DECLINED = "payment-declined"
    GAVE_UP = "payment-failed"
    EXPIRED = "hold-expired"
    CANCELLED = "order-cancelled"


class PaymentCompleted(SeatsEvent, frozen=True, kw_only=True):
    """The money for an order was taken, once."""

    payment_id: str
    order_id: str
    amount: Money
    round: int
    """Counts the charges tried for this order: 2 and more after a failed one was tried anew."""
    attempts: int
    allocation: Allocation


class PaymentFailed(Event, frozen=True, kw_only=True):
    """No money is held for this round, and none will be."""

    payment_id: str
    order_id: str
    concert_id: str
    amount: Money
    round: int
    attempts: int
    reason: FailureReason
    returned: bool
    """An attempt that gave no answer had taken the money; it was given back."""
    retry_until: datetime | None = None
    """The seats are held until then, and the buyer can pay in another way; None: the order is off. Default for events
    written before this field existed: then the first failure was the order's end."""


class PaymentRefunded(Event, frozen=True, kw_only=True):
    """The money that was taken went back, once: all of it, or what part refunds had left (`amount`)."""

    payment_id: str
    order_id: str
    concert_id: str
    amount: Money
    round: int
    attempts: int = 0
    """Default for events written before this field existed."""


class PartRefunded(SeatsEvent, frozen=True, kw_only=True):
    """A part of the money went back, once. `allocation` are all the seats that were paid for."""

    payment_id: str
    order_id: str
    part: PartRefund
    allocation: Allocation


TOPIC = Topic("payment-events", "payments", (PaymentCompleted, PaymentFailed, PaymentRefunded, PartRefunded))
