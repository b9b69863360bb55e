"""The rule of reports: what payments and sections say, against what a report says."""

import json

import pytest

from cludale_proof.checker.report_rules import (
    CategoryRow,
    KeptDocuments,
    ReportRow,
    TillRow,
    broken_categories,
    broken_reports,
    broken_tills,
)

PART = {"number": 1, "refundId": "r", "tickets": 1, "held": 2}
EUR = {"currency": "EUR"}
RIGHT = ReportRow("c", "2027-01-02", "s", "EUR", 3, 1, 9_000, 3_000, 0)


def kept() -> KeptDocuments:
    part = PART | {"amount": {"amount": 3_000, **EUR}, "left": {"amount": 6_000, **EUR}}
    payment = {"orderId": "o", "concertId": "c", "section": "s", "amount": {"amount": 9_000, **EUR}}
    documents = (
        [{"id": "c", "date": "2099-06-05", "particulars": {"zone": "Pacific/Auckland"}}],
        [{"concertId": "c", "id": "s", "sold": 2}],
        [{"id": "o", "createdAt": "2027-01-01T12:00:00Z"}, {"id": "p", "createdAt": "2027-01-01T12:00:00Z"}],
        [
            payment | {"status": "Completed", "parts": [{"part": part, "doneAt": "2027-01-01T13:00:00Z"}]},
            payment | {"orderId": "p", "status": "Refunded"},
        ],
    )
    return KeptDocuments(*[[json.dumps(each).encode() for each in many] for many in documents])


def test_a_report_that_is_right_breaks_no_rule() -> None:
    assert list(broken_reports([RIGHT], kept())) == []


@pytest.mark.parametrize(
    ("row", "rules"),
    [
        (RIGHT._replace(taken=9_001), {"report-money"}),
        (RIGHT._replace(refunded=0), {"report-money"}),
        (RIGHT._replace(day="2027-01-01"), {"report-money"}),
        (RIGHT._replace(currency="USD"), {"report-money"}),
        (RIGHT._replace(tickets=4), {"report-tickets"}),
        (RIGHT._replace(refunds_open=1), {"report-refund-open"}),
        (RIGHT._replace(taken=0), {"report-money", "report-more-back"}),
        (RIGHT._replace(section="t"), {"report-money", "report-tickets"}),
    ],
)
def test_one_that_is_wrong_is_named(row: ReportRow, rules: set[str]) -> None:
    assert rules <= {each.split(":")[0] for each in broken_reports([row], kept())}


def test_an_order_that_is_left_out_is_missed() -> None:
    assert [each.split(":")[0] for each in broken_reports([], kept())] == ["report-money", "report-tickets"]


def test_channels_and_tills_are_held_against_what_payments_keep() -> None:
    said = [RIGHT._replace(channel="box-office")]
    assert {each.split(":")[0] for each in broken_reports(said, kept())} == {"report-channel"}
    (payment,) = [each for each in kept().payments if b"Completed" in each]
    till = {**json.loads(payment), "till": {"method": "cash", "seller": "key-1"}}
    body = json.dumps(till).encode()
    assert list(broken_tills([TillRow("cash", "EUR", 9_000, 3_000)], [body, payment])) == []
    assert len(list(broken_tills([TillRow("terminal", "EUR", 9_000, 3_000)], [body]))) == 2


ADULTS = CategoryRow("c", "adult", "LUCKY", "EUR", 2, 0, 5_000)
FEES = CategoryRow("c", "", "LUCKY", "EUR", 0, 0, 1_000)


def broken_by_category(*rows: CategoryRow) -> set[str]:
    line = {"category": "adult", "quantity": 2}
    sold = {"concertId": "c", "quantity": 2, "orderId": "o", "bill": {"lines": [line], "code": "LUCKY"}}
    reservations = [sold | {"status": "Sold"}, sold | {"status": "Released", "orderId": "lapsed"}]
    found = broken_categories(rows, [json.dumps(each).encode() for each in reservations], kept())
    return {each.split(":")[0] for each in found}


def test_categories_are_held_against_what_was_sold_and_codes_against_payments() -> None:
    assert broken_by_category(ADULTS, FEES) == set()
    assert broken_by_category(ADULTS._replace(category="child"), FEES) == {"report-category"}
    assert broken_by_category(ADULTS, FEES._replace(tickets=1)) == {"report-category"}
    assert broken_by_category(ADULTS._replace(code=""), FEES) == {"report-code"}
    assert broken_by_category(ADULTS) == {"report-code"}
