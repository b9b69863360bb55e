"""Invoices at work: which orders may want one, their settings, and what was issued.

Whether an order's organizer has invoices is known in memory, so that an order that has none pays nothing for them.
What is known may be old by a while; so what an organizer turns on holds from a while later on, and whoever has not
looked for longer takes each order for one that may want an invoice.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy, NotFound
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.invoice_pages import InvoicePages
from cludale.ports.records import Query
from cludale.ports.seats import ConcertNotFound
from cludale.ports.ticket_pages import PagesBusy
from cludale.runtime.aggregates import NEW, Change, ChangeResult, Updates
from cludale.runtime.due import DueWork
from cludale.services.concerts.events import SeatsSold
from cludale.services.orders.events import InvoiceKind
from cludale.services.orders.invoices import billing as billings
from cludale.services.orders.invoices import settings as rules
from cludale.services.orders.invoices.billing import Billing
from cludale.services.orders.invoices.documents import Document
from cludale.services.orders.invoices.due import AT_ONCE, ATTEMPT_SECONDS, DueBillings
from cludale.services.orders.invoices.numbering import series_id
from cludale.services.orders.invoices.printed import page_of
from cludale.services.orders.invoices.settings import InvoiceSettings, InvoicesOff, SettingsChange
from cludale.services.orders.invoices.store import BILLINGS, DOCUMENTS, SETTINGS
from cludale.services.orders.order import Order
from cludale.services.orders.privacy.domain import Invoiced
from cludale.services.orders.store import ORDERS
from cludale.services.payments.events import PartRefunded, PaymentRefunded

LEEWAY = timedelta(days=2)
"""How late somebody may hear that an order was paid, after invoices were turned off."""
PAGE = 200
SPREAD_LOOKS = 4
"""After so many looks every process knows what was turned on."""
STALE_LOOKS = 2

_REFUNDED = PartRefunded | PaymentRefunded
"""Made once: a union that is written where it is asked for is made anew."""


class Pace(NamedTuple):
    """How often this process looks what organizers say."""

    look_seconds: float
    is_alone: bool
    """Nobody else takes orders: what is said here holds at once."""

    @property
    def spread(self) -> timedelta:
        """How long it takes until everybody knows."""
        return timedelta() if self.is_alone else timedelta(seconds=SPREAD_LOOKS * self.look_seconds)

    @property
    def stale(self) -> timedelta:
        """How long what was looked up counts as known."""
        return timedelta(seconds=STALE_LOOKS * self.look_seconds)


class Invoicing:
    """The invoices of all organizers."""

    def __init__(
        self,
        updates: Updates,
        policy: DueBillings,
        *,
        pace: Pace,
        pages: InvoicePages,
        takes_work: Callable[[], bool] = lambda: True,
    ) -> None:
        self._updates = updates
        self._policy = policy
        self._pace = pace
        self._pages = pages
        self._organizers: Mapping[str, InvoiceSettings] = {}
        """The settings of the organizers who have invoices now, by organizer."""
        self._known_at: datetime | None = None
        self._look_at: datetime | None = None
        self.due = DueWork(
            updates, BILLINGS, policy, at_once=AT_ONCE, attempt_seconds=ATTEMPT_SECONDS, takes_work=takes_work
        )

    # what is said

    async def settings(self, organizer: str) -> InvoiceSettings:
        """What this organizer says."""
        found = await SETTINGS.load(self._updates.records, (organizer,))
        return found[organizer].state if organizer in found else InvoiceSettings(organizer=organizer)

    async def is_offered(self, concert_id: str) -> bool:
        """Does who pays for this concert now get an invoice? Raises ConcertNotFound, ProgrammeUnreachable."""
        owner = await self._policy.owner(concert_id)
        if owner is None:
            raise ConcertNotFound(concert_id)
        return (await self.settings(owner)).said.is_on

    async def change(self, wanted: SettingsChange, cause: Cause) -> InvoiceSettings:
        """Say it anew. Raises SettingsOutdated, TooManySettings, Invalid, Busy."""

        def decide(known: InvoiceSettings | None, now: datetime) -> Decision[InvoiceSettings] | None:
            decision = rules.change(known, wanted, now=now, since=now + self._pace.spread)
            return decision if decision.events else None

        if wanted.said.is_on:
            # Known before it is true: whoever pays from then on is not passed over here.
            known = self._organizers.get(wanted.organizer) or InvoiceSettings(organizer=wanted.organizer)
            coming = replace(known, spans=(*known.spans, rules.Span(self._updates.clock.now())))
            self._organizers = {**self._organizers, wanted.organizer: coming}
        ((result, _),) = await self._updates.update([Change(SETTINGS, wanted.organizer, decide, cause)])
        if result is ChangeResult.CONFLICT:
            raise Busy("These settings are being changed by too many requests at once.")
        await self._look()
        return await self.settings(wanted.organizer)

    async def _look(self) -> None:
        now = self._updates.clock.now()
        known: dict[str, InvoiceSettings] = {}
        after: str | None = None
        while True:
            query = Query(equal={"everOn": 1}, after=after, limit=PAGE)
            found, page = await SETTINGS.find(self._updates.records, query)
            known |= {each.state.organizer: each.state for each in found if each.state.may_cover(now, leeway=LEEWAY)}
            after = page.next
            if after is None:
                break
        self._organizers, self._known_at = known, now

    # what is heard

    def _may_cover(self, concert_id: str, paid_at: datetime) -> bool:
        """May what was paid then for this concert be invoiced? Nothing is read for that."""
        # What others said after the last look here holds from `Pace.spread` later on: that is twice as long.
        if not self._pace.is_alone and (self._known_at is None or paid_at > self._known_at + self._pace.stale):
            return True
        owner = self._policy.owners.get(concert_id)
        if owner is not None:
            return owner in self._organizers and self._organizers[owner].covers(paid_at)
        return any(each.covers(paid_at) for each in self._organizers.values())

    def _is_stale(self) -> bool:
        """May others have turned invoices on meanwhile?"""
        if self._pace.is_alone:
            return False
        return self._known_at is None or abs(self._updates.clock.now() - self._known_at) > self._pace.stale

    async def hear(self, deliveries: Sequence[Delivery], answers: Sequence[Acknowledgement]) -> list[Acknowledgement]:
        """Have the orders looked at that were paid, or got money back, by what orders made of these; heard again, it is
        all the same. An answer for each: RETRY where that could not be written down.
        """
        if not self._organizers and not self._is_stale():
            return list(answers)
        given = list(answers)
        wanted: dict[int, Change[Billing]] = {}
        for at, delivery in enumerate(deliveries):
            if answers[at] is Acknowledgement.SUCCESS:
                change = self._marking(delivery)
                if change is not None:
                    wanted[at] = change
        if wanted:
            updated = await self._updates.update(list(wanted.values()))
            for at, (result, _) in zip(wanted, updated, strict=True):
                if result is ChangeResult.CONFLICT:
                    given[at] = Acknowledgement.RETRY
            if any(result is ChangeResult.CHANGED for result, _ in updated):
                self.due.wake()
        return given

    def _marking(self, delivery: Delivery) -> Change[Billing] | None:
        event = delivery.event
        fact = event.data
        cause = Cause.of(event)
        if isinstance(fact, SeatsSold):
            paid_at = fact.paid_at or event.time
            if not self._may_cover(fact.concert_id, paid_at):
                return None
            return Change(BILLINGS, fact.order_id, _begun(fact, paid_at, cause), cause, known=NEW)
        if isinstance(fact, _REFUNDED):
            return Change(BILLINGS, fact.order_id, _marked(fact, cause), cause)
        return None

    async def ask_for(self, order: Order, cause: Cause, *, organizer: str) -> None:
        """Have an order invoiced that was paid before there were invoices; its number comes within seconds.

        Asked again, also for one that has an invoice, it changes nothing. Raises NotInvoiced, InvoicesOff, Busy.
        """
        if not (await self.settings(organizer)).said.is_on:
            raise InvoicesOff

        def decide(known: Billing | None, now: datetime) -> Decision[Billing] | None:
            after = billings.ask_for(known, order, cause=cause, now=now)
            return None if after is known else Decision(after)

        ((result, _),) = await self._updates.update([Change(BILLINGS, order.id, decide, cause)])
        if result is ChangeResult.CONFLICT:
            raise Busy(f"Order {order.id!r} is being invoiced by too many requests at once.")
        self.due.wake()

    # what was issued

    async def order(self, order_id: str) -> Order:
        """The order. Raises NotFound."""
        return (await ORDERS.one(self._updates.records, order_id)).state

    async def of_order(self, order_id: str) -> list[Document]:
        """All that was issued for this order: its invoice, then its credit notes."""
        found = await BILLINGS.load(self._updates.records, (order_id,))
        return await self._documents(found[order_id].state) if order_id in found else []

    async def one(self, id: str) -> Document:
        """The document. Raises NotFound."""
        for each in await self.of_order(billings.order_of(id)):
            if each.id == id:
                return each
        raise NotFound("invoice", id)

    async def _documents(self, billing: Billing) -> list[Document]:
        series: dict[str, list[str]] = {}
        for paper in billing.papers:
            of = series_id(billing.organizer or "", int(paper.date[:4]), paper.kind)
            series.setdefault(of, []).append(billings.document_id(billing.order_id, paper))
        found: list[Document] = []
        for of, ids in series.items():
            loaded = await DOCUMENTS.load(self._updates.records, ids, partition=of)
            found += [loaded[id].state for id in ids if id in loaded]
        return sorted(found, key=lambda each: (each.kind is InvoiceKind.CREDIT_NOTE, each.issued_at, each.sequence))

    async def find(self, query: Query) -> tuple[list[Document], str | None]:
        """A page of documents, and the cursor of the next one."""
        found, page = await DOCUMENTS.find(self._updates.records, query)
        return [each.state for each in found], page.next

    async def pdf(self, document: Document, buyer: Invoiced | None, *, is_erased: bool) -> bytes:
        """The document to print. Raises Busy."""
        said = (await self.settings(document.organizer)).said
        try:
            return await self._pages.invoice(page_of(document, buyer, said.language, is_erased=is_erased))
        except PagesBusy as error:
            raise Busy("Too many pages are being made at once.") from error

    # what is due

    async def prepare(self) -> None:
        """Read which organizers have invoices, before the first event is handled. Raises StoreUnavailable."""
        await self._look()

    async def sweep(self) -> int:
        """Look what organizers say, and see to what is due, if it is time; returns how many were claimed or changed."""
        now = self._updates.clock.now()
        if self._look_at is not None and now < self._look_at <= now + timedelta(seconds=self._pace.look_seconds):
            return 0
        self._look_at = now + timedelta(seconds=self._pace.look_seconds)
        await self._look()
        return await self.due.sweep()

    @property
    def issued(self) -> int:
        """Documents that got a number here."""
        return self._policy.issued

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches."""
        return {"cludale_invoices_issued_total": self._policy.issued}


def _begun(
    sold: SeatsSold, paid_at: datetime, cause: Cause
) -> Callable[[Billing | None, datetime], Decision[Billing] | None]:
    def decide(known: Billing | None, now: datetime) -> Decision[Billing] | None:
        if known is not None:
            return None
        return Decision(billings.begin(sold, paid_at=paid_at, cause=cause, now=now))

    return decide


def _marked(
    fact: PartRefunded | PaymentRefunded, cause: Cause
) -> Callable[[Billing | None, datetime], Decision[Billing] | None]:
    what = billings.part_back(fact.part.number) if isinstance(fact, PartRefunded) else billings.round_back(fact.round)

    def decide(known: Billing | None, now: datetime) -> Decision[Billing] | None:
        if known is None or (isinstance(fact, PaymentRefunded) and fact.round < known.round):
            return None
        return Decision(billings.marked(known, what, cause, now=now))

    return decide
