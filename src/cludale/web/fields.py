"""Types of fields that several services share, and times as callers write them.

What a pattern can't say is checked by a function in the type's `extra`, which `bodies.Body` calls: it raises
ValueError with words for the caller.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, overload
from zoneinfo import available_timezones

from msgspec import Meta

from cludale.kernel import mailbox
from cludale.kernel.refusals import Invalid
from cludale.kernel.texts import check_line
from cludale.kernel.times import LONGEST_TIME, check_date_or_time, check_time, parse_time

TEXT_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$(?!\n)"

Text = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=TEXT_PATTERN,
        description="text on one line, with something to see in it",
        extra={"check": check_line},
    ),
]


LanguageTag = Annotated[
    str,
    Meta(
        max_length=35,
        pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$(?!\\n)",
        description="the tag of a language: de, or fr-CH",
    ),
]


def _check_user_id(text: str) -> None:
    check_line(text)
    if "@" in text and mailbox.is_address(text):
        raise ValueError("must be an id, not an e-mail address: it is in events, which are kept for good")


UserId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=TEXT_PATTERN,
        description="what the seller calls the buyer: an id, no name and no e-mail address, for it is kept for good",
        extra={"check": _check_user_id},
    ),
]

Quantity = Annotated[int, Meta(ge=1, le=1_000_000, description="how many seats")]


def _check_email(address: str) -> None:
    if mailbox.is_plain(address):
        return  # its pattern says it all
    try:
        mailbox.mailbox(address)
    except ValueError:
        raise ValueError("must be an e-mail address") from None


Email = Annotated[
    str,
    Meta(
        max_length=mailbox.LONGEST,
        pattern=mailbox.PATTERN,
        description="an e-mail address",
        extra={"check": _check_email},
    ),
]

Phone = Annotated[str, Meta(pattern=r"^\+?[0-9][0-9 ()./-]{4,30}$(?!\n)", description="a phone number")]

PaymentMethod = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$(?!\n)",
        description="a way to pay that the payment provider knows, such as card-ok; a 422 lists them",
    ),
]
"""The payment provider's name for how something is paid."""

Time = Annotated[
    str,
    Meta(
        max_length=LONGEST_TIME,
        description="a time with its offset (RFC 3339): 2027-06-05T19:30:00Z",
        extra_json_schema={"format": "date-time"},
        extra={"check": check_time},
    ),
]


def _check_local(text: str) -> None:
    if not LOCAL_TIME.fullmatch(text):
        check_date_or_time(text)


LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d)?", re.ASCII)
"""A time that says no offset."""

LocalDateOrTime = Annotated[
    str,
    Meta(
        max_length=LONGEST_TIME,
        description=(
            "a date, or a time with its offset: 2027-06-05 or 2027-06-05T19:30:00Z; where the concert has a `zone`, "
            "the offset may be left out: 2027-06-05T19:30"
        ),
        extra={"check": _check_local},
    ),
]
"""What it is in a zone says `services/concerts/zones.py`."""


def _check_zone(name: str) -> None:
    if name not in _zones():
        raise ValueError("must be the IANA name of a time zone: Europe/Berlin")


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


Zone = Annotated[str, Meta(max_length=64, description="a time zone: Europe/Berlin", extra={"check": _check_zone})]

Prose = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=5_000,
        pattern=r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*$(?!\n)",
        description="text, over several lines if need be",
    ),
]

Picture = Annotated[
    str,
    Meta(
        max_length=2_000,
        pattern=r"^https://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[!-~]*)?$(?!\n)",
        description="an https URL",
    ),
]

TimeParameter = Annotated[str, Meta(max_length=LONGEST_TIME, extra_json_schema={"format": "date-time"})]
"""A time in a query; `moment` reads it."""

_BLANK_OFFSET = re.compile(r"^\S+ \d\d:\d\d$", re.ASCII)


@overload
def moment(field: str, text: None) -> None: ...
@overload
def moment(field: str, text: str) -> datetime: ...
@overload
def moment(field: str, text: str | None) -> datetime | None: ...
def moment(field: str, text: str | None) -> datetime | None:
    """The time in UTC that a query or a filter says, if it says one. Raises Invalid."""
    return None if text is None else parsed_time(field, text).astimezone(UTC)


def parsed_time(field: str, text: str) -> datetime:
    """The time that a query says, with its offset. Raises Invalid."""
    try:
        return parse_time(text)
    except ValueError as error:
        raise Invalid((field, f"{error}{offset_hint(text)}")) from error


def offset_hint(text: str) -> str:
    """What to say of a `+` that came as a blank; nothing where it didn't."""
    if _BLANK_OFFSET.match(text):
        return "; its `+` came as a blank: in a query, write it as `%2B`"
    return ""
