"""Buyers and the organizer: what they want, when they lose patience, and what they saw of the answers.

They come in by the API's own methods, in whichever process of the service is there; what they were answered is
noted as observations, for the checker to hold against the stores.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cludale.kernel.allocation import Allocation
from cludale.kernel.bills import TicketCount
from cludale.kernel.carts import cart_of, line_id
from cludale.kernel.events import Cause, Envelope
from cludale.kernel.money import Money
from cludale.kernel.principals import FIRST
from cludale.kernel.refusals import Refusal
from cludale.ports.records import StoreUnavailable
from cludale.services.catalogue import SERVICES
from cludale.services.concerts.api import Reserve, ScheduleConcert
from cludale.services.concerts.block_api import ChangeBlockOf, HoldSeatsBack, ReleaseBlock
from cludale.services.concerts.change_api import CancelConcert, ChangeConcert, ChangeConcertSection, PostponeConcert
from cludale.services.concerts.code_api import ChangeCode, CreateCode
from cludale.services.concerts.events import ConcertStatus
from cludale.services.concerts.seat_move_api import MoveSeatsRequest, SwapSeatsRequest
from cludale.services.concerts.seat_plan_api import BlockSeatsRequest, UnblockSeatsRequest
from cludale.services.orders.aftersale_api import AmendOrder, RefundPart
from cludale.services.orders.api import PayAgain, PlaceOrder, ShowOrder
from cludale.services.orders.box_office_api import SellAtBoxOffice
from cludale.services.orders.cart_api import PlaceCart
from cludale.services.orders.domain import Order
from cludale.services.orders.events import CancelReason, OrderPaid
from cludale.services.orders.invoices.settings_api import SayInvoicing
from cludale.services.payments.api import ChargeOrder
from cludale.services.tickets.codes import public_bytes
from cludale.services.tickets.domain import ticket_id
from cludale.services.tickets.door_api import MergeScans, OfConcert, ScanCode
from cludale.services.tickets.transfer_api import Transfer
from cludale.web.problems import Problems
from cludale.web.responses import Response
from cludale.web.routing import Request
from cludale_proof.checker.observations import Credential, Observation
from cludale_proof.simulator.faults import Chaos, Fault
from cludale_proof.simulator.loop import OUTSIDE_CONTEXT, inside
from cludale_proof.simulator.network import NobodyThere
from cludale_proof.simulator.offline_doors import Network, OfflineDoors, Outcome
from cludale_proof.simulator.processes import TICKET_KEYS, Process

if TYPE_CHECKING:
    from cludale_proof.simulator.plan import Deed

PATIENCE_SECONDS = 10.0
"""How long anybody waits for an answer."""

PROBLEMS = Problems(*(each.statuses for each in SERVICES))

_encode = msgspec.json.encode
_KEY_IN_FLIGHT = b"idempotency-key-in-flight"
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


class RequestOutcome(NamedTuple):
    """What came back of a request; `answer` None: nothing did."""

    answer: Response | None

    @property
    def status(self) -> int:
        """The HTTP status; 0 for no answer."""
        return self.answer.status if self.answer is not None else 0

    @property
    def is_final(self) -> bool:
        """Will asking again, with the same key, give nothing else?"""
        return 200 <= self.status < 500 and not (
            self.status == 409 and self.answer is not None and _KEY_IN_FLIGHT in self.answer.body
        )


def _request(process: Process, key: str | None, segment: str = "") -> Request:
    headers = {b"authorization": f"Bearer {process.access.organizer_key}".encode()}
    given = headers if key is None else {**headers, b"idempotency-key": key.encode("latin-1")}
    return Request(segment, given, principal=FIRST)


class SimulatedClient:
    """The way in from outside. `find` finds a process of a service; `noted` is told what was seen."""

    def __init__(
        self,
        chaos: Chaos,
        find: Callable[[str], Process],
        noted: Callable[[Observation], None],
        surprised: Callable[[str, BaseException], None],
    ) -> None:
        self.chaos = chaos
        self._find = find
        self._noted = noted
        self._surprised = surprised

    def of(self, process: Process) -> "SimulatedClient":
        """The same door, and no process behind it but this one."""
        return SimulatedClient(self.chaos, lambda _: process, self._noted, self._surprised)

    async def place(self, who: str, wanted: PlaceOrder, key: str | None) -> RequestOutcome:
        """POST /orders."""
        return await self._ask(
            who,
            "orders",
            "POST",
            "/orders",
            _encode(wanted),
            key,
            lambda p: p.orders_api.place_order(_request(p, key), wanted),
        )

    async def sell(self, who: str, wanted: SellAtBoxOffice, key: str | None) -> RequestOutcome:
        """POST /orders/box-office."""
        return await self._ask(
            who,
            "orders",
            "POST",
            "/orders/box-office",
            _encode(wanted),
            key,
            lambda p: p.box_office_api.sell_at_box_office(_request(p, key), wanted),
        )

    async def fill(self, who: str, wanted: PlaceCart, key: str | None) -> RequestOutcome:
        """POST /orders/carts."""
        return await self._ask(
            who,
            "orders",
            "POST",
            "/orders/carts",
            _encode(wanted),
            key,
            lambda p: p.carts_api.place_cart(_request(p, key), wanted),
        )

    async def show_cart(self, who: str, cart_id: str, *, wait_seconds: float = 0.0) -> RequestOutcome:
        """GET /orders/carts/{id}?wait=…"""
        path, query = f"/orders/carts/{cart_id}", ShowOrder(wait=wait_seconds)
        return await self._ask(
            who, "orders", "GET", path, b"", None, lambda p: p.carts_api.show_cart(_request(p, None, cart_id), query)
        )

    async def cancel_cart(self, who: str, cart_id: str) -> RequestOutcome:
        """POST /orders/carts/{id}/cancel."""
        path = f"/orders/carts/{cart_id}/cancel"
        return await self._ask(
            who, "orders", "POST", path, b"", None, lambda p: p.carts_api.cancel_cart(_request(p, None, cart_id))
        )

    async def pay_cart_again(self, who: str, cart_id: str, wanted: PayAgain, key: str | None) -> RequestOutcome:
        """POST /orders/carts/{id}/payment."""
        return await self._ask(
            who,
            "orders",
            "POST",
            f"/orders/carts/{cart_id}/payment",
            _encode(wanted),
            key,
            lambda p: p.carts_api.pay_cart_again(_request(p, key, cart_id), wanted),
        )

    async def show(self, who: str, order_id: str, *, wait_seconds: float = 0.0) -> RequestOutcome:
        """GET /orders/{id}?wait=…"""

        async def act(process: Process) -> Response:
            if not wait_seconds:
                return _order_answer(await process.orders.order(order_id))
            return _order_answer(await process.orders.settled(order_id, wait_seconds=wait_seconds))

        return await self._ask(who, "orders", "GET", f"/orders/{order_id}", b"", None, act)

    async def cancel(self, who: str, order_id: str, reason: CancelReason) -> RequestOutcome:
        """POST /orders/{id}/cancel."""

        async def act(process: Process) -> Response:
            seller = "another-key" if reason is CancelReason.ORGANIZER else None
            return _order_answer(await process.orders.cancel(order_id, reason, Cause(), seller=seller))

        return await self._ask(who, "orders", "POST", f"/orders/{order_id}/cancel", b"", None, act)

    async def pay_again(self, who: str, order_id: str, wanted: PayAgain, key: str | None) -> RequestOutcome:
        """POST /orders/{id}/payment."""
        return await self._ask(
            who,
            "orders",
            "POST",
            f"/orders/{order_id}/payment",
            _encode(wanted),
            key,
            lambda p: p.orders_api.pay_order_again(_request(p, key, order_id), wanted),
        )

    async def refund_part(self, who: str, order_id: str, wanted: RefundPart, key: str | None) -> RequestOutcome:
        """POST /orders/{id}/refunds."""
        return await self._ask(
            who,
            "orders",
            "POST",
            f"/orders/{order_id}/refunds",
            _encode(wanted),
            key,
            lambda p: p.aftersale_api.refund_part(_request(p, key, order_id), wanted),
        )

    async def amend(self, who: str, order_id: str, wanted: AmendOrder) -> RequestOutcome:
        """PATCH /orders/{id}."""
        return await self._ask(
            who,
            "orders",
            "PATCH",
            f"/orders/{order_id}",
            _encode(wanted),
            None,
            lambda p: p.aftersale_api.amend_order(_request(p, None, order_id), wanted),
        )

    async def resend(self, who: str, order_id: str) -> RequestOutcome:
        """POST /orders/{id}/resend."""
        return await self._ask(
            who,
            "orders",
            "POST",
            f"/orders/{order_id}/resend",
            b"",
            None,
            lambda p: p.aftersale_api.resend_confirmation(_request(p, None, order_id)),
        )

    async def charge(self, who: str, wanted: ChargeOrder, key: str | None) -> RequestOutcome:
        """POST /payments."""
        return await self._ask(
            who,
            "payments",
            "POST",
            "/payments",
            _encode(wanted),
            key,
            lambda p: p.payments_api.charge_order(_request(p, key), wanted),
        )

    async def code(self, who: str, order_id: str, number: int) -> str | None:
        """GET /tickets/{id}: the ticket's code; None for no answer."""
        id = ticket_id(order_id, number)
        told = await self._ask(
            who,
            "tickets",
            "GET",
            f"/tickets/{id}",
            b"",
            None,
            lambda p: p.tickets_api.show_ticket(_request(p, None, id)),
        )
        if told.answer is None or told.status != 200:
            return None
        code: str | None = msgspec.json.decode(told.answer.body)["code"]
        return code

    async def transfer(self, who: str, order_id: str, number: int) -> RequestOutcome:
        """POST /tickets/{id}/transfer."""
        id, wanted = ticket_id(order_id, number), Transfer(holder="Somebody else")
        return await self._ask(
            who,
            "tickets",
            "POST",
            f"/tickets/{id}/transfer",
            _encode(wanted),
            None,
            lambda p: p.transfer_api.transfer_ticket(_request(p, None, id), wanted),
        )

    async def scan(self, who: str, wanted: ScanCode) -> RequestOutcome:
        """POST /tickets/admissions."""
        return await self._ask(
            who,
            "tickets",
            "POST",
            "/tickets/admissions",
            _encode(wanted),
            None,
            lambda p: p.door_api.admit(_request(p, None), wanted),
        )

    async def snapshot(self, who: str, concert_id: str) -> RequestOutcome:
        """GET /tickets/snapshot."""
        return await self._ask(
            who,
            "tickets",
            "GET",
            f"/tickets/snapshot?concertId={concert_id}",
            b"",
            None,
            lambda p: p.door_api.show_snapshot(_request(p, None), OfConcert(concert_id=concert_id)),
        )

    async def merge(self, who: str, wanted: MergeScans) -> RequestOutcome:
        """POST /tickets/admissions/merge."""
        return await self._ask(
            who,
            "tickets",
            "POST",
            "/tickets/admissions/merge",
            _encode(wanted),
            None,
            lambda p: p.door_api.merge_admissions(_request(p, None), wanted),
        )

    async def conflicts(self, who: str, concert_id: str) -> RequestOutcome:
        """GET /tickets/admissions/conflicts."""
        return await self._ask(
            who,
            "tickets",
            "GET",
            f"/tickets/admissions/conflicts?concertId={concert_id}",
            b"",
            None,
            lambda p: p.door_api.list_conflicts(_request(p, None), OfConcert(concert_id=concert_id)),
        )

    async def reserve(self, who: str, concert_id: str, wanted: Reserve, key: str | None) -> RequestOutcome:
        """POST /concerts/{id}/reserve."""
        return await self._ask(
            who,
            "concerts",
            "POST",
            f"/concerts/{concert_id}/reserve",
            _encode(wanted),
            key,
            lambda p: p.concerts_api.reserve_seats(_request(p, key, concert_id), wanted),
        )

    async def make_code(self, concert_id: str, wanted: CreateCode) -> RequestOutcome:
        """POST /concerts/{id}/codes."""
        return await self._ask(
            "organizer",
            "concerts",
            "POST",
            f"/concerts/{concert_id}/codes",
            _encode(wanted),
            None,
            lambda p: p.codes_api.create_code(_request(p, None, concert_id), wanted),
        )

    async def change_code(self, concert_id: str, wanted: ChangeCode) -> RequestOutcome:
        """PATCH /concerts/{id}/codes."""
        return await self._ask(
            "organizer",
            "concerts",
            "PATCH",
            f"/concerts/{concert_id}/codes",
            _encode(wanted),
            None,
            lambda p: p.codes_api.change_code(_request(p, None, concert_id), wanted),
        )

    async def hold_back(self, concert_id: str, wanted: HoldSeatsBack, key: str) -> RequestOutcome:
        """POST /concerts/{id}/blocks."""
        return await self._ask(
            "organizer",
            "concerts",
            "POST",
            f"/concerts/{concert_id}/blocks",
            _encode(wanted),
            key,
            lambda p: p.blocks_api.hold_seats_back(_request(p, key, concert_id), wanted),
        )

    async def change_block(self, concert_id: str, wanted: ChangeBlockOf) -> RequestOutcome:
        """PATCH /concerts/{id}/blocks."""
        return await self._ask(
            "organizer",
            "concerts",
            "PATCH",
            f"/concerts/{concert_id}/blocks",
            _encode(wanted),
            None,
            lambda p: p.blocks_api.change_block(_request(p, None, concert_id), wanted),
        )

    async def release_block(self, concert_id: str, wanted: ReleaseBlock) -> RequestOutcome:
        """POST /concerts/{id}/blocks/release."""
        return await self._ask(
            "organizer",
            "concerts",
            "POST",
            f"/concerts/{concert_id}/blocks/release",
            _encode(wanted),
            None,
            lambda p: p.blocks_api.release_block(_request(p, None, concert_id), wanted),
        )

    async def say_invoicing(self, wanted: SayInvoicing) -> RequestOutcome:
        """PUT /orders/invoices/settings."""
        return await self._ask(
            "organizer",
            "orders",
            "PUT",
            "/orders/invoices/settings",
            _encode(wanted),
            None,
            lambda p: p.invoicing_api.say_invoicing(_request(p, None), wanted),
        )

    async def schedule(self, who: str, wanted: ScheduleConcert) -> RequestOutcome:
        """POST /concerts."""
        return await self._ask(
            who,
            "concerts",
            "POST",
            "/concerts",
            _encode(wanted),
            None,
            lambda p: p.concerts_api.schedule_concert(_request(p, None), wanted),
        )

    async def concert(self, concert_id: str) -> RequestOutcome:
        """GET /concerts/{id}."""
        return await self._ask(
            "organizer",
            "concerts",
            "GET",
            f"/concerts/{concert_id}",
            b"",
            None,
            lambda p: p.concerts_api.show_concert(_request(p, None, concert_id)),
        )

    async def change(self, concert_id: str, wanted: ChangeConcert, tag: str) -> RequestOutcome:
        """PATCH /concerts/{id}."""

        async def act(process: Process) -> Response:
            request = _request(process, None, concert_id)
            request = request._replace(headers={**request.headers, b"if-match": tag.encode()})
            return await process.changes_api.change_concert(request, wanted)

        return await self._ask("organizer", "concerts", "PATCH", f"/concerts/{concert_id}", _encode(wanted), None, act)

    async def block(self, concert_id: str, seats: list[str], *, is_blocked: bool) -> RequestOutcome:
        """POST /concerts/{id}/seats/block, or unblock."""
        block = BlockSeatsRequest(seats=seats, reason="Mixing desk")
        unblock = UnblockSeatsRequest(seats=seats)

        async def act(process: Process) -> Response:
            request = _request(process, None, concert_id)
            if is_blocked:
                return await process.seats_api.block_seats(request, block)
            return await process.seats_api.unblock_seats(request, unblock)

        path = f"/concerts/{concert_id}/seats/{'block' if is_blocked else 'unblock'}"
        body = _encode(block) if is_blocked else _encode(unblock)
        return await self._ask("organizer", "concerts", "POST", path, body, None, act)

    async def move_seats(self, concert_id: str, wanted: MoveSeatsRequest, key: str) -> RequestOutcome:
        """POST /concerts/{id}/seats/move."""
        return await self._ask(
            "organizer",
            "concerts",
            "POST",
            f"/concerts/{concert_id}/seats/move",
            _encode(wanted),
            key,
            lambda p: p.seat_moves_api.move_seats(_request(p, key, concert_id), wanted),
        )

    async def swap_seats(self, concert_id: str, wanted: SwapSeatsRequest, key: str) -> RequestOutcome:
        """POST /concerts/{id}/seats/swap."""
        return await self._ask(
            "organizer",
            "concerts",
            "POST",
            f"/concerts/{concert_id}/seats/swap",
            _encode(wanted),
            key,
            lambda p: p.seat_moves_api.swap_seats(_request(p, key, concert_id), wanted),
        )

    async def postpone(self, concert_id: str, wanted: PostponeConcert) -> RequestOutcome:
        """POST /concerts/{id}/postpone."""
        return await self._ask(
            "organizer",
            "concerts",
            "POST",
            f"/concerts/{concert_id}/postpone",
            _encode(wanted),
            None,
            lambda p: p.changes_api.postpone_concert(_request(p, None, concert_id), wanted),
        )

    async def call_off(self, concert_id: str, wanted: CancelConcert) -> RequestOutcome:
        """POST /concerts/{id}/cancel."""
        return await self._ask(
            "organizer",
            "concerts",
            "POST",
            f"/concerts/{concert_id}/cancel",
            _encode(wanted),
            None,
            lambda p: p.changes_api.cancel_concert(_request(p, None, concert_id), wanted),
        )

    async def _ask(
        self,
        who: str,
        service: str,
        method: str,
        path: str,
        request: bytes,
        key: str | None,
        act: Callable[[Process], Awaitable[Response]],
    ) -> RequestOutcome:
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        trace = self.chaos.trace
        if trace.on:
            trace.say(who, f"{method} {path} {request.decode()}{f' key {key}' if key else ''}")
        told = RequestOutcome(await self._answer(who, service, f"{method} {path}", act))
        if trace.on:
            trace.say(who, f"    {told.status} {told.answer.body.decode() if told.answer else 'no answer'}")
        self._noted(
            Observation(
                method=method,
                path=path,
                status=told.status,
                body=told.answer.body.decode() if told.answer else "",
                request=request.decode(),
                key=key,
                credential=Credential.BUYER if service == "orders" else Credential.ORGANIZER,
                sent_at=sent_at,
                received_at=loop.time(),
            )
        )
        return told

    async def _answer(
        self, who: str, service: str, what: str, act: Callable[[Process], Awaitable[Response]]
    ) -> Response | None:
        chaos = self.chaos
        loop = asyncio.get_running_loop()
        await chaos.lag()
        try:
            process = self._find(service)
        except NobodyThere:
            return None
        if chaos.strikes(Fault.REQUEST_LOST, who):
            await asyncio.sleep(chaos.between(0.5, 3.0))
            return None
        heard: asyncio.Future[Response | None] = loop.create_future()

        async def serve() -> None:
            answer = await self._served(process, what, act)
            if chaos.strikes(Fault.REPLY_LOST, who):
                await asyncio.sleep(1.0)
                hear(None)
            else:
                await chaos.lag()
                hear(answer)

        def hear(answer: Response | None) -> None:
            if not heard.done():
                heard.set_result(answer)

        serving = inside(process, loop.create_task, serve())
        waiting = PATIENCE_SECONDS
        if chaos.strikes(Fault.HUNG_UP, who, what):
            waiting = chaos.some(0.05)
        try:
            async with asyncio.timeout(waiting):
                return await heard
        except TimeoutError:
            if process.alive and not serving.done():
                serving.cancel()  # what a server does with the work of a client that hung up
            return None

    async def _served(self, process: Process, what: str, act: Callable[[Process], Awaitable[Response]]) -> Response:
        try:
            return await act(process)
        except (Refusal, StoreUnavailable) as refusal:
            return PROBLEMS.answer(refusal)
        except Exception as error:
            self._surprised(f"{process.name} answering {what}", error)
            raise


