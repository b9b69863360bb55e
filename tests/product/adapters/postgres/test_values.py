"""Ids and values as they are stored: any text and number, in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cludale.adapters.postgres.values import FIRST_TEXT, decoded_text, encoded, encoded_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text(st.sampled_from("\x00\x01\x02AB0"), max_size=5)
NUMBERS = st.integers(-(2**63), 2**63 - 1)


@given(TEXTS)
def test_a_text_comes_back(text: str) -> None:
    stored = encoded_text(text)
    assert stored
    assert "\x00" not in stored
    assert decoded_text(stored) == text


@given(TEXTS, TEXTS)
def test_texts_keep_their_order(one: str, other: str) -> None:
    assert (encoded_text(one) < encoded_text(other)) == (one < other)


@given(NUMBERS, NUMBERS, TEXTS)
def test_numbers_keep_their_order_and_come_before_all_text(one: int, other: int, text: str) -> None:
    first, second = encoded(one), encoded(other)
    assert first is not None
    assert second is not None
    assert (first < second) == (one < other)
    assert first < FIRST_TEXT <= encoded_text(text)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_number_beyond_64_bits_is_refused(number: int) -> None:
    with pytest.raises(OverflowError):
        encoded(number)
