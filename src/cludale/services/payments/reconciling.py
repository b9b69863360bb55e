"""Reconciliations at work: goes over the provider's books and the payments, a turn at a time; notes what differs."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy
from cludale.ports.payment_gateway import LISTED_AT_ONCE, Booked, GatewayTrouble, PaymentGateway
from cludale.ports.records import Query
from cludale.runtime.aggregates import Change, ChangeResult, Updates
from cludale.runtime.due import Do, DuePolicy, DueWork, Step
from cludale.runtime.recent import Recent
from cludale.services.payments import differences, reconciliation
from cludale.services.payments.differences import FoundDifference, Settlement, State
from cludale.services.payments.mends import Difference
from cludale.services.payments.payment import Payment, Status
from cludale.services.payments.reconciliation import Phase, Reconciliation
from cludale.services.payments.store import DIFFERENCES, PAYMENTS, RECONCILIATIONS

TURN_SECONDS = 2.0
"""How long a turn goes on before it is written down how far it is."""
ATTEMPT_SECONDS = 60.0
"""How long a turn may take at most: a page may wait for the provider."""
LEASE_SECONDS = 70.0
CLOCKS_DIFFER = timedelta(minutes=5)
"""The most by which the clocks of several machines may differ, for a payment to be looked at."""
STARTING = timedelta(seconds=60)
"""How long after its start a process looks whether this time's has begun."""
REMEMBERED = 50_000
"""Charges that one process remembers having seen in the books, so that the provider isn't asked for each again."""

_log = logging.getLogger(__name__)


class ReconciliationTimes(NamedTuple):
    """When the provider's books are compared, and how much of them."""

    every_seconds: float | None = None
    """How often it begins by itself; None: never."""
    window_seconds: float = 30 * 86_400.0
    """How far back one that begins by itself looks."""
    tolerance_seconds: float = 300.0
    """What happened so short a time ago is not compared yet."""
    look_seconds: float = 10.0
    """How often it is looked whether another process left one undone."""


