"""What is due for a billing: its papers are decided by how the order stands; then they get their numbers."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.refusals import Busy
from cludale.ports.programme import ConcertDetails, Programme, ProgrammeUnreachable
from cludale.ports.records import StoreUnavailable
from cludale.runtime.aggregates import Updates
from cludale.runtime.due import Do, DuePolicy, PutOff, Step
from cludale.runtime.recent import Recent
from cludale.services.orders.events import InvoiceKind
from cludale.services.orders.invoices import billing as billings
from cludale.services.orders.invoices.billing import Billing, BillingFacts
from cludale.services.orders.invoices.days import local_day
from cludale.services.orders.invoices.issuing import Issuing
from cludale.services.orders.invoices.numbering import Unnumbered
from cludale.services.orders.invoices.settings import InvoiceSettings
from cludale.services.orders.invoices.store import SETTINGS
from cludale.services.orders.order import Order
from cludale.services.orders.privacy.service import Privacy
from cludale.services.orders.reports.concerts import concert_of
from cludale.services.orders.store import ORDERS

REMEMBERED = 10_000
"""Concerts of which it is known whose they are."""
AT_ONCE = 200
"""Billings that are seen to together."""
ATTEMPT_SECONDS = 20.0
LEASE_SECONDS = 30.0

_log = logging.getLogger(__name__)


class DueBillings(DuePolicy[Billing]):
    """Decides papers, and has them numbered."""

    def __init__(self, updates: Updates, programme: Programme, privacy: Privacy, put_off: PutOff) -> None:
        self._updates = updates
        self._programme = programme
        self._privacy = privacy
        self._put_off = put_off
        self._issuing = Issuing(updates)
        self.owners: Recent[str, str] = Recent(REMEMBERED)
        """Concert → its organizer, as far as this process has asked."""
        self.issued = 0
        """Documents that got a number here, or whose number was learnt."""

    async def owner(self, concert_id: str) -> str | None:
        """The concert's organizer; None: there is no such concert. Raises ProgrammeUnreachable."""
        if concert_id not in self.owners:
            concerts = await self._programme.of((concert_id,))
            self.owners.remember({id: each.organizer for id, each in concerts.items()})
        return self.owners.get(concert_id)

    def take_up(self, state: Billing, now: datetime) -> Decision[Billing]:
        """It is claimed."""
        return Decision(billings.take_up(state, now=now, until=now + timedelta(seconds=LEASE_SECONDS)))

    async def start(self, states: Sequence[Billing]) -> Do[Billing]:
        """What all of them need is asked for at once; all numbers of one series are given in one commit."""
        steps: dict[str, Step[Billing]] = {}
        trouble = "nothing is known of its concert"
        try:
            steps |= await self._decided([each for each in states if each.seen < each.marks])
            steps |= await self._issued([each for each in states if each.seen >= each.marks])
        except (Busy, ProgrammeUnreachable, StoreUnavailable) as error:
            trouble = str(error) or type(error).__name__

        async def do(state: Billing) -> Step[Billing]:
            return steps.get(state.order_id) or self.no_answer(state, trouble)

        return do

    def no_answer(self, state: Billing, why: str) -> Step[Billing]:
        """Later again."""
        again_at = self._put_off(max(1, state.tries), self._updates.clock.now())
        _log.warning("the invoice of order %s waits until %s: %s", state.order_id, again_at, why)
        return lambda kept, _: Decision(replace(kept, due_at=again_at))

    async def _decided(self, states: Sequence[Billing]) -> Mapping[str, Step[Billing]]:
        if not states:
            return {}
        concerts = await self._programme.of(list(dict.fromkeys(each.concert_id for each in states)))
        self.owners.remember({id: each.organizer for id, each in concerts.items() if id not in self.owners})
        settings = await self.settings({each.organizer for each in concerts.values()})
        orders = await ORDERS.load(self._updates.records, [each.order_id for each in states])
        steps: dict[str, Step[Billing]] = {}
        invoiced: list[Order] = []
        for each in states:
            order, concert = orders.get(each.order_id), concerts.get(each.concert_id)
            if order is None or concert is None:
                continue
            known = self._facts_of(each, order.state, concert, settings.get(concert.organizer))
            if known.is_invoiced or each.is_asked_for:
                invoiced.append(order.state)
            steps[each.order_id] = _planned(known, each.marks)
        await self._privacy.keep_for_invoices(invoiced)
        return steps

    def _facts_of(
        self, billing: Billing, order: Order, details: ConcertDetails, settings: InvoiceSettings | None
    ) -> BillingFacts:
        concert = concert_of(billing.concert_id, details)
        said = settings or InvoiceSettings(organizer=details.organizer)
        return BillingFacts(
            order=order,
            organizer=details.organizer,
            is_invoiced=said.covers(billing.paid_at),
            today=local_day(self._updates.clock.now(), said.said.zone, concert),
            concert=concert.name or "",
            concert_date=details.date,
            ticket=concert.sections.get(order.seats.section or "", order.seats.section or ""),
            standard=said.standard,
        )

    async def _issued(self, states: Sequence[Billing]) -> Mapping[str, Step[Billing]]:
        settings = await self.settings({each.organizer or "" for each in states})
        invoices = [
            Unnumbered(each, paper) for each in states for paper in each.unnumbered if paper.kind is InvoiceKind.INVOICE
        ]
        numbers = dict(await self._issuing.issue(invoices, settings))
        known = [billings.numbered(each, numbers, now=self._updates.clock.now()) for each in states]
        notes = [
            Unnumbered(each, paper)
            for each in known
            if each.invoice is not None and each.invoice.number is not None
            for paper in each.unnumbered
            if paper.kind is InvoiceKind.CREDIT_NOTE
        ]
        numbers |= await self._issuing.issue(notes, settings)
        self.issued += len(numbers)
        return {each.order_id: _numbered(numbers) for each in states}

    async def settings(self, organizers: set[str]) -> Mapping[str, InvoiceSettings]:
        """Those of these organizers, as far as they have any."""
        if not organizers:
            return {}
        found = await SETTINGS.load(self._updates.records, sorted(organizers))
        return {id: each.state for id, each in found.items()}


def _planned(known: BillingFacts, marks: int) -> Step[Billing]:
    return lambda kept, now: Decision(billings.planned(kept, known, marks=marks, now=now))


def _numbered(numbers: Mapping[str, str]) -> Step[Billing]:
    return lambda kept, now: Decision(billings.numbered(kept, numbers, now=now))
