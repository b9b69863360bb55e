"""Types of fields that several services share, and times as callers write them."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from cludale.kernel.refusals import Invalid

_VISIBLE = r"[^\s\x00-\x1f\x7f]"
_ON_ONE_LINE = r"[^\x00-\x1f\x7f]"

Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=rf"^{_ON_ONE_LINE}*{_VISIBLE}{_ON_ONE_LINE}*$(?!\n)")]
"""A name: something to see, on one line."""

Quantity = Annotated[int, Meta(ge=1, le=1_000_000, description="how many seats")]

Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$(?!\n)")]

Phone = Annotated[str, Meta(pattern=r"^\+?[0-9][0-9 ()./-]{4,30}$(?!\n)")]


def moment(field: str, text: str) -> datetime:
    """The time that `text` says (RFC 3339, with its offset), in UTC. Raises Invalid."""
    try:
        said = msgspec.convert(text, datetime)
    except msgspec.ValidationError as error:
        raise Invalid((field, "must be a time: 2027-06-05T19:30:00Z")) from error
    if said.tzinfo is None:
        raise Invalid((field, "needs an offset, `Z` for UTC"))
    try:
        return said.astimezone(UTC)
    except OverflowError as error:
        raise Invalid((field, "is out of range")) from error
