"""Carts at work: places several orders in one commit, and sees to it that all of them are paid or none is.

What changes several lines changes them in one commit: a cart and its lines are in one partition.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cludale.kernel.buyers import BuyerKeys
from cludale.kernel.carts import CART, cart_of
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope
from cludale.kernel.refusals import Busy, NotFound
from cludale.ports.records import Commit, Committed, Outcome, Put, VersionConflict
from cludale.ports.seats import Seats, SeatsUnreachable
from cludale.runtime.admission import AdmissionControl
from cludale.runtime.aggregates import AnsweredBefore, Updates, Versioned, until_committed
from cludale.runtime.due import Do, DuePolicy, DueWork, Step
from cludale.services.orders import domain
from cludale.services.orders.carts import domain as carts
from cludale.services.orders.carts.domain import Cart, CartStatus, Looked, PartOfCart
from cludale.services.orders.events import CancelReason
from cludale.services.orders.let_in import LetIn
from cludale.services.orders.order import Order, OrderRequest, Status
from cludale.services.orders.privacy.domain import Particulars
from cludale.services.orders.privacy.service import Privacy
from cludale.services.orders.store import CARTS, ORDERS

LOOKED_AT_ONCE = 50
LEASE_SECONDS = 10.0

_log = logging.getLogger(__name__)

BuyersOf = Callable[[Order, Particulars, str | None], BuyerKeys]
"""The buyers whose tickets an order's are counted as."""
Watched = Callable[[Order | None, Decision[Order], datetime], Decision[Order]]
"""(order before, decision, time) → the decision, with a comparison later if the order may still have something."""


class KnownCart(NamedTuple):
    """A cart, and its lines in order."""

    cart: Cart
    orders: Sequence[Order]

    @property
    def status(self) -> CartStatus:
        """How it stands."""
        return carts.status(self.cart, self.orders)

    @property
    def is_settled(self) -> bool:
        """Is nothing under way?"""
        return carts.is_settled(self.cart, self.orders)


class _Read(NamedTuple):
    cart: Versioned[Cart]
    orders: Sequence[Versioned[Order]]

    @property
    def states(self) -> Sequence[Order]:
        return [each.state for each in self.orders]


class _Writing(NamedTuple):
    """How carts are written with their lines."""

    decide: Callable[[_Read, datetime], Looked]
    cause: Cause | None = None
    """None: what the cart was placed for."""
    keep: Callable[[KnownCart], Put] | None = None
    """The record of an answer that commits with it."""


_NONE: Mapping[str, Versioned[Order]] = {}


