"""Forms, as pages read them."""

import pytest

from cludale.pages import forms
from cludale.pages.desk import concert_form
from cludale.pages.shop import halls


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("007", 7), ("999999999", 999_999_999)])
def test_a_number_is_digits(text: str, number: int) -> None:
    assert forms.whole(text) == number


@pytest.mark.parametrize("text", ["", " 1", "+1", "-1", "1.0", "1e3", "²", "٣", "1234567890", "9" * 5_000])
def test_anything_else_is_no_number_however_long_it_is(text: str) -> None:
    assert forms.whole(text) is None


def test_a_form_that_says_to_have_endless_rows_has_none() -> None:
    assert concert_form.rows({"rows": "9" * 5_000}) == []
    assert halls.places(f"1.{'9' * 5_000}") is None
