"""What notifications tells the others."""

from enum import StrEnum

from cludale.kernel.events import Event, Topic


class NotificationKind(StrEnum):
    """What the buyer was told."""

    CONFIRMATION = "confirmation"
    CANCELLATION = "cancellation"
    MOVED = "moved"
    """The concert is postponed; the tickets stay valid."""
    REFUND = "refund"
    """A part of the money went back."""
    COPY = "confirmation-copy"
    """The confirmation once more, as somebody asked for it."""


class Channel(StrEnum):
    """How the buyer was told."""

    EMAIL = "email"
    SMS = "sms"
    LOG = "log"
    """It stands in the log and in the store only: there was no address, or no server to send it to."""


class NotificationSent(Event, frozen=True, kw_only=True):
    """The buyer was told, as far as we can know: the message was handed over, or (`log`) written to the log."""

    notification_id: str
    order_id: str
    concert_id: str
    kind: NotificationKind
    channel: Channel
    payment_id: str | None = None
    """The payment that it gives a receipt for. None, too, in events written before this field existed."""


TOPIC = Topic("notification-events", "notifications", (NotificationSent,))
