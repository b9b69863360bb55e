"""Ids and indexed values as text columns: any text, numbers before all text, ordered as they are. No I/O.

PostgreSQL's text holds no NUL, so the two lowest characters are spelled in two. Columns are `COLLATE "C"`: they
sort by code point, on every machine and in every version alike.
"""

from typing import Final

from cludale.ports.records import IndexValue

_ESCAPE: Final = "\x01"
_EMPTY: Final = "\x01A"
_NUL: Final = "\x01B"
_ONE: Final = "\x01C"
_OFFSET: Final = 1 << 63
FIRST_TEXT: Final = _EMPTY
"""No text sorts before this one, and no number after it."""


def encoded_text(text: str) -> str:
    """`text` as it is stored. Keeps the order of texts, and what is within them."""
    if "\x00" in text or _ESCAPE in text:
        return text.replace(_ESCAPE, _ONE).replace("\x00", _NUL)
    return text or _EMPTY


def encoded(value: IndexValue) -> str | None:
    """`value` as it is stored. Raises OverflowError for a number of more than 64 bits."""
    if value is None:
        return None
    if isinstance(value, str):
        return encoded_text(value)
    if not -_OFFSET <= value < _OFFSET:
        raise OverflowError(f"{value} is a number of more than 64 bits")
    return f"{_ESCAPE}{value + _OFFSET:020}"


def decoded_text(stored: str) -> str:
    """The text that is stored so."""
    if _ESCAPE not in stored:
        return stored
    return "" if stored == _EMPTY else stored.replace(_NUL, "\x00").replace(_ONE, _ESCAPE)