def _order_answer(order: Order) -> Response:
    said = {
        "id": order.id,
        "concertId": order.seats.concert_id,
        "userId": order.user_id,
        "quantity": order.seats.quantity,
        "status": order.status,
        "reason": order.reason,
    }
    return Response(200, _encode(said))


class People:
    """All who come in a run. They act by themselves, and on what they see happen (`happened`)."""

    def __init__(self, door: SimulatedClient, chaos: Chaos, *, hold_seconds: float) -> None:
        self._door = door
        self._chaos = chaos
        self._hold_seconds = hold_seconds
        self._cancels_on: dict[tuple[str, str], Plan] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._charges = 0
        self._scans = 0
        self.offline_doors = OfflineDoors(
            Network(
                lambda who, concert_id: _outcome(door.snapshot(who, concert_id)),
                lambda who, wanted: _outcome(door.merge(who, wanted)),
                {key.id: public_bytes(key.seed) for key in TICKET_KEYS.all()},
                lambda: asyncio.get_running_loop().time(),
            ),
            chaos,
        )
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
        for attempt in range(6):
            if deed.kind == "code":
                wanted = ChangeCode(code=deed.section, max_uses=deed.number)
                told = await self._door.change_code(deed.concert_id, wanted)
            else:
                told = await self._try(deed)
            if told.is_final and told.status != 412:
                return
            await asyncio.sleep(self._chaos.some(0.3 * 2**attempt))

    async def _try(self, deed: "Deed") -> RequestOutcome:  # noqa: PLR0911 - one for each kind
        door, id = self._door, deed.concert_id
        if deed.kind == "cancel":
            return await door.call_off(id, CancelConcert(reason="The singer is ill"))
        if deed.kind == "postpone":
            if deed.number:
                return await door.postpone(id, PostponeConcert(reason="A storm", date="2027-07-05"))
            return await door.postpone(id, PostponeConcert(reason="A storm", cancel_until="2027-01-07T00:00:00Z"))
        if deed.kind in ("block", "unblock"):
            return await door.block(id, [deed.section], is_blocked=deed.kind == "block")
        seen = await door.concert(id)
        if seen.answer is None or seen.status != 200:
            return seen
        tag = dict(seen.answer.headers)["etag"]
        if deed.kind == "details":
            return await door.change(id, ChangeConcert(title="Another name", status=ConcertStatus.LISTED), tag)
        if deed.kind == "plan":
            return await door.change(id, ChangeConcert(seat_plan=deed.section), tag)
        sections = msgspec.json.decode(seen.answer.body)["sections"]
        (section,) = [each for each in sections if each["id"] == deed.section]
        if deed.kind == "seats":
            seats = max(0, section["totalSeats"] + deed.number)
            wanted = ChangeConcertSection(id=deed.section, total_seats=seats)
        else:
            wanted = ChangeConcertSection(id=deed.section, price=Money(deed.number, "EUR"))
        return await door.change(id, ChangeConcert(sections=[wanted]), tag)

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
            said = told.answer.body if told.answer is not None else b""
            if not chaos.active or not any(reason in said for reason in _PERHAPS_LATER):
                break
            await asyncio.sleep(chaos.between(0.2, self._hold_seconds))

    async def _order(self, who: str, plan: Plan) -> RequestOutcome:
        chaos, door = self._chaos, self._door
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
            await door.show(who, order_id, wait_seconds=chaos.choices.choice((0.0, 2.0, 5.0)))
        if plan.cancel_after is not None:
            await asyncio.sleep(plan.cancel_after)
            await self._cancel(who, order_id, CancelReason.BUYER)
            if chaos.strikes(Fault.CANCELLED_TWICE, who, order_id):
                await self._cancel(who, order_id, CancelReason.BUYER)
        return told

    async def _follow(self, who: str, cart_id: str, plan: Plan) -> None:
        """Look at a cart and change one's mind, as with an order."""
        if plan.looks:
            await self._door.show_cart(who, cart_id, wait_seconds=self._chaos.choices.choice((0.0, 2.0, 5.0)))
        if plan.cancel_after is not None:
            await asyncio.sleep(plan.cancel_after)
            await self._cancel_cart(who, cart_id)

    async def _cancel_cart(self, who: str, cart_id: str) -> None:
        for attempt in range(4):
            if (await self._door.cancel_cart(who, cart_id)).is_final:
                break
            await asyncio.sleep(self._chaos.some(0.3 * 2**attempt))

    async def _ask_once(self, who: str, plan: Plan) -> None:
        await self._placed(who, plan)

    async def _placed(self, who: str, plan: Plan) -> RequestOutcome:
        if plan.cart is not None:
            return await self._door.fill(who, plan.cart, plan.key)
        if plan.sold is not None:
            return await self._door.sell(who, plan.sold, plan.key)
        return await self._door.place(who, plan.wanted, plan.key)

    async def _reuse(self, who: str, plan: Plan) -> None:
        """The key of a request with another body."""
        quantity = (plan.wanted.quantity or 1) % 4 + 1
        wanted = msgspec.structs.replace(plan.wanted, quantity=quantity)
        sold = None if plan.sold is None else msgspec.structs.replace(plan.sold, quantity=quantity)
        cart = None if plan.cart is None else msgspec.structs.replace(plan.cart, user_id="somebody-else")
        await asyncio.sleep(self._chaos.some(2.0))
        await self._placed(who, plan._replace(wanted=wanted, sold=sold, cart=cart))

    async def _cancel(self, who: str, order_id: str, reason: CancelReason) -> None:
        told = RequestOutcome(None)
        for attempt in range(4):
            told = await self._door.cancel(who, order_id, reason)
            if told.is_final:
                break
            await asyncio.sleep(self._chaos.some(0.3 * 2**attempt))
        cart_id = cart_of(order_id)
        if cart_id is not None and _is_of_cart(told):
            await self._cancel_cart(who, cart_id)
        if self._chaos.choices.random() < 0.3:
            await self._door.show(who, order_id)

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
            told = await self._door.refund_part("organizer", order_id, wanted, key)
            if told.is_final:
                return
            await asyncio.sleep(0.5 * 2**attempt)

    async def _amend(self, order_id: str, wanted: AmendOrder) -> None:
        await self._door.amend("organizer", order_id, wanted)

    async def _resend(self, order_id: str) -> None:
        await self._door.resend("organizer", order_id)

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
            told = await self._door.pay_again("buyer", order_id, wanted, key)
            if (cart_id := cart_of(order_id)) is not None and _is_of_cart(told):
                told = await self._door.pay_cart_again("buyer", cart_id, wanted, key)
            if told.status == 202 or (
                told.is_final and b"charge-open" not in (told.answer.body if told.answer else b"")
            ):
                return
            if key is not None and told.is_final:
                key = f"{key}-{attempt}"
            await asyncio.sleep(chaos.some(0.5 * 2**attempt))

    async def _enter_twice(self, order_id: str, number: int) -> None:
        """The same code at two doors."""
        code = await self._door.code("guest", order_id, number)
        if code is not None:
            self.begin(self._enter("guest", code, "north"))
            self.begin(self._enter("guest's friend", code, "south"))

    async def _enter_offline(self, order_id: str, seats: Allocation) -> None:
        """Some of an order's codes at two doors without network."""
        among = range(1, min(seats.quantity, 3) + 1)
        codes = [await self._door.code("guest", order_id, number) for number in among]
        await self.offline_doors.shown(seats.concert_id, [code for code in codes if code is not None])

    async def _enter_transferred(self, order_id: str, number: int) -> None:
        """The code of before and the new one."""
        before = await self._door.code("guest", order_id, number)
        told = await self._door.transfer("guest", order_id, number)
        after = await self._door.code("guest", order_id, number)
        if told.status == 200 and before is not None and after is not None:
            self.begin(self._enter("guest", before, "north"))
            self.begin(self._enter("guest's friend", after, "south"))

    async def enter(self, who: str, code: str, at: str) -> None:
        """Somebody shows a code at a door."""
        await self._enter(who, code, at)

    async def _enter(self, who: str, code: str, at: str) -> None:
        chaos = self._chaos
        self._scans += 1
        wanted = ScanCode(code=code, door=at, scan_id=f"scan-{self._scans}")
        for attempt in range(4):
            told = await self._door.scan(who, wanted)
            if told.is_final and not chaos.strikes(Fault.SCANNED_AGAIN, who, wanted.scan_id or ""):
                return
            await asyncio.sleep(chaos.some(0.3 * 2**attempt))

    async def _charge(self, order_id: str) -> None:
        self._charges += 1
        key = f"charge-{self._charges}" if self._chaos.choices.random() < 0.7 else None
        method = "card-ok" if self._chaos.choices.random() < 0.8 else None
        wanted = ChargeOrder(order_id=order_id, method=method)
        for attempt in range(3):
            told = await self._door.charge("organizer", wanted, key)
            if told.is_final:
                return
            await asyncio.sleep(self._chaos.some(0.5 * 2**attempt))

    async def hold_without_order(self, concert_id: str, wanted: Reserve, key: str | None) -> None:
        """Hold seats for nobody in particular; with a key, ask twice."""
        who = "organizer"
        for attempt in range(3):
            told = await self._door.reserve(who, concert_id, wanted, key)
            if told.is_final and attempt:
                return
            if key is None and told.status != 503:
                return
            await asyncio.sleep(self._chaos.some(1.0))


_WORST = frozenset(
    {"OrderPlaced", "TicketReserved", "PaymentCompleted", "SeatsSold", "OrderPaid", "SaleRefused", "PaymentFailed"}
)
"""After any of these a cancellation meets something that is under way."""


async def _outcome(asking: Awaitable[RequestOutcome]) -> Outcome:
    told = await asking
    return Outcome(told.status, None if told.answer is None else told.answer.body)


def _is_of_cart(told: RequestOutcome) -> bool:
    return told.status == 409 and told.answer is not None and b"part-of-cart" in told.answer.body


def _id_of(told: RequestOutcome) -> str | None:
    if told.answer is None or told.status not in (201, 202):
        return None
    found: str = msgspec.json.decode(told.answer.body)["id"]
    return found
