"""Mailer and TextMessenger: the ways to a buyer."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol


class Attachment(NamedTuple):
    """A file that comes with a message."""

    name: str
    maintype: str
    subtype: str
    content: bytes
    parameters: Mapping[str, str] = {}
    """Parameters of its media type, such as `{"method": "PUBLISH"}`."""


class Message(NamedTuple):
    """A message to one buyer. `id` is the same each time it is sent again, so that receivers can tell."""

    id: str
    to: str
    subject: str
    text: str
    html: str | None = None
    """The same as a page, for who can show one."""
    attachments: Sequence[Attachment] = ()
    language: str | None = None
    """Which it is written in."""
    secrets: Sequence[str] = ()
    """What of it only the buyer may read: the link that opens the order, and their name. It is for no log."""


class HandedTo(Enum):
    """Who has the message now."""

    SERVER = "server"
    """A server that delivers it to the buyer."""
    LOG = "log"
    """No server is set: it was written to the log only."""


class Trouble(Enum):
    """Why a message was not sent, and whether others can be."""

    REFUSED = "refused"
    """This message is refused for good: trying again is no use."""
    LATER = "later"
    """This message is not taken now."""
    AWAY = "away"
    """No message is taken now."""
    UNKNOWN = "unknown"
    """It may have been sent: the server took it and did not answer."""


class NotSent(Exception):
    """The message did not go out, as far as is known."""

    def __init__(self, why: str, trouble: Trouble) -> None:
        super().__init__(why)
        self.trouble = trouble


class Mailer(Protocol):
    """Sends e-mail."""

    async def send(self, message: Message) -> HandedTo:
        """Hand the message over. Raises NotSent."""
        ...


class TextMessenger(Protocol):
    """Sends text messages."""

    async def send(self, message: Message) -> HandedTo:
        """Hand the message over. Raises NotSent."""
        ...
