"""Refusals carry a stable name, a sentence and their values."""

from cludale.kernel.refusals import Busy, IdempotencyKeyReused, Invalid, NotFound, Refusal


class SeatsAllGone(Refusal):
    def __init__(self) -> None:
        super().__init__("No seats are left.", left=0)


def test_a_refusal_is_named_in_kebab_case() -> None:
    assert SeatsAllGone.name() == "seats-all-gone"


def test_a_refusal_carries_its_values_and_a_sentence() -> None:
    refusal = SeatsAllGone()
    assert str(refusal) == refusal.detail == "No seats are left."
    assert refusal.values == {"left": 0}


def test_what_is_invalid_is_named_field_by_field() -> None:
    refusal = Invalid(("quantity", "must be at least 1"), ("userId", "is required"))
    assert refusal.values["errors"] == [
        {"field": "quantity", "message": "must be at least 1"},
        {"field": "userId", "message": "is required"},
    ]
    assert refusal.detail == "quantity: must be at least 1; userId: is required"


def test_what_is_not_there_is_named() -> None:
    assert NotFound("order", "order-1").detail == "There is no order 'order-1'."


def test_a_key_used_twice_names_the_header() -> None:
    assert IdempotencyKeyReused("abc").values["errors"][0]["field"] == "Idempotency-Key"


def test_busy_says_when_to_come_back() -> None:
    assert Busy("Too many wait.", retry_after_seconds=3).retry_after_seconds == 3
