"""What is due for a payment: to charge, to find out, to give back, through the provider; or to tell its end again.

What has to be done outside is written down first (`due_at`), then done, then its outcome is written down. Whoever
finds a payment due does it again, by the same key of the provider's.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

from cludale.kernel.decision import Decision
from cludale.ports.clock import Clock
from cludale.ports.payment_gateway import TAKEN, Charge, Declined, GatewayTrouble, PaymentGateway
from cludale.ports.tracing import TRACEPARENT
from cludale.runtime.due import Do, DuePolicy, PutOff, Step
from cludale.services.payments import carts, comparison, differences, domain, refunds
from cludale.services.payments.mends import Mend
from cludale.services.payments.payment import AttemptLimits, AttemptOutcome, Payment, Status

STUCK_TRIES = 30
"""From so many tries on, money that has to go back counts as stuck: with the waits as they are, some four minutes."""

_log = logging.getLogger(__name__)


class Charging(DuePolicy[Payment]):
    """Asks the provider, and says what comes of its answers."""

    def __init__(
        self,
        gateway: PaymentGateway,
        *,
        clock: Clock,
        limits: AttemptLimits,
        put_off: PutOff,
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._limits = limits
        self._put_off = put_off
        self.stuck = 0
        """Attempts to give money back that came to nothing, of payments that have been tried STUCK_TRIES times."""

    def take_up(self, state: Payment, now: datetime) -> Decision[Payment]:
        """Others leave it alone for the lease."""
        return Decision(domain.take_up(state, now=now, limits=self._limits))

    async def start(self, _: Sequence[Payment]) -> Do[Payment]:
        """Nothing is prepared for all payments together: each is charged by itself."""
        return self.act

    async def act(self, payment: Payment) -> Step[Payment]:
        """Do the one thing that this payment has left to do; returns what came of it."""
        TRACEPARENT.set(payment.cause.traceparent)
        if payment.shares and (line := carts.next_owed(payment)) is not None:
            return await self._back_of_line(payment, line)
        if comparison.is_to_be_retold(payment):
            return lambda p, now: comparison.retold(p, now=now, limits=self._limits)
        try:
            step = await self._ask(payment)
        except Declined as declined:
            step = self._tried(payment, AttemptOutcome.DECLINED, str(declined))
        except GatewayTrouble as trouble:
            return self.no_answer(payment, str(trouble))
        return self.of_its_round(payment, step)

    async def _back_of_line(self, payment: Payment, line: Payment) -> Step[Payment]:
        """Give back what is owed of a cart's line, from the cart's charge; by keys of the line's own."""
        TRACEPARENT.set(line.cause.traceparent)
        part = line.open_part
        amount, key = (line.rest, f"{line.key}.rest") if part is None else (part.amount, f"{line.key}.{part.number}")
        try:
            if amount.amount and payment.asks_provider:
                await self._gateway.refund_part(payment.charge, key, amount)
        except (Declined, GatewayTrouble) as trouble:
            return self._line_put_off(payment, line, str(trouble))

        def back(own: Payment, now: datetime) -> Decision[Payment]:
            if part is not None:
                return refunds.part_refunded(own, part, now=now, limits=self._limits)
            return refunds.refunded(own, now=now, limits=self._limits)

        return self.of_its_round(payment, lambda p, now: carts.of_line(p, line.order_id, lambda own: back(own, now)))

    def _line_put_off(self, payment: Payment, line: Payment, why: str) -> Step[Payment]:
        tries = line.part_tries + 1
        until = self._put_off(tries, self._clock.now())
        self.stuck += tries >= STUCK_TRIES
        _log.warning("%s: no answer to giving back (%s), again at %s", line.id, why, until)
        return self.of_its_round(payment, lambda p, _: Decision(carts.put_off(p, line.order_id, until=until)))

    async def _ask(self, payment: Payment) -> Step[Payment]:
        asks = payment.asks_provider
        if (part := payment.open_part) is not None:
            if part.amount.amount and asks:
                await self._gateway.refund_part(payment.charge, f"{payment.key}.{part.number}", part.amount)
            return lambda p, now: refunds.part_refunded(p, part, now=now, limits=self._limits)
        if payment.refunding:
            if asks:
                await self._refund_rest(payment)
            return lambda p, now: refunds.refunded(p, now=now, limits=self._limits)
        if payment.closing is not None:
            returned = await self._gateway.void(payment.charge) if asks else False
            return lambda p, now: domain.voided(p, returned=returned, now=now, limits=self._limits)
        if payment.status is not Status.PENDING and (mend := payment.open_mend) is not None:
            return await self._mend(mend)
        return await self._charge(payment)

    async def _mend(self, mend: Mend) -> Step[Payment]:
        charge = Charge(mend.key, mend.amount, mend.reference)
        try:
            await self._gateway.refund_part(charge, mend.refund_key, mend.amount)
        except GatewayTrouble:
            # A refund of all that was left, as of a cancelled order, took the mend's money back with it.
            there = (await self._gateway.booked([charge])).get(mend.key)
            if there is None or there.kept > 0:
                raise
        return lambda p, now: differences.mended(p, mend, now=now)

    async def _charge(self, payment: Payment) -> Step[Payment]:
        if domain.is_too_late(payment, self._clock.now()):
            return lambda p, now: Decision(domain.expire(p, now=now))
        charged = TAKEN if not payment.asks_provider else await self._gateway.charge(payment.charge, payment.method)
        if charged.waits:
            return lambda p, now: Decision(domain.waits(p, charged.reference, now=now))
        return self._tried(payment, AttemptOutcome.CHARGED, reference=charged.reference)

    async def _refund_rest(self, payment: Payment) -> None:
        """Give back all that is left. What part refunds have left goes back by a key of its own, as they did."""
        if payment.parts and payment.rest.amount:
            await self._gateway.refund_part(payment.charge, f"{payment.key}.rest", payment.rest)
        elif payment.rest.amount:
            await self._gateway.refund(payment.charge)

    def no_answer(self, state: Payment, why: str) -> Step[Payment]:
        """An attempt to charge counts. Money that is owed is never given up on: only the waits are bounded."""
        if state.shares and (line := carts.next_owed(state)) is not None:
            return self._line_put_off(state, line, why)
        if not domain.owes_money(state):
            return self.of_its_round(state, self._tried(state, AttemptOutcome.UNKNOWN, why))
        tries = refunds.tries_in_vain(state) + 1
        until = self._put_off(tries, self._clock.now())
        self.stuck += tries >= STUCK_TRIES
        _log.warning("%s: no answer to giving back (%s), again at %s", state.id, why, until)
        return self.of_its_round(state, lambda p, _: Decision(domain.put_off(p, until=until)))

    def _tried(
        self, payment: Payment, outcome: AttemptOutcome, detail: str | None = None, *, reference: str | None = None
    ) -> Step[Payment]:
        now = self._clock.now()
        retry_at = self._put_off(payment.tries + 1, now) if outcome is AttemptOutcome.UNKNOWN else now
        return lambda p, _: domain.attempted(
            p, outcome, detail, now=now, retry_at=retry_at, limits=self._limits, reference=reference
        )

    def of_its_round(self, payment: Payment, step: Step[Payment]) -> Step[Payment]:
        """What came of one round says nothing of a later one."""
        return lambda p, now: step(p, now) if p.round == payment.round else Decision(p)