class Reconciling(DuePolicy[Reconciliation]):
    """The due policy of reconciliations, and what people do about what was found."""

    def __init__(
        self,
        updates: Updates,
        gateway: PaymentGateway,
        times: ReconciliationTimes,
        *,
        begun: Callable[[], None],
        takes_work: Callable[[], bool] = lambda: True,
    ) -> None:
        """`begun` is called when payments got something to give back."""
        self._updates = updates
        self._gateway = gateway
        self._every = None if times.every_seconds is None else timedelta(seconds=times.every_seconds)
        self._window = timedelta(seconds=times.window_seconds)
        self._tolerance = timedelta(seconds=times.tolerance_seconds)
        self._look = timedelta(seconds=times.look_seconds)
        self._looked_at: datetime | None = None
        self._begun = begun
        self._takes_work = takes_work
        self._next_look: datetime | None = None
        self._seen: Recent[str, None] = Recent(REMEMBERED)
        self.found: Counter[str] = Counter()
        """Differences that were found first, by kind."""
        self.due: DueWork[Reconciliation] = DueWork(
            updates,
            RECONCILIATIONS,
            self,
            at_once=1,
            attempt_seconds=ATTEMPT_SECONDS,
            takes_work=takes_work,
        )

    async def sweep(self) -> int:
        """Begin one if it is time to, and give those that are due a turn."""
        await self._begin_on_schedule()
        now = self._updates.clock.now()
        if self._looked_at is not None and self._looked_at <= now < self._looked_at + self._look:
            return 0
        is_first, self._looked_at = self._looked_at is None, now
        return 0 if is_first else await self.due.sweep()

    async def _begin_on_schedule(self) -> None:
        now = self._updates.clock.now()
        if self._every is None or (self._next_look is not None and now < self._next_look) or not self._takes_work():
            return
        if self._next_look is None:
            self._next_look = now + STARTING
            return
        seconds = self._every.total_seconds()
        self._next_look = now + timedelta(seconds=seconds - now.timestamp() % seconds)
        id = reconciliation.slot_id(now, self._every)
        await self._begin(id, since=now - self._window, until=now, on_schedule=True)

    async def begin(self, *, since: datetime | None, until: datetime | None) -> Reconciliation:
        """Begin one now. Raises Busy."""
        now = self._updates.clock.now()
        upto = now if until is None else min(until, now)
        id = self._updates.ids.new("reconciliation")
        begun = await self._begin(id, since=since or upto - self._window, until=upto, on_schedule=False)
        self.due.wake()
        return begun

    async def _begin(self, id: str, *, since: datetime, until: datetime, on_schedule: bool) -> Reconciliation:
        def decide(stored: Reconciliation | None, now: datetime) -> Decision[Reconciliation]:
            if stored is not None:
                return Decision(stored)
            return Decision(reconciliation.begin(id, since=since, until=until, on_schedule=on_schedule, now=now))

        ((_, known),) = await self._updates.update((Change(RECONCILIATIONS, id, decide, Cause()),))
        if known is None:
            raise Busy(f"Reconciliation {id!r} is being changed by too many requests at once.")
        begun: Reconciliation = known.state
        return begun

    # -- a turn ---------------------------------------------------------------------------------------------------

    def take_up(self, state: Reconciliation, now: datetime) -> Decision[Reconciliation]:
        """Claim a turn."""
        return Decision(reconciliation.take_up(state, now=now, until=now + timedelta(seconds=LEASE_SECONDS)))

    async def start(self, _: Sequence[Reconciliation]) -> Do[Reconciliation]:
        """Each has its own turn."""
        return self._turn

    def no_answer(self, state: Reconciliation, why: str) -> Step[Reconciliation]:
        """Later again, from where it was written down last."""
        _log.warning("reconciliation %s waits: %s", state.id, why)
        return lambda stored, now: Decision(reconciliation.put_off(stored, why, now=now))

    async def _turn(self, claimed: Reconciliation) -> Step[Reconciliation]:
        loop = asyncio.get_running_loop()
        ends = loop.time() + TURN_SECONDS
        state = claimed
        trouble = ""
        while state.finished_at is None and loop.time() < ends:
            try:
                state = await self._page(state)
            except GatewayTrouble as error:
                trouble = str(error)
                break
        if trouble:
            _log.warning("reconciliation %s waits: %s", state.id, trouble)
        elif state.finished_at is not None:
            _log.info("reconciliation %s: %d charges compared, found %s", state.id, state.compared, dict(state.found))
        return partial(_written, claimed, state, trouble)

    async def _page(self, state: Reconciliation) -> Reconciliation:
        """One page on. Raises GatewayTrouble."""
        read_at = self._updates.clock.now()
        if state.phase is Phase.BOOKS:
            page = await self._gateway.listed(
                since=state.since, until=state.until, after=state.after, limit=LISTED_AT_ONCE
            )
            self._seen.remember(dict.fromkeys(each.key for each in page.items))
            found = await self._compare(page.items, by=state.id, read_at=read_at)
            following, looked_at, others = page.next, len(page.items), page.others
        else:
            payments, following = await self._payments(state)
            found = await self._look_for(payments, by=state.id, read_at=read_at)
            looked_at, others = len(payments), 0
        await self._note(found)
        counts = Counter(each.kind.value for each in found)
        return reconciliation.onwards(
            state, following, looked_at=looked_at, others=others, found=counts, now=self._updates.clock.now()
        )

    async def _compare(self, items: Sequence[Booked], *, by: str, read_at: datetime) -> list[FoundDifference]:
        known = await PAYMENTS.load(self._updates.records, {each.key.rpartition(".")[0] for each in items})
        found: list[FoundDifference] = []
        for each in items:
            payment = known.get(each.key.rpartition(".")[0])
            state = None if payment is None else payment.state
            wrong = differences.found_in(each, state, by=by, read_at=read_at, tolerance=self._tolerance)
            found += [] if wrong is None else [wrong]
        return found

    async def _payments(self, state: Reconciliation) -> tuple[list[Payment], str | None]:
        """A page of the payments here, the latest first, and the cursor of the next one."""
        query = Query(after=state.after, limit=LISTED_AT_ONCE, descending=True)
        read, page = await PAYMENTS.find(self._updates.records, query)
        payments = [each.state for each in read]
        is_past = bool(payments) and payments[-1].created_at < state.since - CLOCKS_DIFFER
        return [each for each in payments if each.created_at >= state.since], None if is_past else page.next

    async def _look_for(self, payments: Sequence[Payment], *, by: str, read_at: datetime) -> list[FoundDifference]:
        """Is the money that these say was taken in the provider's books? Asked for are those not seen there before."""
        unseen = {
            each.key: each
            for each in payments
            if each.status in (Status.COMPLETED, Status.REFUNDED) and each.asks_provider and each.key not in self._seen
        }
        if not unseen:
            return []
        booked = await self._gateway.booked([each.charge for each in unseen.values()])
        found = await self._compare(list(booked.values()), by=by, read_at=read_at)
        missing = (each for key, each in unseen.items() if key not in booked)
        without = (differences.no_money(each, by=by, read_at=read_at, tolerance=self._tolerance) for each in missing)
        return [*found, *(each for each in without if each is not None)]

    async def _note(self, found: Sequence[FoundDifference]) -> None:
        """Write them down, and have given back what is certainly the buyers'."""
        if not found:
            return
        cause = Cause()
        noted = await self._updates.update([Change(DIFFERENCES, each.id, _noting(each), cause) for each in found])
        for each, (result, _) in zip(found, noted, strict=True):
            if result is ChangeResult.CHANGED:
                self.found[each.kind] += 1
                _log.warning("payment %s: %s, %s under %s", each.payment_id, each.kind, each.amount, each.key)
        mends = [each for each in found if each.state is State.MENDING and each.payment_id is not None]
        await self._updates.update([Change(PAYMENTS, each.payment_id or "", self._mend(each)) for each in mends])
        if mends:
            self._begun()

    def _mend(self, found: FoundDifference) -> Callable[[Payment | None, datetime], Decision[Payment] | None]:
        def decide(payment: Payment | None, now: datetime) -> Decision[Payment] | None:
            if payment is None:
                return None
            return differences.begin_mend(payment, found, now=now, tolerance=self._tolerance)

        return decide

    # -- what people do -------------------------------------------------------------------------------------------

    async def settle(self, id: str, settlement: Settlement, note: str, cause: Cause) -> FoundDifference:
        """Do what a person decided about a difference. Asked again after trouble, it goes on.

        Raises NotFound, NotToSettle, Busy: also where the provider gives no answer.
        """

        def begin(found: FoundDifference, now: datetime) -> Decision[FoundDifference]:
            return differences.begin_settling(found, settlement, note, now=now)

        found = await self._updates.change(DIFFERENCES, id, begin, cause)
        amount = differences.to_give_back(found)
        if found.state is not State.SETTLING or amount is None:
            return found
        try:
            await self._gateway.refund_part(differences.charge_of(found), f"{found.key}.{found.id}", amount)
        except GatewayTrouble as trouble:
            raise Busy(f"The provider gave no answer ({trouble}). Ask again: the money goes back once.") from trouble

        def end(found: FoundDifference, now: datetime) -> Decision[FoundDifference]:
            return differences.settled(found, gave_back=amount, note=found.note, now=now)

        return await self._updates.change(DIFFERENCES, id, end, cause)

    async def run(self, id: str) -> Reconciliation | None:
        """How far it has come; None: there is none."""
        found = (await RECONCILIATIONS.load(self._updates.records, (id,))).get(id)
        return None if found is None else found.state

    async def runs(self, query: Query) -> tuple[list[Reconciliation], str | None]:
        """A page of them, and the cursor of the next."""
        found, page = await RECONCILIATIONS.find(self._updates.records, query)
        return [each.state for each in found], page.next

    async def differences(self, query: Query) -> tuple[list[tuple[FoundDifference, bool]], str | None]:
        """A page of what was found, each with whether it is mended; and the cursor of the next."""
        read, page = await DIFFERENCES.find(self._updates.records, query)
        found = [each.state for each in read]
        ids = {each.payment_id for each in found if each.state is State.MENDING and each.payment_id is not None}
        payments = await PAYMENTS.load(self._updates.records, ids)
        mended = {
            mend.difference_id
            for payment in payments.values()
            for mend in payment.state.mends
            if mend.done_at is not None
        }
        return [(each, each.id in mended) for each in found], page.next

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        return {f'cludale_payments_differences_total{{kind="{kind.value}"}}': self.found[kind] for kind in Difference}


def _noting(found: FoundDifference) -> Callable[[FoundDifference | None, datetime], Decision[FoundDifference]]:
    return lambda stored, _: differences.noted(stored, found)


def _written(
    claimed: Reconciliation, after: Reconciliation, trouble: str, stored: Reconciliation, now: datetime
) -> Decision[Reconciliation]:
    """How far a turn came, unless another process has had a turn since."""
    if stored != claimed:
        return Decision(stored)
    if trouble:
        return Decision(reconciliation.put_off(replace(after, tries=claimed.tries), trouble, now=now))
    return Decision(after if after.finished_at is not None else replace(after, due_at=now))
