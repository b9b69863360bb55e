"""Messages that go to the log and nowhere else: for a laptop, and for text messages until there is a provider."""

import logging
import re
from collections.abc import Sequence

from cludale.kernel.texts import printable
from cludale.ports.messengers import HandedTo, Message

_log = logging.getLogger(__name__)


class LoggedMessages:
    """A Mailer and a TextMessenger that writes each message to the log, at level INFO, and says that it did no more.

    The log is no place for addresses, not even for a part of one, nor for a message's secrets: its id says which it is.
    """

    def __init__(self, channel: str) -> None:
        self._channel = channel

    async def send(self, message: Message) -> HandedTo:
        """Write the message to the log."""
        if not _log.isEnabledFor(logging.INFO):
            return HandedTo.LOG
        text = printable(_without(message.secrets, message.text), lines=True)
        subject = printable(_without(message.secrets, message.subject))
        _log.info("%s %s: %s\n%s", self._channel, message.id, subject, text)
        return HandedTo.LOG


def _without(secrets: Sequence[str], text: str) -> str:
    for secret in secrets:
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "…", text)
    return text
