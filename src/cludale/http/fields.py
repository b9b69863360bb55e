"""Types of fields that several services share, and times as callers write them."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from cludale.kernel import mailbox
from cludale.kernel.refusals import Invalid

_VISIBLE = r"[^\s\x00-\x1f\x7f]"
_ON_ONE_LINE = r"[^\x00-\x1f\x7f]"

Text = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=rf"^{_ON_ONE_LINE}*{_VISIBLE}{_ON_ONE_LINE}*$(?!\n)",
        description="text on one line, with something to see in it",
    ),
]

Quantity = Annotated[int, Meta(ge=1, le=1_000_000, description="how many seats")]

Email = Annotated[str, Meta(max_length=mailbox.LONGEST, pattern=mailbox.PATTERN, description="an e-mail address")]
"""Checked in full by its pattern where it is ASCII; for the others there is `check_email`."""

Phone = Annotated[str, Meta(pattern=r"^\+?[0-9][0-9 ()./-]{4,30}$(?!\n)", description="a phone number")]

PaymentMethod = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9-]{0,63}$(?!\n)", description="lower-case letters, digits, `-`; at most 64: card-ok"
    ),
]
"""The payment provider's name for how something is paid."""


def check_email(field: str, address: str | None) -> None:
    """Raises Invalid for an `Email` in another script that no mail can be sent to."""
    if address is None or address.isascii():
        return
    try:
        mailbox.mailbox(address)
    except ValueError as error:
        raise Invalid((field, "must be an e-mail address")) from error


def moment(field: str, text: str) -> datetime:
    """The time that `text` says (RFC 3339, with its offset), in UTC. Raises Invalid."""
    try:
        said = msgspec.convert(text, datetime)
    except msgspec.ValidationError as error:
        raise Invalid((field, "must be a time: 2027-06-05T19:30:00Z")) from error
    return in_utc(field, said)


def in_utc(field: str, said: datetime) -> datetime:
    """The time in UTC. Raises Invalid for one without an offset, and for one that no year in UTC has."""
    if said.tzinfo is None:
        raise Invalid((field, "needs an offset, `Z` for UTC"))
    try:
        return said.astimezone(UTC)
    except OverflowError as error:
        raise Invalid((field, "is out of range")) from error
