"""Text that people read: something to see in it, nothing that turns a line around or ends it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cludale.kernel.texts import check_line, printable

FINE = [
    "Coldplay", "!!!", "Sigur R\u00f3s", "\u0421\u043f\u043b\u0438\u043d", "\u4e2d\u5cf6", "\U0001f918", "\u2603",
    "\u05d0\u05d1\u200f abc", "\u0646\u0627\u0645\u0647\u200c\u0647\u0627", "\U0001f468\u200d\U0001f3a4",
    "\U0001f3f4\U000e0067\U000e0062\U000e007f", "a\u00a0b", "co\u00adop", "\u0e01\u0e33\u200b\u0e25",
    "e\u0301", "\U0001faea",
]  # fmt: skip
NOTHING_TO_SEE = [
    "", " ", "\u00a0", "\u2003", "\u3000", "\u200b", "\u200c", "\u200d", "\u200e", "\u2060", "\u00ad",
    "\u034f", "\u180e",
    "\u2800", "\u3164", "\uffa0", "\u115f", "\u1160", "\u17b4", "\ufe0f", "\U000e0041",
    "\U000e0100", "\u0301", "\U000e0fff",
    "\U0001d159", "\u2800 \u3164\u200b", "\U000e0001",
]  # fmt: skip
FORBIDDEN = [
    "\x00", "\t", "\n", "\r", "\x1b", "\x7f", "\x80", "\x85", "\x9b", "\x9f", "\u2028", "\u2029", "\u202a", "\u202b",
    "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069", "\ufeff", "\ufffe",
    "\ufdd0", "\U0001ffff", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("text", FINE, ids=ascii)
def test_names_of_any_script_are_fine(text: str) -> None:
    check_line(text)
    assert printable(text) == text


@pytest.mark.parametrize("text", NOTHING_TO_SEE, ids=ascii)
def test_text_without_a_visible_character_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no visible character"):
        check_line(text)
    check_line(f"a{text}b")


@pytest.mark.parametrize("character", FORBIDDEN, ids=ascii)
def test_what_ends_or_turns_a_line_is_refused_and_named_wherever_it_stands(character: str) -> None:
    for text in (character, f"{character}a", f"a{character}b", f"a{character}"):
        with pytest.raises(ValueError, match=f"U\\+{ord(character):04X}"):
            check_line(text)


@pytest.mark.parametrize("character", FORBIDDEN, ids=ascii)
def test_what_was_stored_before_is_printed_as_an_escape(character: str) -> None:
    assert printable(f"a{character}b").startswith("a\\u")
    assert printable(f"a{character}b").isascii()


def test_an_escape_is_the_one_of_json_in_two_halves_beyond_the_first_plane() -> None:
    assert printable("\u202ea") == "\\u202ea"
    assert printable("a\U0001ffff") == "a\\ud83f\\udfff"
    assert printable("a\n\tb\x85", lines=True) == "a\n\tb\\u0085"


@given(st.text())
def test_what_is_printed_moves_no_cursor_and_turns_no_line(text: str) -> None:
    printed = printable(text)
    assert not any(unicodedata.category(each) in {"Cc", "Zl", "Zp", "Cs"} for each in printed)
    assert not any(unicodedata.bidirectional(each) in {"RLO", "LRO", "RLE", "LRE", "RLI", "LRI"} for each in printed)
