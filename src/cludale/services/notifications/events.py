"""What notifications tells the others."""

from enum import StrEnum

from cludale.kernel.events import Event, Topic


class NotificationKind(StrEnum):
    """What the buyer was told."""

    CONFIRMATION = "confirmation"
    CANCELLATION = "cancellation"


class Channel(StrEnum):
    """How the buyer was told."""

    EMAIL = "email"
    SMS = "sms"
    LOG = "log"
    """The buyer left no address: it stands in the log and in the store only."""


class NotificationSent(Event, frozen=True, kw_only=True):
    """The buyer was told, as far as we can know: the message was handed over."""

    notification_id: str
    order_id: str
    concert_id: str
    kind: NotificationKind
    channel: Channel


TOPIC = Topic("notification-events", "notifications", (NotificationSent,))
