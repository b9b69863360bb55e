"""What the provider does when it is asked, given what stands under a key in its ledger. No I/O."""

from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple

from cludale.kernel.money import Money
from cludale.ports.payment_gateway import Booked

CARD_OK = "card-ok"
CARD_DECLINED = "card-declined"
CARD_SLOW = "card-slow"
CARD_FLAKY = "card-flaky"
CARD_TIMEOUT_AFTER_CHARGE = "card-timeout-after-charge"
METHODS = (CARD_OK, CARD_DECLINED, CARD_SLOW, CARD_FLAKY, CARD_TIMEOUT_AFTER_CHARGE)
"""The payment methods that there are; each shows one way in which a provider may behave."""
FLAKY_FAILURES = 2
"""How often `card-flaky` fails before it works."""


class LedgerRow(NamedTuple):
    """All that was done under one key. Amounts are minor units."""

    key: str
    amount: int
    currency: str
    method: str
    captured: int = 0
    refunded: int = 0
    charges: int = 0
    """How often money was taken: 0 or 1, unless the provider itself is broken."""
    asked: int = 0
    """How often a charge was asked for."""
    declined: bool = False
    voided: bool = False
    parts: str = ""
    """What went back in parts, by key: `payment-1.1.1=500 payment-1.1.2=250`."""
    at: int = 0
    """When it was first asked for, in milliseconds since 1970; 0 in rows of earlier versions."""


class Reply(Enum):
    """What the provider says; GONE is what it can't say, because the connection broke."""

    DONE = "done"
    NOTHING = "there was nothing to give back"
    VOIDED = "this key was voided"
    DECLINED = "the card was declined"
    OTHER_AMOUNT = "this key was used for another amount"
    TROUBLE = "internal error, try again"
    UNKNOWN = "nothing was taken under this key, so far"
    TOO_MUCH = "less is left than is to be given back"
    GONE = "the connection broke"


def moment(at: datetime) -> int:
    """A time as the ledger keeps it."""
    return int(at.timestamp() * 1000)


def booked(row: LedgerRow) -> Booked:
    """What a row says, as the port has it."""
    return Booked(
        key=row.key,
        at=datetime.fromtimestamp(row.at / 1000, UTC),
        taken=Money(row.captured, row.currency),
        returned=row.refunded,
        times=row.charges,
    )


def fresh_charge(key: str, money: Money, method: str, *, at: int) -> LedgerRow:
    """The row of a charge that goes well at the first try."""
    return LedgerRow(key, money.amount, money.currency, method, captured=money.amount, charges=1, asked=1, at=at)


def charge(row: LedgerRow | None, key: str, money: Money, method: str, *, at: int) -> tuple[LedgerRow, Reply]:
    """Take the money, if it was not taken under this key before."""
    row = row or LedgerRow(key, money.amount, money.currency, method, at=at)
    row = row._replace(asked=row.asked + 1)
    if row.voided:
        return row, Reply.VOIDED
    if (row.amount, row.currency) != (money.amount, money.currency):
        return row, Reply.OTHER_AMOUNT
    if row.charges:
        return row, Reply.DONE
    if row.declined or method == CARD_DECLINED:
        return row._replace(declined=True), Reply.DECLINED
    if method == CARD_FLAKY and row.asked <= FLAKY_FAILURES:
        return row, Reply.TROUBLE
    row = row._replace(captured=row.amount, charges=row.charges + 1)
    return row, Reply.GONE if method == CARD_TIMEOUT_AFTER_CHARGE else Reply.DONE


def refund(row: LedgerRow | None) -> tuple[LedgerRow | None, Reply]:
    """Give back what was taken."""
    if row is None or not row.charges:
        return row, Reply.UNKNOWN
    return row._replace(refunded=row.captured), Reply.DONE


def refund_part(row: LedgerRow | None, refund_key: str, amount: int) -> tuple[LedgerRow | None, Reply]:
    """Give back so much of what was taken, if nothing was given back under this key before."""
    if row is None or not row.charges:
        return row, Reply.UNKNOWN
    before = dict(each.rsplit("=", 1) for each in row.parts.split())
    if refund_key in before:
        return row, Reply.DONE if before[refund_key] == str(amount) else Reply.OTHER_AMOUNT
    if row.refunded + amount > row.captured:
        return row, Reply.TOO_MUCH
    parts = f"{row.parts} {refund_key}={amount}".strip()
    return row._replace(refunded=row.refunded + amount, parts=parts), Reply.DONE


def void(row: LedgerRow | None, key: str) -> tuple[LedgerRow, Reply]:
    """Give back what was taken, and shut the key for good."""
    row = row or LedgerRow(key, 0, "", "")
    return row._replace(refunded=row.captured, voided=True), Reply.DONE if row.charges else Reply.NOTHING
