"""What payments tells the others."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from msgspec import UNSET, UnsetType

from cludale.kernel.allocation import Allocation, SeatsEvent
from cludale.kernel.events import Event, Topic
from cludale.kernel.money import Money
from cludale.kernel.tills import Till
from cludale.services.orders.events import PartRefund
from cludale.services.payments.mends import Difference


class FailureReason(StrEnum):
    """Why no money came."""

    DECLINED = "payment-declined"
    GAVE_UP = "payment-failed"
    EXPIRED = "hold-expired"
    CANCELLED = "order-cancelled"


class PaymentCompleted(SeatsEvent, frozen=True, kw_only=True):
    """The money for an order was taken, once."""

    data_version: ClassVar[str] = "1.1"

    payment_id: str
    order_id: str
    amount: Money
    round: int
    """Counts the charges tried for this order: 2 and more after a failed one was tried anew."""
    attempts: int
    till: Till | UnsetType = UNSET
    """How it was taken at the box office, and by whom; unset, as in events written before this field existed: the
    provider took it."""
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

    data_version: ClassVar[str] = "1.1"

    payment_id: str
    order_id: str
    concert_id: str
    amount: Money
    round: int
    attempts: int = 0
    """Default for events written before this field existed."""
    till: Till | UnsetType = UNSET
    """How it was given back at the box office, and by whom. As in PaymentCompleted."""


class PartRefunded(SeatsEvent, frozen=True, kw_only=True):
    """A part of the money went back, once. `allocation` are all the seats that were paid for."""

    data_version: ClassVar[str] = "1.1"

    payment_id: str
    order_id: str
    part: PartRefund
    allocation: Allocation


class PaymentDiffers(Event, frozen=True, kw_only=True):
    """The provider's books and the payments here differ, found once. It is mended, or shown for a person to settle."""

    difference_id: str
    kind: Difference
    key: str
    """The provider's key of the charge."""
    amount: Money
    """What it is about: what is mended, else what the provider has, or should have."""
    mends_itself: bool
    payment_id: str | None = None
    """None: there is no payment."""
    order_id: str | None = None


class PaymentMended(Event, frozen=True, kw_only=True):
    """Money that the provider had and should not have had went back, once."""

    payment_id: str
    order_id: str
    concert_id: str
    difference_id: str
    kind: Difference
    number: int
    """Counts the mends of this payment."""
    key: str
    """The provider's key of the charge that it was given back from."""
    amount: Money


class DifferenceSettled(Event, frozen=True, kw_only=True):
    """Somebody decided about a difference that was shown."""

    difference_id: str
    kind: Difference
    key: str
    gave_back: Money | None
    """What went back at the provider's; None: it was left as it is."""
    payment_id: str | None = None
    order_id: str | None = None


TOPIC = Topic(
    "payment-events",
    "payments",
    (
        PaymentCompleted,
        PaymentFailed,
        PaymentRefunded,
        PartRefunded,
        PaymentDiffers,
        PaymentMended,
        DifferenceSettled,
    ),
)
