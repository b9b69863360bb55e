"""Mailer and TextMessenger: the ways to a buyer."""

from enum import Enum
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """A message to one buyer. `id` is the same each time it is sent again, so that receivers can tell."""

    id: str
    to: str
    subject: str
    text: str
    html: str | None = None
    """The same as a page, for who can show one."""


class HandedTo(Enum):
    """Who has the message now."""

    SERVER = "server"
    """Somebody who brings it to the buyer."""
    LOG = "log"
    """Nobody: it was written to the log, for want of a server."""


class Trouble(Enum):
    """What a message that did not go out says of itself and of the others."""

    REFUSED = "refused"
    """This message is refused for good: trying again is no use."""
    LATER = "later"
    """This message is not taken now."""
    AWAY = "away"
    """No message is taken now."""
    UNKNOWN = "unknown"
    """It may have gone out: the message was given, and no answer came."""


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
