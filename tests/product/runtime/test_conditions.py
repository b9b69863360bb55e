"""What a query asks of each field, and in which parts its pages come."""

import pytest

from cludale.ports.records import Kind, Query, Range
from cludale.runtime.conditions import Condition, Test, conditions_of

ORDERS = Kind("orders", "order", indexed=("status", "userId", "createdAt"))


def test_each_question_about_a_field_is_a_condition() -> None:
    query = Query(
        equal={"status": "Paid"}, contains={"userId": "ann"}, within=[Range("createdAt", "2026", None)], limit=1
    )
    assert conditions_of(ORDERS, query).all == [
        Condition("status", Test.EQUAL, "Paid"),
        Condition("userId", Test.CONTAINS, "ann"),
        Condition("createdAt", Test.PRESENT),
        Condition("createdAt", Test.FROM, "2026"),
    ]


def test_a_range_with_two_ends_is_a_condition_for_each() -> None:
    tests = [each.test for each in conditions_of(ORDERS, Query(within=[Range("createdAt", "a", "b")])).all]
    assert tests == [Test.PRESENT, Test.FROM, Test.BEFORE]


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        pytest.param(Query(), (True, False), id="in the order in which they came"),
        pytest.param(Query(order_by="userId"), (True, True), id="sorted: those without a value come last"),
        pytest.param(Query(order_by="userId", equal={"status": None}), (True, True), id="asked of another field"),
        pytest.param(Query(order_by="userId", equal={"userId": "x"}), (True, False), id="all have this value"),
        pytest.param(Query(order_by="userId", contains={"userId": "x"}), (True, False), id="all have some value"),
        pytest.param(
            Query(order_by="userId", within=[Range("userId", None, "x")]), (True, False), id="all are in a range"
        ),
        pytest.param(Query(order_by="userId", equal={"userId": None}), (False, True), id="none has a value"),
    ],
)
def test_pages_come_in_the_parts_that_can_have_matches(query: Query, parts: tuple[bool, bool]) -> None:
    conditions = conditions_of(ORDERS, query)
    assert (conditions.has_valued_part, conditions.has_valueless_part) == parts


def test_a_field_that_is_asked_to_have_no_value_and_one_too_leaves_the_part_that_matches_nothing() -> None:
    conditions = conditions_of(ORDERS, Query(order_by="userId", equal={"userId": None}, contains={"userId": "x"}))
    assert (conditions.has_valued_part, conditions.has_valueless_part) == (True, False)


@pytest.mark.parametrize(
    "query", [Query(equal={"color": "red"}), Query(contains={"color": "r"}), Query(order_by="color")]
)
def test_a_field_that_is_not_indexed_is_refused(query: Query) -> None:
    with pytest.raises(ValueError, match="'color' is not an indexed field"):
        conditions_of(ORDERS, query)


def test_a_page_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="a page of 0"):
        conditions_of(ORDERS, Query(limit=0))
