"""Messages that go to the log and nowhere else: for a laptop, and for text messages until there is a provider."""

import logging

from cludale.kernel.texts import printable
from cludale.ports.messengers import HandedTo, Message

_log = logging.getLogger(__name__)


class LoggedMessages:
    """A Mailer and a TextMessenger that writes each message to the log, at level INFO, and says that it did no more.

    The log is no place for addresses, so it shows only as much of one as tells two of them apart.
    """

    def __init__(self, channel: str) -> None:
        self._channel = channel

    async def send(self, message: Message) -> HandedTo:
        """Write the message to the log."""
        text = printable(message.text, lines=True)
        _log.info("%s to %s: %s\n%s", self._channel, _masked(message.to), printable(message.subject), text)
        return HandedTo.LOG


def _masked(address: str) -> str:
    """`a…@example.com` for an e-mail address, `…567` for a telephone number."""
    name, at, domain = address.rpartition("@")
    return f"{name[:1]}…@{domain}" if at else f"…{address[-3:]}"
