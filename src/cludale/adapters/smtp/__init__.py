"""E-mail over SMTP: one connection a message, every step with a timeout. No decision about what is sent or again."""

import asyncio
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from enum import Enum

import aiosmtplib

from cludale.kernel.mailbox import mailbox
from cludale.ports.clock import Clock
from cludale.ports.messengers import Message, NotSent


class Encryption(Enum):
    """How the connection to the mail server is kept private."""

    NONE = "none"
    STARTTLS = "starttls"
    """Insisted on: a server that doesn't offer it gets no message."""
    TLS = "tls"
    """From the first byte, usually on port 465."""


def sender_address(text: str) -> Address:
    """One address, with a name before it or without. Raises ValueError."""
    try:
        header = SMTP.header_factory("From", text)
    except (IndexError, MessageError) as error:  # what the header parser raises for some texts
        raise ValueError(f"{text[:100]!r}: {error}") from error
    if header.defects or len(header.addresses) != 1:
        raise ValueError(f"{text[:100]!r} is not one address")
    named: Address = header.addresses[0]
    address = _address(named.addr_spec)
    if not address.username.isascii():
        raise ValueError(f"{text[:100]!r}: not every mail server takes a sender in another script")
    return Address(named.display_name, address.username, address.domain)


class SmtpMailer:
    """A Mailer that hands messages to a mail server.

    `timeout_seconds` bounds each step and the whole of a sending. A message's id becomes its Message-ID, so a
    mailbox that gets it twice can tell. Raises NotSent: permanent where the server refuses this message for good
    (5xx to its sender, recipient or content) or has no SMTPUTF8 for an address that needs it; not where someone can
    put it right meanwhile, as a refused log-in.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        sender: str,
        encryption: Encryption,
        timeout_seconds: float,
        clock: Clock,
        user: str | None = None,
        password: str | None = None,
    ) -> None:
        """`sender`: `tickets@example.com`, or `Cludale Tickets <tickets@example.com>`. Raises ValueError."""
        self._host = host
        self._port = port
        self._sender = sender_address(sender)
        self._encryption = encryption
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._user = user
        self._password = password
        self._domain = self._sender.domain

    async def send(self, message: Message) -> None:
        """Hand the message over."""
        mail = self._mail(message)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._hand_over(mail)
        except TimeoutError as error:
            raise NotSent(f"{self._host} gave no answer in {self._timeout_seconds} s", permanent=False) from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            why = "; ".join(f"{refused.code} {refused.message}" for refused in error.recipients)
            raise NotSent(why, permanent=bool(codes) and all(code >= 500 for code in codes)) from error
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            raise NotSent(f"{error.code} {error.message}", permanent=error.code >= 500) from error
        except aiosmtplib.SMTPNotSupported as error:
            raise NotSent(f"{self._host} takes no address in another script (SMTPUTF8)", permanent=True) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotSent(f"{type(error).__name__}: {error}", permanent=False) from error

    async def _hand_over(self, mail: EmailMessage) -> None:
        await aiosmtplib.send(
            mail,
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._encryption is Encryption.TLS,
            start_tls=self._encryption is Encryption.STARTTLS,
            timeout=self._timeout_seconds,
        )

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage(SMTP)
        try:
            mail["To"] = _address(message.to)
        except ValueError as error:
            raise NotSent(f"no address to send to: {error}", permanent=True) from error
        mail["From"] = self._sender
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(self._clock.now())
        mail["Message-ID"] = f"<{message.id}@{self._domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        return mail


def _address(text: str) -> Address:
    """One address and nothing else, its domain in ASCII (IDNA) as every mail server knows it. Raises ValueError."""
    local, domain = mailbox(text)
    return Address(username=local, domain=domain)
