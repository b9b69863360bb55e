"""Buyers and the organizer: what they want, when they lose patience, and what they saw of the answers."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cludale.kernel.allocation import Allocation
from cludale.kernel.bills import TicketCount
from cludale.kernel.carts import cart_of, line_id
from cludale.kernel.events import Envelope
from cludale.kernel.money import Money
from cludale.services.concerts.api import Reserve
from cludale.services.concerts.changes.api import CancelConcert, ChangeConcert, ChangeConcertSection, PostponeConcert
from cludale.services.concerts.codes.api import ChangeCode
from cludale.services.concerts.events import ConcertStatus
from cludale.services.concerts.seat_plans.api import BlockSeatsRequest, UnblockSeatsRequest
from cludale.services.orders.aftersale.api import AmendOrder, RefundPart
from cludale.services.orders.api import PayAgain, PlaceOrder, ShowOrder
from cludale.services.orders.box_office_api import SellAtBoxOffice
from cludale.services.orders.carts.api import PlaceCart
from cludale.services.orders.events import CancelReason, OrderPaid
from cludale.services.payments.api import ChargeOrder
from cludale.services.tickets.codes import public_bytes
from cludale.services.tickets.domain import ticket_id
from cludale.services.tickets.door_api import OfConcert, ScanCode
from cludale.services.tickets.transfer_api import Transfer
from cludale_proof.simulator.client import RequestOutcome, SimulatedClient
from cludale_proof.simulator.entered import Entered
from cludale_proof.simulator.faults import Chaos, Fault
from cludale_proof.simulator.loop import OUTSIDE_CONTEXT
from cludale_proof.simulator.offline_doors import Network, OfflineDoors
from cludale_proof.simulator.processes import TICKET_KEYS

if TYPE_CHECKING:
    from cludale_proof.simulator.deeds import Deed

_PERHAPS_LATER = (
    b"seats-unavailable",
    b"seats-not-free",
    b"code-used-up",
    b"not-on-sale",
    b"buyer-limit-reached",
    b"too-many-holds",
    b"holds-lapsed",
)


class Plan(NamedTuple):
    """What one buyer is going to do."""

    at: float
    wanted: PlaceOrder
    key: str | None
    retries: int
    """How often they ask again where there was no answer."""
    visits: int
    """How often they come, with the same key, where no seats are left or none are on sale yet."""
    cancel_on: str | None
    """Cancel in the very moment in which this event of the order becomes true."""
    cancel_after: float | None
    """Cancel so long after the order was taken."""
    looks: bool
    sold: SellAtBoxOffice | None = None
    """What a seller sells to them in place of `wanted`; None: they order by themselves."""
    cart: PlaceCart | None = None
    """What they order at once in place of `wanted`; None: one order."""


class People:
    """All who come in a run. They act by themselves, and on what they see happen (`happened`)."""

    def __init__(self, client: SimulatedClient, chaos: Chaos, *, hold_seconds: float) -> None:
        self._client = client
        self._chaos = chaos
        self._hold_seconds = hold_seconds
        self._cancels_on: dict[tuple[str, str], Plan] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._charges = 0
        self._scans = 0
        self.offline_doors = OfflineDoors(
            Network(
                lambda who, concert_id: client.ask(
                    who, "GET", "/tickets/snapshot", query=OfConcert(concert_id=concert_id)
                ),
                lambda who, wanted: client.ask(who, "POST", "/tickets/admissions/merge", wanted),
                {key.id: public_bytes(key.seed) for key in TICKET_KEYS.all()},
                lambda: asyncio.get_running_loop().time(),
            ),
            chaos,
        )
        self.entered = Entered()
        self.busy = 0
        """Who still has something to do."""

    def come(self, plans: list[Plan]) -> None:
        """Let the buyers come, each at their time."""
        for number, plan in enumerate(plans, 1):
            self.begin(self._buy(f"buyer {number}", plan))

    def organize(self, deeds: "Sequence[Deed]") -> None:
        """Let the organizer do these, each at its time."""
        for deed in deeds:
            self.begin(self._do(deed))

    async def _do(self, deed: "Deed") -> None:
        await asyncio.sleep(deed.at)
        await self._client.insist(
            lambda: self._try(deed), attempts=6, until=lambda told: told.is_final and told.status != 412
        )

    async def _try(self, deed: "Deed") -> RequestOutcome:  # noqa: PLR0911 - one for each kind
        seats, storm = [deed.section], "A storm"
        match deed.kind:
            case "code":
                wanted = ChangeCode(code=deed.section, max_uses=deed.number)
                return await self._organize("PATCH", "/codes", deed, wanted)
            case "cancel":
                return await self._organize("POST", "/cancel", deed, CancelConcert(reason="The singer is ill"))
            case "postpone" if deed.number:
                return await self._organize("POST", "/postpone", deed, PostponeConcert(reason=storm, date="2027-07-05"))
            case "postpone":
                until = PostponeConcert(reason=storm, cancel_until="2027-01-07T00:00:00Z")
                return await self._organize("POST", "/postpone", deed, until)
            case "block":
                block = BlockSeatsRequest(seats=seats, reason="Mixing desk")
                return await self._organize("POST", "/seats/block", deed, block)
            case "unblock":
                return await self._organize("POST", "/seats/unblock", deed, UnblockSeatsRequest(seats=seats))
        seen = await self._organize("GET", "", deed)
        if seen.answer is None or seen.status != 200:
            return seen
        tag = dict(seen.answer.headers)["etag"]
        return await self._organize("PATCH", "", deed, _change(deed, seen.json["sections"]), if_match=tag)

    async def _organize(
        self, method: str, path: str, deed: "Deed", wanted: msgspec.Struct | None = None, *, if_match: str | None = None
    ) -> RequestOutcome:
        """Ask for something about the deed's concert; `path` is what follows that."""
        return await self._client.ask(
            "organizer", method, "/concerts/{concert_id}" + path, wanted, of=deed.concert_id, if_match=if_match
        )

    def begin(self, doing: Awaitable[None]) -> None:
        """Somebody begins to do something."""
        self.busy += 1
        loop = asyncio.get_running_loop()

        async def until_done() -> None:
            try:
                await doing
            finally:
                self.busy -= 1

        self._tasks.append(loop.create_task(until_done()))

    async def _buy(self, who: str, plan: Plan) -> None:
        chaos = self._chaos
        await asyncio.sleep(plan.at)
        for _ in range(plan.visits):
            told = await self._order(who, plan)
            if not chaos.active or not any(reason in told.body for reason in _PERHAPS_LATER):
                break
            await asyncio.sleep(chaos.between(0.2, self._hold_seconds))

    async def _order(self, who: str, plan: Plan) -> RequestOutcome:
        chaos = self._chaos
        told = RequestOutcome(None)
        if plan.key is not None and chaos.strikes(Fault.KEY_RACED, who):
            self.begin(self._ask_once(who, plan))
        if plan.key is not None and chaos.strikes(Fault.KEY_REUSED, who):
            self.begin(self._reuse(who, plan))
        order_id: str | None = None
        for attempt in range(plan.retries + 1):
            told = await self._placed(who, plan)
            order_id = _id_of(told) or order_id
            if told.is_final and not (plan.key and chaos.strikes(Fault.KEY_REPEATED, who)):
                break
            if plan.key is None and told.status != 503:
                break  # without a key, asking again could mean ordering twice
            await asyncio.sleep(chaos.some(0.5 * 2**attempt))
        if order_id is None:
            return told
        if plan.cancel_on is not None:
            self._cancels_on[order_id if plan.cart is None else line_id(order_id, 1), plan.cancel_on] = plan
        if plan.cart is not None:
            await self._follow(who, order_id, plan)
            return told
        if plan.looks:
            await self._client.show(who, order_id, wait_seconds=chaos.choices.choice((0.0, 2.0, 5.0)))
        if plan.cancel_after is not None:
            await asyncio.sleep(plan.cancel_after)
            await self._cancel(who, order_id, CancelReason.BUYER)
            if chaos.strikes(Fault.CANCELLED_TWICE, who, order_id):
                await self._cancel(who, order_id, CancelReason.BUYER)
        return told

    async def _follow(self, who: str, cart_id: str, plan: Plan) -> None:
        """Look at a cart and change one's mind, as with an order."""
        if plan.looks:
            query = ShowOrder(wait=self._chaos.choices.choice((0.0, 2.0, 5.0)))
            await self._client.ask(who, "GET", "/orders/carts/{cart_id}", of=cart_id, query=query)
        if plan.cancel_after is not None:
            await asyncio.sleep(plan.cancel_after)
            await self._cancel_cart(who, cart_id)

    async def _cancel_cart(self, who: str, cart_id: str) -> None:
        self.entered.asks(cart_id)
        await self._client.insist(
            lambda: self._client.ask(who, "POST", "/orders/carts/{cart_id}/cancel", of=cart_id), attempts=4
        )

    async def _ask_once(self, who: str, plan: Plan) -> None:
        await self._placed(who, plan)

    async def _placed(self, who: str, plan: Plan) -> RequestOutcome:
        if plan.cart is not None:
            return await self._client.ask(who, "POST", "/orders/carts", plan.cart, plan.key)
        if plan.sold is not None:
            return await self._client.ask(who, "POST", "/orders/box-office", plan.sold, plan.key)
        return await self._client.ask(who, "POST", "/orders", plan.wanted, plan.key)

    async def _reuse(self, who: str, plan: Plan) -> None:
        """The key of a request with another body."""
        quantity = (plan.wanted.quantity or 1) % 4 + 1
        wanted = msgspec.structs.replace(plan.wanted, quantity=quantity)
        sold = None if plan.sold is None else msgspec.structs.replace(plan.sold, quantity=quantity)
        cart = None if plan.cart is None else msgspec.structs.replace(plan.cart, user_id="somebody-else")
        await asyncio.sleep(self._chaos.some(2.0))
        await self._placed(who, plan._replace(wanted=wanted, sold=sold, cart=cart))

    async def _cancel(self, who: str, order_id: str, reason: CancelReason) -> None:
        if reason is CancelReason.BUYER:
            self.entered.asks(order_id)
        told = await self._client.insist(lambda: self._client.cancel(who, order_id, reason), attempts=4)
        cart_id = cart_of(order_id)
        if cart_id is not None and _is_of_cart(told):
            await self._cancel_cart(who, cart_id)
        if self._chaos.choices.random() < 0.3:
            await self._client.show(who, order_id)

    def happened(self, event: Envelope) -> None:  # noqa: PLR0912 - a line for each deed
        """An event became true in this very moment."""
        chaos, order_id = self._chaos, event.correlationid
        if order_id is None or not chaos.active:
            return
        if self._cancels_on.pop((order_id, event.type), None) or (
            event.type in _WORST and chaos.strikes(Fault.CANCELLED_AT_ONCE, "buyer", order_id)
        ):
            self._soon(lambda: self._cancel("buyer", order_id, CancelReason.BUYER))
        if event.type == "TicketReserved":
            if chaos.strikes(Fault.CANCELLED_AT_EXPIRY, "buyer", order_id):
                after = self._hold_seconds + chaos.between(-0.1, 1.1)
                self._soon(lambda: self._cancel("buyer", order_id, CancelReason.BUYER), after=after)
            if chaos.strikes(Fault.PAID_AT_ONCE, "organizer", order_id):
                self._soon(lambda: self._charge(order_id), after=chaos.some(1.0))
        if event.type == "TicketIssued":
            if chaos.strikes(Fault.TWO_DOORS, "guest", order_id):
                self._soon(lambda: self._enter_twice(order_id, 1))
            if chaos.strikes(Fault.OFFLINE_DOORS, "guest", order_id):
                self._soon(lambda: self._enter_offline(order_id, event.data.allocation))
            if chaos.strikes(Fault.TRANSFERRED, "guest", order_id):
                self._soon(lambda: self._enter_transferred(order_id, event.data.allocation.quantity))
        if event.type == "TicketAdmitted" and chaos.strikes(Fault.GIVEN_BACK_INSIDE, "buyer", order_id):
            self._soon(lambda: self._cancel("buyer", order_id, CancelReason.BUYER), after=chaos.some(1.0))
        if event.type == "PaymentFailed" and chaos.strikes(Fault.PAID_AGAIN, "organizer", order_id):
            self._soon(lambda: self._charge(order_id), after=chaos.some(2.0))
        if event.type == "PaymentFailed" and chaos.strikes(Fault.PAID_IN_ANOTHER_WAY, "buyer", order_id):
            self._soon(lambda: self._pay_again(order_id), after=chaos.some(2.0))
        if event.type == "PaymentFailed" and chaos.strikes(Fault.PAID_AT_EXPIRY, "buyer", order_id):
            left = (event.data.retry_until or event.time) - event.time
            self._soon(lambda: self._pay_again(order_id), after=left.total_seconds() + chaos.between(-0.3, 0.1))
        if event.type in _WORST and chaos.strikes(Fault.CANCELLED_BY_ORGANIZER, "organizer", order_id):
            self._soon(lambda: self._cancel("organizer", order_id, CancelReason.ORGANIZER), after=chaos.some(3.0))
        if event.type == "OrderPaid" and chaos.does_after_sale():
            self._after_the_sale(order_id, event.data)

    def _after_the_sale(self, order_id: str, paid: OrderPaid) -> None:
        """A few things, some of them at the same moment, and now and then a cancellation among them."""
        choose, total, quantity = self._chaos.after_sale, paid.total, paid.allocation.quantity
        self._chaos.count(Fault.AFTER_THE_SALE, "organizer", order_id)
        moment = choose.uniform(0.0, 2.0)
        for _ in range(choose.choice((1, 2, 3))):
            after = moment if choose.random() < 0.5 else choose.uniform(0.0, 6.0)
            done = choose.random()
            if done < 0.45:
                tickets = RefundPart(quantity=choose.randint(1, max(1, quantity - 1)))
                if paid.bill:
                    line = choose.choice(paid.bill.lines)
                    of = TicketCount(category=line.category, quantity=choose.randint(1, line.quantity))
                    tickets = RefundPart(tickets=[of])
                self._soon(partial(self._refund_part, order_id, tickets), after=after)
            elif done < 0.8:
                amount = Money(choose.randint(1, max(1, total.amount)), total.currency)
                money = RefundPart(amount=amount, reason="a pillar in the way")
                self._soon(partial(self._refund_part, order_id, money), after=after)
            elif done < 0.87:
                self._soon(partial(self._cancel, "organizer", order_id, CancelReason.ORGANIZER), after=after)
            elif done < 0.94:
                wanted = AmendOrder(email=choose.choice((None, "new@example.org")), comment="comes late")
                self._soon(partial(self._amend, order_id, wanted), after=after)
            else:
                self._soon(partial(self._resend, order_id), after=after)

    async def _refund_part(self, order_id: str, wanted: RefundPart) -> None:
        self._charges += 1
        key = f"refund-{self._charges}"
        for attempt in range(4):
            told = await self._client.ask("organizer", "POST", "/orders/{order_id}/refunds", wanted, key, of=order_id)
            if told.is_final:
                return
            await asyncio.sleep(0.5 * 2**attempt)

    async def _amend(self, order_id: str, wanted: AmendOrder) -> None:
        await self._client.ask("organizer", "PATCH", "/orders/{order_id}", wanted, of=order_id)

    async def _resend(self, order_id: str) -> None:
        await self._client.ask("organizer", "POST", "/orders/{order_id}/resend", of=order_id)

    def later(self, wait: float, doing: Callable[[], Coroutine[None, None, None]]) -> None:
        """Somebody does something outside, after so many seconds."""
        self._soon(doing, after=wait)

    def _soon(self, doing: Callable[[], Coroutine[None, None, None]], *, after: float | None = None) -> None:
        """Do something outside, in a moment."""
        wait = self._chaos.some(0.03) if after is None else after
        self.busy += 1  # who means to do something is not done

        def begin() -> None:
            self.busy -= 1
            self.begin(doing())

        asyncio.get_running_loop().call_later(wait, begin, context=OUTSIDE_CONTEXT)

    async def _pay_again(self, order_id: str) -> None:
        chaos = self._chaos
        self._charges += 1
        key = f"pay-{self._charges}" if chaos.choices.random() < 0.7 else None
        wanted = PayAgain(payment_method="card-ok" if chaos.choices.random() < 0.7 else "card-declined")
        for attempt in range(4):
            told = await self._client.ask("buyer", "POST", "/orders/{order_id}/payment", wanted, key, of=order_id)
            if (cart_id := cart_of(order_id)) is not None and _is_of_cart(told):
                path = "/orders/carts/{cart_id}/payment"
                told = await self._client.ask("buyer", "POST", path, wanted, key, of=cart_id)
            if told.status == 202 or (told.is_final and b"charge-open" not in told.body):
                return
            if key is not None and told.is_final:
                key = f"{key}-{attempt}"
            await asyncio.sleep(chaos.some(0.5 * 2**attempt))

    async def _enter_twice(self, order_id: str, number: int) -> None:
        """The same code at two doors."""
        code = await self._client.code(order_id, number)
        if code is not None:
            self.begin(self.enter("guest", code, "north"))
            self.begin(self.enter("guest's friend", code, "south"))

    async def _enter_offline(self, order_id: str, seats: Allocation) -> None:
        """Some of an order's codes at two doors without network."""
        among = range(1, min(seats.quantity, 3) + 1)
        codes = [await self._client.code(order_id, number) for number in among]
        await self.offline_doors.shown(seats.concert_id, [code for code in codes if code is not None])

    async def _enter_transferred(self, order_id: str, number: int) -> None:
        """The code of before and the new one."""
        before = await self._client.code(order_id, number)
        told = await self._client.ask(
            "guest",
            "POST",
            "/tickets/{ticket_id}/transfer",
            Transfer(holder="Somebody else"),
            of=ticket_id(order_id, number),
        )
        after = await self._client.code(order_id, number)
        if told.status == 200 and before is not None and after is not None:
            self.begin(self.enter("guest", before, "north"))
            self.begin(self.enter("guest's friend", after, "south"))

    async def enter(self, who: str, code: str, at: str) -> None:
        """Somebody shows a code at a door."""
        chaos = self._chaos
        self._scans += 1
        wanted = ScanCode(code=code, door=at, scan_id=f"scan-{self._scans}")
        await self._client.insist(
            lambda: self._client.ask(who, "POST", "/tickets/admissions", wanted),
            attempts=4,
            until=lambda told: told.is_final and not chaos.strikes(Fault.SCANNED_AGAIN, who, wanted.scan_id or ""),
        )

    async def _charge(self, order_id: str) -> None:
        self._charges += 1
        key = f"charge-{self._charges}" if self._chaos.choices.random() < 0.7 else None
        method = "card-ok" if self._chaos.choices.random() < 0.8 else None
        wanted = ChargeOrder(order_id=order_id, method=method)
        await self._client.insist(
            lambda: self._client.ask("organizer", "POST", "/payments", wanted, key), attempts=3, wait_seconds=0.5
        )

    async def hold_without_order(self, concert_id: str, wanted: Reserve, key: str | None) -> None:
        """Hold seats for nobody in particular; with a key, ask twice."""
        who = "organizer"
        for attempt in range(3):
            told = await self._client.ask(who, "POST", "/concerts/{concert_id}/reserve", wanted, key, of=concert_id)
            if told.is_final and attempt:
                return
            if key is None and told.status != 503:
                return
            await asyncio.sleep(self._chaos.some(1.0))


_WORST = frozenset(
    {"OrderPlaced", "TicketReserved", "PaymentCompleted", "SeatsSold", "OrderPaid", "SaleRefused", "PaymentFailed"}
)
"""After any of these a cancellation meets something that is under way."""


def _change(deed: "Deed", sections: Sequence[Mapping[str, Any]]) -> ChangeConcert:
    """What a deed makes of a concert with these sections."""
    if deed.kind == "details":
        return ChangeConcert(title="Another name", status=ConcertStatus.LISTED)
    if deed.kind == "plan":
        return ChangeConcert(seat_plan=deed.section)
    if deed.kind == "seats":
        (section,) = [each for each in sections if each["id"] == deed.section]
        seats = max(0, section["totalSeats"] + deed.number)
        return ChangeConcert(sections=[ChangeConcertSection(id=deed.section, total_seats=seats)])
    return ChangeConcert(sections=[ChangeConcertSection(id=deed.section, price=Money(deed.number, "EUR"))])


def _is_of_cart(told: RequestOutcome) -> bool:
    return told.status == 409 and b"part-of-cart" in told.body


def _id_of(told: RequestOutcome) -> str | None:
    return told.json["id"] if told.status in (201, 202) else None
