"""Text that people read: which characters it may have, and how to print text of unknown origin. Pure.

Unicode's general categories and bidirectional classes decide, as Python's own `unicodedata` knows them.
"""

from typing import Final
from unicodedata import bidirectional, category

_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0\U0001d159\U00013441\U00013442")
"""Letters and symbols by their category, but their form is empty: Hangul fillers, braille, notes, hieroglyphs."""
_BYTE_ORDER_MARK: Final = "\ufeff"
_FORBIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of a pair, line and paragraph separators."""
_DIRECTIONS: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Embeddings, overrides and isolates turn what is printed after them around; the plain marks don't."""
_VISIBLE: Final = frozenset("LNPS")


def check_line(text: str) -> None:
    """Raises ValueError, with words for whoever sent it, for text that can't be shown on one line."""
    if text.isascii() and text.isprintable() and text.strip():
        return
    for character in text:
        if _is_forbidden(character):
            raise ValueError(f"has the character {_named(character)}, which text on one line can't have")
    if not any(_is_visible(each) for each in text):
        raise ValueError("has no visible character")


def printable(text: str, *, lines: bool = False) -> str:
    r"""The text with characters that could confuse a terminal as JSON escapes: `\u202e`. `lines`: newlines stay."""
    # What Python calls printable has none of them.
    if (text.replace("\n", "").replace("\t", "") if lines else text).isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(_escaped(each) if each not in kept and _is_forbidden(each) else each for each in text)


def _is_forbidden(character: str) -> bool:
    return (
        category(character) in _FORBIDDEN_CATEGORIES
        or bidirectional(character) in _DIRECTIONS
        or character == _BYTE_ORDER_MARK
        or _is_no_character(ord(character))
    )


def _is_no_character(code: int) -> bool:
    """Unicode has 66 code points that never are characters."""
    return 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE


def _is_visible(character: str) -> bool:
    kind = category(character)
    if kind == "Cn":  # of a newer Unicode than Python's; this range is kept for what is never shown
        return not (0xE0000 <= ord(character) <= 0xE0FFF or character in "\u2065\ufff0\ufff1\ufff2\ufff3\ufff4\ufff5")
    return kind[0] in _VISIBLE and character not in _BLANK


def _named(character: str) -> str:
    return f"U+{ord(character):04X}"


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
