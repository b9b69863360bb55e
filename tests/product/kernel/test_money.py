"""Money: minor units, never a float, never below nothing."""

import msgspec
import pytest

from cludale.kernel.money import MAX_PRICE, Money


def test_many_cost_as_much_as_one_and_one_and_one() -> None:
    assert Money(4500, "EUR").times(3) == Money(13500, "EUR")


@pytest.mark.parametrize(
    ("money", "said"),
    [
        (Money(4505, "EUR"), "45.05 EUR"),
        (Money(0, "EUR"), "0.00 EUR"),
        (Money(4500, "JPY"), "4500 JPY"),
        (Money(12_045, "KWD"), "12.045 KWD"),
        (Money(1_000 * MAX_PRICE - 1, "EUR"), "9999999999999.99 EUR"),
    ],
)
def test_money_is_read_aloud_in_major_units_as_the_currency_has_them(money: Money, said: str) -> None:
    assert str(money) == said


def test_a_thousand_of_the_dearest_are_still_money() -> None:
    total = Money(MAX_PRICE, "EUR").times(1_000)
    assert msgspec.json.decode(msgspec.json.encode(total), type=Money) == total
    assert total.amount < 2**53


@pytest.mark.parametrize(
    "bad",
    [
        b'{"amount": -1, "currency": "EUR"}',
        b'{"amount": 45.5, "currency": "EUR"}',
        b'{"amount": "4500", "currency": "EUR"}',
        b'{"amount": 1000000000000001, "currency": "EUR"}',
        b'{"amount": 4500, "currency": "eur"}',
        b'{"amount": 4500, "currency": "EURO"}',
        b'{"amount": 4500, "currency": "EUR\\n"}',
        b'{"amount": 4500}',
        b'{"amount": 4500, "currency": "EUR", "cents": 1}',
        b'{"amount": true, "currency": "EUR"}',
    ],
)
def test_what_is_no_money_is_refused(bad: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(bad, type=Money)
