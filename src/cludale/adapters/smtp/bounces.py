"""What mail servers send back (delivery status notifications, RFC 3464), read: which message, and why. Decides nothing.

A message is known by three marks that it left with: the return address, which has its id behind a `+` (VERP), the
envelope id (RFC 3461), and its Message-ID. The first that is found counts. Nothing else of the report is kept: its
words name the address.
"""

import email
import re
from collections.abc import Iterator
from email.message import Message
from email.policy import default
from typing import NamedTuple

ID = re.compile(r"[a-z]+(?:-[a-z]+)*-[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What an id of a notification looks like."""
UNKNOWN = "5.0.0"
_CODE = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_REPLY = re.compile(r"\b([45])\d\d\b")
_RETURN_HEADERS = ("Delivered-To", "X-Original-To", "Envelope-To", "To")
MOST_BYTES = 2_000_000
"""Of a report, what is behind them is not looked at: it is the message that came back."""


class Bounce(NamedTuple):
    """A message that came back."""

    id: str
    """Of the notification."""
    status: str
    """A status code of RFC 3463."""


def bounce_of(content: bytes) -> Bounce | None:
    """What a report says came back for good; None for a report of something else, and for what is no report."""
    report = email.message_from_bytes(content[:MOST_BYTES], policy=default)
    failed = [each for each in _recipients(report) if str(each.get("Action", "")).strip().lower() == "failed"]
    if not failed:
        return None
    id = next(_ids(report), None)
    return None if id is None else Bounce(id, _status(failed[0]))


def _fields(report: Message) -> Iterator[Message]:
    """The groups of fields of its machine-readable part: first of the message, then of each recipient."""
    for part in report.walk():
        payload = part.get_payload() if part.get_content_type() == "message/delivery-status" else ()
        yield from (each for each in payload if isinstance(each, Message))


def _recipients(report: Message) -> Iterator[Message]:
    return (each for each in _fields(report) if "Action" in each)


def _status(fields: Message) -> str:
    """The code that the last server gave, as far as it can be told."""
    code = _CODE.search(str(fields.get("Status", "")))
    if code is not None and code[1][2:] != "0.0":
        return code[1]
    said = str(fields.get("Diagnostic-Code", ""))
    better = _CODE.search(said)
    if better is not None:
        return better[1]
    reply = _REPLY.search(said)
    return code[1] if code is not None else f"{reply[1]}.0.0" if reply is not None else UNKNOWN


def _ids(report: Message) -> Iterator[str]:
    for name in _RETURN_HEADERS:
        for address in report.get_all(name, []):
            for tag in re.findall(r"\+([^@\s<>]+)@", str(address)):
                yield from _fitting(tag)
    for fields in _fields(report):
        yield from _fitting(_of_xtext(str(fields.get("Original-Envelope-Id", "")).strip()))
    for part in report.walk():
        returned: Message | None = None
        if part.get_content_type() == "text/rfc822-headers":
            text = part.get_payload(decode=True)
            returned = email.message_from_bytes(text if isinstance(text, bytes) else b"", policy=default)
        elif part.get_content_type() == "message/rfc822":
            inner = part.get_payload()
            returned = inner[0] if isinstance(inner, list) and inner and isinstance(inner[0], Message) else None
        if returned is not None:
            yield from _fitting(str(returned.get("Message-ID", "")).strip().strip("<>").rpartition("@")[0])


def _fitting(text: str) -> Iterator[str]:
    if ID.fullmatch(text):
        yield text


def _of_xtext(text: str) -> str:
    """RFC 3461, section 4."""
    return re.sub(r"\+([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), text)
