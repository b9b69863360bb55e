"""SimulatedProvider: a PaymentGateway over a ledger. When it answers and when it doesn't; what it does is in rules.py.

Whoever asks while the ledger is being written shares the next transaction, and is answered after it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cludale.adapters.simulated_payments import rules
from cludale.adapters.simulated_payments.ledger import Change, Ledger, LedgerBroken, SqliteLedger
from cludale.adapters.simulated_payments.rules import CARD_OK, CARD_SLOW, METHODS, LedgerRow, Reply
from cludale.kernel.money import Money
from cludale.ports.clock import Clock
from cludale.ports.payment_gateway import (
    TAKEN,
    Booked,
    BookedPage,
    BuyerAction,
    Charge,
    ChargeResult,
    Declined,
    GatewayTrouble,
    NotFromProvider,
)
from cludale.runtime.batching import BatchingQueue

WAITING_LIMIT = 10_000
"""Requests that wait for one transaction; more get no answer, as from a provider that is overrun."""

_FOR_GOOD = (Reply.VOIDED, Reply.DECLINED, Reply.OTHER_AMOUNT)

Rule = Callable[[LedgerRow | None], tuple[LedgerRow | None, Reply]]


class _Request(NamedTuple):
    key: str
    rule: Rule
    fresh: LedgerRow | None
    """What is written if the key is new; None if that has to be decided first."""


class SimulatedProvider:
    """Charges by these methods (METHODS):

    `card-ok` works; `card-declined` is declined for good; `card-slow` works after `slow_seconds`; `card-flaky`
    fails twice, then works; `card-timeout-after-charge` takes the money and, `lost_reply_seconds` later, breaks the
    connection: asked again with the same key it says that the money was taken.
    """

    methods = METHODS

    def __init__(
        self, ledger: Path | Ledger, *, clock: Clock, slow_seconds: float = 2.0, lost_reply_seconds: float = 1.0
    ) -> None:
        """A path is that of a SQLite file, made if need be. Raises LedgerBroken."""
        self._ledger: Ledger = SqliteLedger(ledger) if isinstance(ledger, Path) else ledger
        self._clock = clock
        self._slow_seconds = slow_seconds
        self._lost_reply_seconds = lost_reply_seconds
        self._queue: BatchingQueue[None, _Request, Reply] = BatchingQueue(
            self._write,
            of="requests",
            refuse=GatewayTrouble,
            away=GatewayTrouble,
            batch_limit=WAITING_LIMIT,
            waiting_limit=WAITING_LIMIT,
        )

    async def charge(self, charge: Charge, method: str) -> ChargeResult:
        """Take the money, once for each key. Raises Declined, also for an unknown method; GatewayTrouble."""
        key, amount = charge.key, charge.amount
        if method not in METHODS:
            raise Declined(f"there is no payment method {method!r}")
        if method == CARD_SLOW:
            await self._clock.sleep(self._slow_seconds)
        at = rules.moment(self._clock.now())
        fresh = rules.fresh_charge(key, amount, method, at=at) if method in (CARD_OK, CARD_SLOW) else None
        reply = await self._ask(key, lambda row: rules.charge(row, key, amount, method, at=at), fresh)
        if reply is Reply.GONE:
            await self._clock.sleep(self._lost_reply_seconds)
        if reply in _FOR_GOOD:
            raise Declined(reply.value)
        if reply is not Reply.DONE:
            raise GatewayTrouble(reply.value)
        return TAKEN

    async def refund(self, charge: Charge) -> None:
        """Give back what was taken, once. Raises GatewayTrouble, also while nothing was taken."""
        reply = await self._ask(charge.key, rules.refund)
        if reply is not Reply.DONE:
            raise GatewayTrouble(reply.value)

    async def refund_part(self, charge: Charge, refund_key: str, amount: Money) -> None:
        """Give back so much of what was taken, once for each `refund_key`. Raises GatewayTrouble."""
        reply = await self._ask(charge.key, lambda row: rules.refund_part(row, refund_key, amount.amount))
        if reply is not Reply.DONE:
            raise GatewayTrouble(reply.value)

    async def void(self, charge: Charge) -> bool:
        """Give back what was taken; no later charge under its key succeeds. True if anything was taken.

        Asked again it says the same. Raises GatewayTrouble.
        """
        return await self._ask(charge.key, lambda row: rules.void(row, charge.key)) is Reply.DONE

    async def listed(self, *, since: datetime, until: datetime, after: str | None, limit: int) -> BookedPage:
        """A page of the ledger, by key: what took money in that time. Raises GatewayTrouble.

        Rows of earlier versions, which kept no time, count as of 1970.
        """
        try:
            page = await self._ledger.page(rules.moment(since), rules.moment(until), after=after, limit=limit)
        except LedgerBroken as broken:
            raise GatewayTrouble(str(broken)) from broken
        return BookedPage([rules.booked(row) for row in page.rows if row.charges], page.next)

    async def booked(self, charges: Sequence[Charge]) -> Mapping[str, Booked]:
        """What the ledger has of these, by key. Raises GatewayTrouble."""
        try:
            rows = await self._ledger.rows([charge.key for charge in charges])
        except LedgerBroken as broken:
            raise GatewayTrouble(str(broken)) from broken
        return {row.key: rules.booked(row) for row in rows if row.charges}

    async def action(self, _: Charge) -> BuyerAction | None:
        """None: nothing is ever left for the buyer to do."""
        return None

    def heard(self, _: bytes, __: str | None) -> str | None:
        """It sends nothing. Raises NotFromProvider."""
        raise NotFromProvider("the simulated provider has no webhook")

    async def close(self) -> None:
        """Write what waits and close the ledger."""
        await self._queue.close()
        await self._ledger.close()

    async def _ask(self, key: str, rule: Rule, fresh: LedgerRow | None = None) -> Reply:
        (reply,) = await self._queue.submit(None, (_Request(key, rule, fresh),))
        return reply

    async def _write(self, _: None, waiting: Sequence[_Request]) -> Sequence[Reply]:
        """One transaction for all that wait, then their answers. Who is gone by then has no answer: the money moved."""
        try:
            return await self._replies(waiting)
        except LedgerBroken as broken:
            raise GatewayTrouble(str(broken)) from broken

    async def _replies(self, waiting: Sequence[_Request]) -> Sequence[Reply]:
        fresh = [request.fresh for request in waiting if request.fresh is not None]
        if len(fresh) == len(waiting) and await self._ledger.insert_all(fresh):
            return [Reply.DONE] * len(waiting)
        replies: list[Reply] = []

        def changed(rule: Rule) -> Change:
            def change(row: LedgerRow | None) -> LedgerRow | None:
                after, reply = rule(row)
                replies.append(reply)
                return after

            return change

        await self._ledger.change_all([(request.key, changed(request.rule)) for request in waiting])
        return replies
