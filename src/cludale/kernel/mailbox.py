"""E-mail addresses that a message can be made for: a dot-atom at a domain name, both maybe in other scripts.

Quoted local parts and address literals (RFC 5321) are left out: no buyer has them.
"""

import re
from typing import Final, NamedTuple
from unicodedata import is_normalized

import idna

from cludale.kernel.texts import check_line

LONGEST: Final = 254

_ATOM = r"[^\x00-\x20\x7f\"(),.:;<>?@\[\\\]]"
_ENDS = r"[^\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]"
_LABEL = rf"{_ENDS}(?:[^\x00-\x2c\x2e\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]{{0,61}}{_ENDS})?"
PATTERN: Final = rf"^{_ATOM}+(?:\.{_ATOM}+)*@{_LABEL}(?:\.{_LABEL})*$(?!\n)"
"""All that an address in ASCII has to match; for any other see `mailbox`. No `?`: `=?` begins an encoded word."""

_PATTERN: Final = re.compile(PATTERN)


class Mailbox(NamedTuple):
    """An address as mail servers take it."""

    local: str
    """Not always ASCII: then servers need SMTPUTF8."""
    domain: str
    """In ASCII (IDNA 2008)."""


def mailbox(address: str) -> Mailbox:
    """The mailbox of `address`. Raises ValueError for what no message can be made for.

    Other scripts are wanted as they are compared: composed (NFC), visible, and a domain of letters that IDNA 2008
    takes as they are, but for their case: ß and a final ς are letters of their own. So nothing goes to a domain that
    merely looks alike.
    """
    if len(address) > LONGEST or not _PATTERN.search(address):
        raise ValueError(f"{address[:100]!r} is not an e-mail address")
    local, _, domain = address.rpartition("@")
    if address.isascii():
        return Mailbox(local, domain)
    if not (address.isprintable() and is_normalized("NFC", address)):
        raise ValueError(f"{address[:100]!r} is not composed of visible characters (NFC)")
    try:
        check_line(local)
        in_ascii = ".".join(_label_in_ascii(label) for label in domain.lower().split("."))
    except ValueError as error:
        raise ValueError(f"{address[:100]!r}: {error}") from error
    if not _PATTERN.search(f"a@{in_ascii}"):
        raise ValueError(f"{address[:100]!r} has a domain that no name server has")
    if len(local.encode()) + 1 + len(in_ascii) > LONGEST:
        raise ValueError(f"{address[:100]!r} is too long")
    return Mailbox(local, in_ascii)


def _label_in_ascii(label: str) -> str:
    return label if label.isascii() and not label.startswith("xn--") else idna.alabel(label).decode("ascii")
