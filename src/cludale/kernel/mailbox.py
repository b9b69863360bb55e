"""E-mail addresses that a message can be made for: a dot-atom at a domain name, both maybe in other scripts.

`email-validator` decides, by RFC 5321, RFC 6531 and IDNA 2008; it asks no name server. Quoted local parts and address
literals are left out: no buyer has them.
"""

import re
from typing import Final, NamedTuple
from unicodedata import is_normalized

from email_validator import SPECIAL_USE_DOMAIN_NAMES, validate_email

from cludale.kernel.texts import check_line

LONGEST: Final = 254

_ATOM = r"[^\x00-\x20\x7f\"(),.:;<>?@\[\\\]]"
_ENDS = r"[^\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]"
_LABEL = rf"{_ENDS}(?:[^\x00-\x2c\x2e\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]{{0,61}}{_ENDS})?"
PATTERN: Final = rf"^{_ATOM}+(?:\.{_ATOM}+)*@{_LABEL}(?:\.{_LABEL})*$(?!\n)"
"""What every address matches, for the API's description. No `?`: `=?` begins an encoded word."""

_PATTERN: Final = re.compile(PATTERN)

# Mail may stay inside a company or on this machine: `localhost`, `*.local`.
SPECIAL_USE_DOMAIN_NAMES.clear()


class Mailbox(NamedTuple):
    """An address as mail servers take it."""

    local: str
    """Not always ASCII: then servers need SMTPUTF8."""
    domain: str
    """In ASCII (IDNA 2008)."""


def is_plain(address: str) -> bool:
    """Does matching `PATTERN` suffice? `mailbox` takes 40 times as long; `--` may stand for another script."""
    return address.isascii() and "--" not in address


def is_address(text: str) -> bool:
    """Has it the form of an address?"""
    return _PATTERN.search(text) is not None


def mailbox(address: str) -> Mailbox:
    """The mailbox of `address`. Raises ValueError for what no message can be made for.

    Other scripts are wanted as they are compared: composed (NFC), visible, and the domain in the form that UTS 46
    gives it, but for its case. So nothing goes to a domain that merely looks alike.
    """
    if len(address) > LONGEST or not _PATTERN.search(address):
        raise ValueError(f"{address[:100]!r} is not an e-mail address")
    local, _, domain = address.rpartition("@")
    domain = domain.lower()
    try:
        check_line(local)
        found = validate_email(f"{local}@{domain}", check_deliverability=False, globally_deliverable=False)
        labels = list(zip(domain.split("."), found.domain.split("."), strict=True))
    except ValueError as error:
        raise ValueError(f"{address[:100]!r}: {error}") from error
    if not is_normalized("NFC", local) or any(
        given != compared and not given.startswith("xn--") for given, compared in labels
    ):
        raise ValueError(f"{address[:100]!r} is not written as addresses are compared (NFC, UTS 46)")
    return Mailbox(local, found.ascii_domain)
