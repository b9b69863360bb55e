"""A message as a mail server takes it: headers, text and page, in bytes. No connection."""

from datetime import datetime
from email.errors import MessageError
from email.generator import BytesGenerator
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from io import BytesIO
from typing import NamedTuple

from cludale.kernel.mailbox import mailbox
from cludale.ports.messengers import Message

_POLICY = SMTP.clone(cte_type="7bit")
"""Seven bits a byte: not every mail server takes eight."""


LONGEST_USER = 64
"""What stands before the @, at most (RFC 5321, section 4.5.3.1.1)."""


class Mail(NamedTuple):
    """What goes over the connection."""

    sender: str
    recipient: str
    content: bytes
    needs_utf8: bool
    """The recipient's name is in another script: the server has to know SMTPUTF8."""
    id: str = ""
    """The name of the message in delivery reports, where the server can send them (DSN)."""


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


def mail(message: Message, *, sender: Address, now: datetime, bounces: Address | None = None) -> Mail:
    """The message from `sender`; its id becomes the Message-ID. Raises ValueError if there is no such address.

    `bounces`: where it goes if it comes back, with its id behind a `+`.
    """
    to = _address(message.to)
    made = EmailMessage(_POLICY)
    made["To"] = to
    made["From"] = sender
    made["Subject"] = message.subject
    made["Date"] = format_datetime(now)
    made["Message-ID"] = f"<{message.id}@{sender.domain}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(message.text)
    if message.html is not None:
        made.add_alternative(message.html, subtype="html")
    for each in message.attachments:
        made.add_attachment(
            each.content, maintype=each.maintype, subtype=each.subtype, filename=each.name, params=dict(each.parameters)
        )
    if message.language is not None:  # last, for contents take such headers along
        made["Content-Language"] = message.language
    needs_utf8 = not to.username.isascii()
    content = BytesIO()
    BytesGenerator(content, policy=_POLICY.clone(utf8=needs_utf8)).flatten(made)
    return Mail(_return_address(message.id, sender, bounces), to.addr_spec, content.getvalue(), needs_utf8, message.id)


def _return_address(id: str, sender: Address, bounces: Address | None) -> str:
    """Where it goes if it comes back. An id that is too long for an address is found by other marks."""
    if bounces is None:
        return sender.addr_spec
    own = f"{bounces.username}+{id}"
    return Address(username=own if len(own) <= LONGEST_USER else bounces.username, domain=bounces.domain).addr_spec


def _address(text: str) -> Address:
    """One address and nothing else, its domain in ASCII (IDNA) as every mail server knows it. Raises ValueError."""
    local, domain = mailbox(text)
    return Address(username=local, domain=domain)
