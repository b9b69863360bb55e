"""The particulars of buyers: kept sealed, read for who may, changed, found by e-mail, erased."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy
from cludale.ports.contacts import Contact
from cludale.ports.records import Commit, Committed, Outcome, Put, Query, UnusableCursor, VersionConflict
from cludale.ports.seals import CannotOpen, Sealed, Seals
from cludale.runtime.aggregates import AnsweredBefore, Change, ChangeResult, Decide, Updates, Versioned, until_committed
from cludale.services.orders import domain
from cludale.services.orders.aftersale import domain as aftersale
from cludale.services.orders.aftersale.domain import Amended, Amendment, KeptParticulars
from cludale.services.orders.events import ErasureReason, Party
from cludale.services.orders.order import Order
from cludale.services.orders.privacy import domain as personal
from cludale.services.orders.privacy.domain import NOTHING, InvoicedEmail, Particulars, Personal
from cludale.services.orders.store import INVOICED_EMAILS, ORDERS, PERSONAL

_log = logging.getLogger(__name__)


class ContactsLocked(Busy):
    """Addresses can't be read: they are under a master key that this process does not have."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"The address of order {order_id!r} can't be read at the moment.", retry_after_seconds=60)


class Privacy:
    """What orders keeps of its buyers."""

    def __init__(self, updates: Updates, seals: Seals) -> None:
        self._updates = updates
        self._seals = seals

    def put(self, order: Order, particulars: Particulars) -> Put:
        """The record of these, to be committed with the new order."""
        return PERSONAL.put(self._kept(order, particulars), 0)

    def _kept(self, order: Order, particulars: Particulars, before: Personal | None = None) -> Personal:
        email, sealed = self._hash(particulars), self._seals.seal(personal.packed(particulars), order.id)
        if before is not None:
            after = personal.with_sealed(before, sealed, email=email)
            if before.invoiced is None:
                return after
            on_invoice = self._read_invoiced(order.id, before.invoiced)
            if on_invoice.billing == particulars.billing:
                return after
            return replace(
                after, invoiced=self._seal_invoiced(order.id, replace(on_invoice, billing=particulars.billing))
            )
        return personal.keep(order.id, order.seats.concert_id, sealed, email=email, created_at=order.created_at)

    def digest(self, text: str) -> str:
        """A keyed hash by which the same text is known again."""
        return self._seals.digest(text)

    def _hash(self, particulars: Particulars) -> str | None:
        email = particulars.email
        return None if email is None else self._seals.digest(personal.folded(email))

    async def change(
        self,
        order_id: str,
        decide: Callable[[Order, KeptParticulars, datetime], Amended],
        *,
        cause: Cause,
        beside: Callable[[Order], Put] | None = None,
    ) -> Order:
        """Change an order and its particulars in one commit. The key of those of before is gone.

        Into one that was erased nothing is put. Raises NotFound, ContactsLocked, Busy, AnsweredBefore and what `decide`
        raises.
        """
        records = self._updates.records
        order: Order | None = None

        async def draft() -> Sequence[Commit]:
            nonlocal order
            found = await ORDERS.one(records, order_id)
            if found.state.has_clear_contact:
                await self.seal_clear((found.state,))
                found = await ORDERS.one(records, order_id)
            kept = (await PERSONAL.load(records, (order_id,))).get(order_id)
            before = None if kept is None else kept.state
            known = NOTHING if before is None else self._read(before)
            is_erased = before is not None and before.sealed is None
            sealed = None if before is None else before.invoiced
            billed = None if sealed is None else self._read_invoiced(order_id, sealed).billing
            now = self._updates.clock.now()
            decision, particulars = decide(found.state, KeptParticulars(known, is_erased, billed), now)
            order = decision.state
            if order is found.state:
                return ()
            puts = [ORDERS.put(order, found.version)]
            if not is_erased and particulars is not known:
                after = self._kept(order, particulars, before)
                puts.append(PERSONAL.put(after, 0 if kept is None else kept.version))
                puts += (await self._found_by_invoice((after,))).get(order_id, ())
            if beside is not None:
                puts.append(beside(order))
            events = self._updates.envelopes(decision, cause, now)
            return (Commit(ORDERS.partition(order_id), tuple(puts), events),)

        def learn(outcomes: Sequence[Outcome]) -> int:
            for outcome in outcomes:
                if isinstance(outcome, VersionConflict) and beside is not None and order_id not in outcome.ids:
                    raise AnsweredBefore
            return sum(not isinstance(outcome, Committed) for outcome in outcomes)

        if not await until_committed(records, draft, learn) or order is None:
            raise Busy(f"Order {order_id!r} is being changed by too many requests at once.")
        return order

    async def amend(self, order_id: str, wanted: Amendment, *, by: Party, cause: Cause) -> Order:
        """Change the particulars; the order counts it. Raises as `change`, and what `aftersale.amend` raises."""

        def decide(order: Order, kept: KeptParticulars, _: datetime) -> Amended:
            return aftersale.amend(order, kept, wanted, by=by)

        return await self.change(order_id, decide, cause=cause)

    async def contacts(self, order_ids: Sequence[str]) -> Mapping[str, Contact]:
        """Where the buyers of these orders want to be told, nowhere if that was erased; of the orders that there are.

        Raises ContactsLocked.
        """
        kept = await PERSONAL.load(self._updates.records, order_ids)
        others = [id for id in order_ids if id not in kept]
        found = {id: each.state.clear.contact for id, each in (await self._orders(others)).items()}
        return found | {id: self._read(each.state).contact for id, each in kept.items()}

    async def _orders(self, ids: Sequence[str]) -> Mapping[str, Versioned[Order]]:
        return await ORDERS.load(self._updates.records, ids) if ids else {}

    async def of(self, orders: Sequence[Order]) -> Mapping[str, Particulars]:
        """The particulars of those of these orders that have any, by the order's id. Raises ContactsLocked."""
        clear = {order.id: order.clear for order in orders if order.has_clear_contact}
        kept = await self.kept([order.id for order in orders])
        return clear | {id: self._read(each) for id, each in kept.items()}

    async def kept(self, order_ids: Sequence[str]) -> Mapping[str, Personal]:
        """What is kept for these orders, sealed or erased."""
        found = await PERSONAL.load(self._updates.records, order_ids) if order_ids else {}
        return {id: each.state for id, each in found.items()}

    def _read(self, kept: Personal) -> Particulars:
        if kept.sealed is None:
            return NOTHING
        try:
            return personal.unpacked(self._seals.open(kept.sealed, kept.order_id))
        except CannotOpen as error:
            _log.error("%s: set CLUDALE_PRIVACY_KEY, or CLUDALE_PRIVACY_KEY_TOO, to the key that it was under", error)
            raise ContactsLocked(kept.order_id) from error

    async def keep_for_invoices(self, orders: Sequence[Order]) -> None:
        """Keep who stands on the invoices of these orders, as it is now; once, and not of one who was erased.

        Raises ContactsLocked, Busy.
        """
        if not orders:
            return
        found = await PERSONAL.load(self._updates.records, [order.id for order in orders])
        changes = []
        for known in found.values():
            kept = known.state
            if kept.sealed is None or kept.invoiced is not None:
                continue
            left = self._read(kept)
            sealed = self._seal_invoiced(
                kept.order_id, personal.Invoiced(left.name, left.email, left.language, left.billing)
            )
            changes.append(Change(PERSONAL, kept.order_id, _keep_invoiced(sealed), Cause(), known=known))
        updated = await self._updates.update(changes) if changes else []
        if any(result is ChangeResult.CONFLICT for result, _ in updated):
            raise Busy("Some addresses are being changed by others.")

    async def invoiced(self, order_ids: Sequence[str]) -> Mapping[str, personal.Invoiced | None]:
        """Who stands on the invoices of these orders; None: they were erased. Raises ContactsLocked."""
        named: dict[str, personal.Invoiced | None] = {}
        for id, kept in (await self.kept(order_ids)).items():
            if kept.invoiced is not None:
                named[id] = self._read_invoiced(kept.order_id, kept.invoiced)
            elif kept.erased_at is not None:
                named[id] = None
        return named

    async def _found_by_invoice(self, kept: Sequence[Personal]) -> Mapping[str, Sequence[Put]]:
        """What has to be put so that these are found by the e-mail address on their invoices, too, by their ids.

        Of those that have been erased it is dropped. Raises ContactsLocked.
        """
        known = await INVOICED_EMAILS.load(self._updates.records, [each.order_id for each in kept])
        puts: dict[str, Sequence[Put]] = {}
        for each in kept:
            hashed = None
            if each.invoiced is not None:
                email = self._read_invoiced(each.order_id, each.invoiced).email
                hashed = None if email is None else self._seals.digest(personal.folded(email))
            wanted = InvoicedEmail(order_id=each.order_id, email=None if hashed == each.email else hashed)
            before = known.get(each.order_id)
            if wanted != (InvoicedEmail(order_id=each.order_id) if before is None else before.state):
                puts[each.order_id] = (INVOICED_EMAILS.put(wanted, 0 if before is None else before.version),)
        return puts

    def _seal_invoiced(self, order_id: str, invoiced: personal.Invoiced) -> Sealed:
        return self._seals.seal(personal.packed_invoiced(invoiced), personal.invoiced_of(order_id))

    def _read_invoiced(self, order_id: str, sealed: Sealed) -> personal.Invoiced:
        try:
            return personal.unpacked_invoiced(self._seals.open(sealed, personal.invoiced_of(order_id)))
        except CannotOpen as error:
            raise ContactsLocked(order_id) from error

    async def orders_of(self, email: str, asked: Query) -> tuple[list[Order], str | None]:
        """A page of the orders whose buyer left this e-mail address, as it was left, and the cursor of the next one.

        Orders that have it now come first, then those that have it on an invoice only, because the buyer's address
        was changed since. Page and direction are those of `asked`. Orders whose address is not sealed yet are left
        out. Raises UnusableCursor.
        """
        hashes = self._seals.digests(personal.folded(email))
        which, mark, place = (asked.after or "0:").partition(":")
        if not mark or not which.isdecimal():
            raise UnusableCursor
        rounds, ids = 2 * len(hashes), list[str]()
        at, after = (int(which) if int(which) < rounds else 0), place or None
        while at < rounds and len(ids) < asked.limit:
            query = asked._replace(equal={"email": hashes[at % len(hashes)]}, after=after, limit=asked.limit - len(ids))
            found_ids, after = await self._ids(query, is_on_invoice=at >= len(hashes))
            ids += found_ids
            at += after is None
        following = None if at == rounds else f"{at}:{after or ''}"
        found = await self._orders(ids)
        return [found[id].state for id in ids if id in found], following

    async def _ids(self, query: Query, *, is_on_invoice: bool) -> tuple[list[str], str | None]:
        if is_on_invoice:
            invoiced, page = await INVOICED_EMAILS.find(self._updates.records, query)
            kept = await self.kept([each.state.order_id for each in invoiced])
            return [id for id, each in kept.items() if each.invoiced is not None], page.next  # else retention erased it
        found, page = await PERSONAL.find(self._updates.records, query)
        return [each.state.order_id for each in found], page.next

    async def named(self, orders: Sequence[Order], sought: Sequence[str]) -> list[Order]:
        """The orders among these whose buyer's name has these words (`personal.words`). Raises ContactsLocked.

        The names are opened one by one: no index tells whose orders they are, and none has to be erased.
        """
        left = await self.of(orders) if orders else {}
        return [order for order in orders if personal.is_named(left.get(order.id, NOTHING), sought)]

    async def erase(self, orders: Sequence[Order], cause: Cause) -> Mapping[str, Personal]:
        """Erase what is kept of the buyers of these orders; again changes nothing. Raises Busy.

        Of one who left nothing there is a record from then on, too, and the event: tickets may know whom they passed
        a ticket on to.
        """
        await self.seal_clear([order for order in orders if order.has_clear_contact])
        invoiced = await INVOICED_EMAILS.load(self._updates.records, [order.id for order in orders])
        changes = [
            Change(PERSONAL, order.id, partial(_erase, order), cause, along=_unfound(order.id, invoiced.get(order.id)))
            for order in orders
        ]
        updated = await self._updates.update(changes)
        if any(result is ChangeResult.CONFLICT for result, _ in updated):
            raise Busy("Some addresses are being changed by others; erase again.")
        return {known.state.order_id: known.state for _, known in updated if known is not None}

    async def seal_clear(self, orders: Sequence[Order]) -> int:
        """Take addresses out of orders that an earlier version wrote, and keep them as those of others."""
        decide: Decide[Order] = _without_clear
        changes = [Change(ORDERS, order.id, decide, Cause(), along=(self.put(order, order.clear),)) for order in orders]
        updated = await self._updates.update(changes) if changes else []
        return sum(result is ChangeResult.CHANGED for result, _ in updated)

    async def rewrap(self, kept: Sequence[Versioned[Personal]]) -> int:
        """Bring the keys of these under the master key that is used now."""
        old = [each for each in kept if self._is_old(each.state)]
        found_by = await self._found_anew([each.state for each in old if each.state.invoiced is not None])
        changes = [
            Change(
                PERSONAL,
                each.state.order_id,
                self._rewrapped,
                Cause(),
                known=each,
                along=found_by.get(each.state.order_id, ()),
            )
            for each in old
        ]
        updated = await self._updates.update(changes) if changes else []
        return sum(result is ChangeResult.CHANGED for result, _ in updated)

    async def _found_anew(self, kept: Sequence[Personal]) -> Mapping[str, Sequence[Put]]:
        """The same as `_found_by_invoice` by the master key that is used now."""
        if not kept:
            return {}
        opened = [self._seals.open(each.sealed, each.order_id) for each in kept if each.sealed is not None]
        hashes = [self._hash(personal.unpacked(each)) for each in opened]
        return await self._found_by_invoice(
            [replace(each, email=email) for each, email in zip(kept, hashes, strict=True)]
        )

    def _is_old(self, kept: Personal) -> bool:
        return any(
            sealed is not None and sealed.master != self._seals.master for sealed in (kept.sealed, kept.invoiced)
        )

    def _rewrapped(self, kept: Personal | None, _: datetime) -> Decision[Personal] | None:
        if kept is None or kept.sealed is None or not self._is_old(kept):
            return None
        email = self._hash(personal.unpacked(self._seals.open(kept.sealed, kept.order_id)))
        after = personal.with_sealed(kept, self._seals.rewrap(kept.sealed, kept.order_id), email=email)
        if kept.invoiced is not None:
            invoiced = self._seals.rewrap(kept.invoiced, personal.invoiced_of(kept.order_id))
            after = replace(after, invoiced=invoiced)
        return Decision(after)


def _unfound(order_id: str, known: Versioned[InvoicedEmail] | None) -> tuple[Put, ...]:
    """What drops the hash of the e-mail address on its invoice, if there is one."""
    if known is None or known.state.email is None:
        return ()
    return (INVOICED_EMAILS.put(InvoicedEmail(order_id=order_id), known.version),)


def _erase(order: Order, kept: Personal | None, now: datetime) -> Decision[Personal]:
    if kept is not None:
        return personal.erase(kept, ErasureReason.ASKED, at=now)
    concert = order.seats.concert_id
    return personal.erase_nothing(order.id, concert, ErasureReason.ASKED, created_at=order.created_at, at=now)


def _keep_invoiced(sealed: Sealed) -> Decide[Personal]:
    def decide(kept: Personal | None, _: datetime) -> Decision[Personal] | None:
        if kept is None or kept.sealed is None or kept.invoiced is not None:
            return None
        return Decision(replace(kept, invoiced=sealed))

    return decide


def _without_clear(order: Order | None, _: datetime) -> Decision[Order] | None:
    if order is None or not order.has_clear_contact:
        return None
    return Decision(domain.without_clear_contact(order))
