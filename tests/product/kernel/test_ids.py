"""Ids: ordered by time, and derived where two must come to the same."""

import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cludale.kernel.ids import Id, from_key, from_key_in_order, same_as, time_ordered

MILLISECONDS = st.integers(0, 2**48 - 1)
BITS = st.integers(0, 2**74 - 1)


@given(milliseconds=MILLISECONDS, bits=BITS)
def test_an_id_is_a_uuid_of_version_7_with_its_time(milliseconds: int, bits: int) -> None:
    made = uuid.UUID(time_ordered("order", milliseconds=milliseconds, random_bits=bits).removeprefix("order-"))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == milliseconds


@given(earlier=st.tuples(MILLISECONDS, BITS), later=st.tuples(MILLISECONDS, BITS))
def test_ids_sort_by_time_and_then_by_their_bits(earlier: tuple[int, int], later: tuple[int, int]) -> None:
    first, second = sorted((earlier, later))
    one = time_ordered("x", milliseconds=first[0], random_bits=first[1])
    other = time_ordered("x", milliseconds=second[0], random_bits=second[1])
    assert (one < other) == (first < second)


def test_what_belongs_to_an_order_is_named_after_it() -> None:
    assert same_as("reservation", "order-0199c0ffee") == "reservation-0199c0ffee"


def test_a_key_always_gives_the_same_id() -> None:
    assert from_key("order", "POST /orders", "abc") == from_key("order", "POST /orders", "abc")
    assert from_key("order", "POST /orders", "abc") != from_key("order", "POST /orders", "abd")
    assert from_key("order", "a", "bc") != from_key("order", "ab", "c")


@given(milliseconds=MILLISECONDS, bits=BITS)
def test_a_key_with_a_time_gives_an_id_with_that_time(milliseconds: int, bits: int) -> None:
    key = str(uuid.UUID(time_ordered("x", milliseconds=milliseconds, random_bits=bits)[2:]))
    id = from_key_in_order("order", "POST /orders", key)
    assert id == from_key_in_order("order", "POST /orders", key)
    assert id.startswith(f"order-{milliseconds:012x}")
    assert len(id) == len(from_key("order", key))
    assert len({id, *(from_key_in_order("order", *other) for other in (("POST /carts", key), ("", key), (key,)))}) == 4


@pytest.mark.parametrize(
    "key",
    [
        "k-1",
        "6f1d1b9e-3c6e-4c57-9d49-0a3f7b1c2d4e",
        "0199c0ff-ee00-7abc-7def-0123456789ab",
        "0199c0ffee007abc8def0123456789ab",
        "0199c0ff-ee00-7abc-8def-0123456789ab-2",
        "0199c0ff-ee00-7abc-8def-0123456789a\u0661",
    ],
)
def test_any_other_key_gives_an_id_in_no_order(key: str) -> None:
    """Of another version or variant, without its hyphens, with something behind, with a digit that is no ASCII."""
    assert from_key_in_order("order", "POST /orders", key) == from_key("order", "POST /orders", key)


@pytest.mark.parametrize("good", ["a", "concert-1", "A.b_c-9", "x" * 64, "0"])
def test_a_caller_may_choose_a_plain_id(good: str) -> None:
    assert msgspec.convert(good, Id) == good


@pytest.mark.parametrize("bad", ["", ".", "..", "../x", "a/b", "a b", "-a", "é", "a\n", "x" * 65, "a%2f", "a\x00"])
def test_an_id_that_could_be_taken_for_a_path_is_refused(bad: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(bad, Id)
