"""Gives numbers: the series and the documents that get them are written by one commit."""

from collections.abc import Mapping, Sequence

from cludale.kernel.decision import Decision
from cludale.kernel.refusals import Busy
from cludale.ports.records import Commit, Committed, Outcome
from cludale.runtime.aggregates import Updates, until_committed
from cludale.services.orders.events import InvoiceKind
from cludale.services.orders.invoices import numbering
from cludale.services.orders.invoices.documents import document_of
from cludale.services.orders.invoices.numbering import Unnumbered
from cludale.services.orders.invoices.settings import InvoiceSettings
from cludale.services.orders.invoices.store import DOCUMENTS, SERIES

TOGETHER = 24
"""Documents that one commit gives numbers to: with their events it stays far below what Cosmos DB takes at once."""


class Issuing:
    """The series of all organizers."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates

    async def issue(self, waiting: Sequence[Unnumbered], settings: Mapping[str, InvoiceSettings]) -> Mapping[str, str]:
        """The numbers of these, by the ids of their documents: those that they have, or get now.

        All are of one kind. Whoever asks again is told the same. Raises Busy, StoreUnavailable.
        """
        numbers: dict[str, str] = {}
        series: dict[str, list[Unnumbered]] = {}
        for each in waiting:
            if each.billing.organizer in settings:
                series.setdefault(each.series, []).append(each)
        for id, of_it in series.items():
            for at in range(0, len(of_it), TOGETHER):
                numbers |= await self._in_series(
                    id, of_it[at : at + TOGETHER], settings[of_it[0].billing.organizer or ""]
                )
        return numbers

    async def _in_series(self, id: str, waiting: Sequence[Unnumbered], settings: InvoiceSettings) -> Mapping[str, str]:
        records = self._updates.records
        numbers: dict[str, str] = {}
        kind: InvoiceKind = waiting[0].paper.kind

        async def draft() -> Sequence[Commit]:
            numbers.clear()
            found = await DOCUMENTS.load(records, [each.id for each in waiting], partition=id)
            numbers.update({each.state.id: each.state.number for each in found.values()})
            new = [each for each in waiting if each.id not in numbers]
            if not new:
                return ()
            known = (await SERIES.load(records, (id,))).get(id)
            series, issued = numbering.give(None if known is None else known.state, new, settings.pattern(kind))
            now = self._updates.clock.now()
            puts = [SERIES.put(series, 0 if known is None else known.version)]
            events = []
            for each, fact in zip(new, issued, strict=True):
                document = document_of(
                    fact,
                    at=now,
                    issuer=settings.said.issuer,
                    concert=each.billing.concert,
                    concert_date=each.billing.concert_date,
                )
                puts.append(DOCUMENTS.put(document, 0))
                events += self._updates.envelopes(Decision(None, (fact,)), each.billing.cause, now)
            numbers.update({fact.document_id: fact.document_number for fact in issued})
            return (Commit(id, puts, events),)

        def learn(outcomes: Sequence[Outcome]) -> int:
            return sum(not isinstance(outcome, Committed) for outcome in outcomes)

        if not await until_committed(records, draft, learn):
            raise Busy(f"Too many give numbers in {id!r} at once.")
        return numbers