class Carts(DuePolicy[Cart]):
    """The carts of one orders service, and the due policy that looks at those that have not come to their end."""

    def __init__(
        self,
        updates: Updates,
        *,
        seats: Seats,
        privacy: Privacy,
        admission: AdmissionControl,
        buyers: BuyersOf,
        watched: Watched,
        tell: Callable[[Order], None],
        look_seconds: float,
        let_in: LetIn,
        takes_work: Callable[[], bool] = lambda: True,
    ) -> None:
        """`watched` has a line compared later that may have something. `tell(order)` is called with each line that
        changed. `look_seconds`: how long after it was placed, and after its hold, a cart is looked at of which nothing
        was heard."""
        self._updates = updates
        self._seats = seats
        self._privacy = privacy
        self._admission = admission
        self._buyers = buyers
        self._watched = watched
        self._tell = tell
        self._let_in = let_in
        self._wait = timedelta(seconds=look_seconds)
        self.due: DueWork[Cart] = DueWork(
            updates,
            CARTS,
            self,
            at_once=LOOKED_AT_ONCE,
            attempt_seconds=LEASE_SECONDS - 1,
            takes_work=takes_work,
        )

    # -- placing

    def new_id(self, home: str | None) -> str:
        """The id of a new cart; `home`: the partition of its idempotency key, if it has one.

        Each attempt is a cart of its own: what an attempt held that came to nothing is not there for the next.
        """
        fresh = self._updates.ids.new(CART)
        return fresh if home is None else carts.id_of(home, fresh.rpartition("-")[2][-12:])

    async def place(
        self,
        requests: Sequence[OrderRequest],
        *,
        cause: Cause,
        home: str | None = None,
        keep: Callable[[KnownCart], Put] | None = None,
    ) -> KnownCart:
        """Hold the seats of all lines and take their orders, all or none; `keep`'s record commits with them.

        Raises LineRefused, Busy (also where concerts gives no answer: nothing is placed then), AnsweredBefore.
        """
        carts.check_lines(len(requests))
        await self._admission.enter()
        try:
            return await self._place(requests, cause, home, keep)
        finally:
            self._admission.leave()

    async def _place(
        self,
        requests: Sequence[OrderRequest],
        cause: Cause,
        home: str | None,
        keep: Callable[[KnownCart], Put] | None,
    ) -> KnownCart:
        clock = self._updates.clock
        cart_id, now = self.new_id(home), clock.now()
        placed = carts.place(cart_id, requests, now=now)
        wanted = [
            domain.hold_request(
                each.state, cause.traceparent, self._buyers(each.state, request.known_by, request.address)
            )
            for each, request in zip(placed, requests, strict=True)
        ]
        try:
            held = await self._seats.hold_all(wanted)
        except SeatsUnreachable as unreachable:
            _log.warning("cart %s is not placed: %s", cart_id, unreachable)
            raise Busy("The seats could not be asked for in time: nothing is ordered. Try again.") from unreachable
        decided = clock.now()
        made = carts.reserve(
            cart_id, placed, held, now=decided, look_at=decided + self._wait, traceparent=cause.traceparent
        )
        known = KnownCart(made.cart, made.orders)
        puts = [CARTS.put(made.cart, 0)]
        for order, request in zip(made.orders, requests, strict=True):
            puts.append(ORDERS.put(order, 0))
            if (particulars := request.particulars) is not None:
                puts.append(self._privacy.put(order, particulars))
        if keep is not None:
            puts.append(keep(known))
        # Until this commits nobody was told anything, and holds without an order lapse by themselves.
        envelopes = [one for each in placed for one in self._updates.envelopes(each, cause, now)]
        envelopes += self._updates.envelopes(Decision(made.cart, made.events), cause, decided)
        (outcome,) = await self._updates.records.commit([Commit(CARTS.partition(cart_id), tuple(puts), envelopes)])
        if isinstance(outcome, VersionConflict):
            raise AnsweredBefore
        return known

    # -- what becomes of it

    async def cart(self, cart_id: str) -> KnownCart:
        """The cart and its lines. Raises NotFound."""
        read = (await self._read((cart_id,)))[cart_id]
        return KnownCart(read.cart.state, read.states)

    async def _read(self, cart_ids: Sequence[str], fresh: Mapping[str, Versioned[Order]] = _NONE) -> dict[str, _Read]:
        """These carts with their lines; `fresh` are lines that were read or written just now. Raises NotFound."""
        records = self._updates.records
        found = await CARTS.load(records, cart_ids)
        for id in cart_ids:
            if id not in found:
                raise NotFound("cart", id)
        lines = [line for cart in found.values() for line in cart.state.lines]
        orders = dict(fresh)
        if unread := [line for line in lines if line not in orders]:
            orders |= await ORDERS.load(records, unread)
        return {id: _Read(cart, [orders[o] for o in cart.state.lines if o in orders]) for id, cart in found.items()}

    async def check_alone(self, order_id: str) -> None:
        """May this order be changed without others? Raises PartOfCart for a line of a cart that is not paid."""
        cart_id = cart_of(order_id)
        if cart_id is None:
            return
        found = (await CARTS.load(self._updates.records, (cart_id,))).get(cart_id)
        if found is not None and not found.state.is_paid:
            raise PartOfCart(order_id, cart_id)

    async def cancel(self, cart_id: str, reason: CancelReason, *, cause: Cause) -> KnownCart:
        """Cancel all lines; again changes nothing. Raises NotFound, TooLateToCancel, AlreadyAdmitted, Busy."""
        if reason is CancelReason.BUYER:
            await self._let_in.check_nobody((await self.cart(cart_id)).orders)
        return await self._change(cart_id, lambda read, now: carts.cancel(read.states, reason, now=now), cause)

    async def pay_again(
        self, cart_id: str, *, method: str, cause: Cause, keep: Callable[[KnownCart], Put] | None = None
    ) -> KnownCart:
        """Have all of it charged in another way. Raises NotFound, NotReserved, AlreadyPaid, ChargeOpen, HoldEnded."""
        return await self._change(
            cart_id, lambda read, now: carts.pay_again(read.states, method=method, now=now), cause, keep
        )

    async def _change(
        self,
        cart_id: str,
        decide: Callable[[_Read, datetime], Mapping[str, Decision[Order]]],
        cause: Cause,
        keep: Callable[[KnownCart], Put] | None = None,
    ) -> KnownCart:
        def looked(read: _Read, now: datetime) -> Looked:
            return Looked(read.cart.state, decide(read, now))

        known = (await self._write(_Writing(looked, cause, keep), (cart_id,))).get(cart_id)
        if known is None:
            raise _too_many(cart_id)
        return known

    async def look(self, orders: Iterable[Versioned[Order]]) -> None:
        """These changed: where they are lines of carts, does something follow for the others? Raises Busy."""
        seen = {each.state.id: each for each in orders if each.state.status in _SEEN}
        ids = dict.fromkeys(id for order_id in seen if (id := cart_of(order_id)) is not None)
        if ids:
            await self._look(list(ids), seen, is_due=False)

    async def _look(self, cart_ids: Sequence[str], fresh: Mapping[str, Versioned[Order]], *, is_due: bool) -> None:
        def looked(read: _Read, now: datetime) -> Looked:
            return carts.look(read.cart.state, read.states, now=now, is_due=is_due, wait=self._wait)

        written = await self._write(_Writing(looked), cart_ids, fresh)
        for id in cart_ids:
            if id not in written:
                raise _too_many(id)

    async def _write(
        self, how: "_Writing", cart_ids: Sequence[str], fresh: Mapping[str, Versioned[Order]] = _NONE
    ) -> Mapping[str, KnownCart]:
        """Read, decide and write these carts, all at once and each alone: how those are that it came to an end for.

        Raises NotFound, AnsweredBefore, and what is decided.
        """
        done: dict[str, KnownCart] = {}
        tried: dict[str, KnownCart] = {}
        known = fresh

        async def draft() -> Sequence[Commit]:
            nonlocal known
            read = await self._read([id for id in cart_ids if id not in done], known)
            known = _NONE  # after a conflict all is read anew
            now = self._updates.clock.now()
            commits: list[Commit] = []
            tried.clear()
            for id, each in read.items():
                after, commit = self._drafted(how, each, now)
                if commit is None:
                    done[id] = after
                else:
                    tried[id] = after
                    commits.append(commit)
            return commits

        def learn(outcomes: Sequence[Outcome]) -> int:
            for (id, after), outcome in zip(tried.items(), outcomes, strict=True):
                if isinstance(outcome, Committed):
                    done[id] = after
                elif how.keep is not None and not _names_cart(id, outcome.ids):
                    raise AnsweredBefore
            return len(cart_ids) - len(done)

        await until_committed(self._updates.records, draft, learn)
        for cart in done.values():
            for order in cart.orders:
                self._tell(order)
        return done

    def _drafted(self, how: "_Writing", read: _Read, now: datetime) -> tuple[KnownCart, Commit | None]:
        """The cart as decided, and what commits that; None: nothing changes."""
        found = how.decide(read, now)
        decided = {o.id: self._watched(o, found.orders[o.id], now) for o in read.states if o.id in found.orders}
        after = [decided[o.id].state if o.id in decided else o for o in read.states]
        known = KnownCart(found.cart, after)
        because = how.cause or Cause(None, read.cart.state.traceparent)
        puts = [
            ORDERS.put(order, each.version)
            for each, order in zip(read.orders, after, strict=True)
            if order is not each.state
        ]
        if found.cart is not read.cart.state:
            puts.append(CARTS.put(found.cart, read.cart.version))
        events: list[Envelope] = []
        for decision in decided.values():
            events += self._updates.envelopes(decision, because, now)
        at = read.cart.state.created_at if found.again else None
        told = Decision(found.cart, found.events, at=at, again=found.again)
        events += self._updates.envelopes(told, because, now)
        if not puts and not events:
            return known, None
        if how.keep is not None:
            puts.append(how.keep(known))
        return known, Commit(CARTS.partition(found.cart.id), tuple(puts), events)

    # -- what is due

    def take_up(self, state: Cart, now: datetime) -> Decision[Cart]:
        """Claim a look."""
        return Decision(carts.take_up(state, now=now, until=now + timedelta(seconds=LEASE_SECONDS)))

    async def start(self, _: Sequence[Cart]) -> Do[Cart]:
        """Each is looked at by itself, and written with its lines."""
        return self._do

    async def _do(self, claimed: Cart) -> Step[Cart]:
        await self._look((claimed.id,), _NONE, is_due=True)
        return lambda cart, _: Decision(cart)

    def no_answer(self, state: Cart, why: str) -> Step[Cart]:
        """Again when its lease is over."""
        _log.warning("cart %s is looked at later: %s", state.id, why)
        return lambda cart, _: Decision(cart)


_SEEN = (Status.PAID, Status.CANCELLED)
"""Once a line is that, something may follow for the others."""


def _too_many(cart_id: str) -> Busy:
    return Busy(f"Cart {cart_id!r} is being changed by too many requests at once.")


def _names_cart(cart_id: str, ids: Iterable[str]) -> bool:
    return any(id == cart_id or cart_of(id) == cart_id for id in ids)
