"""Mailer and TextMessenger: the ways to a buyer."""

from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """A message to one buyer. `id` is the same each time it is sent again, so that receivers can tell."""

    id: str
    to: str
    subject: str
    text: str


class NotSent(Exception):
    """The message did not go out; `permanent` says that trying again is no use."""

    def __init__(self, why: str, *, permanent: bool) -> None:
        super().__init__(why)
        self.permanent = permanent


class Mailer(Protocol):
    """Sends e-mail."""

    async def send(self, message: Message) -> None:
        """Hand the message over. Raises NotSent."""
        ...


class TextMessenger(Protocol):
    """Sends text messages."""

    async def send(self, message: Message) -> None:
        """Hand the message over. Raises NotSent."""
        ...
