"""The way in from outside: the API's own methods, in whichever process of the service is there.

What was answered is noted as observations, for the checker to hold against the stores.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cludale.kernel.events import Cause
from cludale.kernel.principals import FIRST
from cludale.kernel.refusals import Refusal
from cludale.ports.records import StoreUnavailable
from cludale.services.catalogue import SERVICES
from cludale.services.concerts.api import Reserve
from cludale.services.concerts.blocks.api import ChangeBlockOf, HoldSeatsBack, ReleaseBlock
from cludale.services.concerts.changes.api import CancelConcert, ChangeConcert, PostponeConcert
from cludale.services.concerts.codes.api import ChangeCode, CreateCode
from cludale.services.concerts.scheduling import ScheduleConcert
from cludale.services.concerts.seat_moves.api import MoveSeatsRequest, SwapSeatsRequest
from cludale.services.concerts.seat_plans.api import BlockSeatsRequest, UnblockSeatsRequest
from cludale.services.orders.aftersale.api import AmendOrder, RefundPart
from cludale.services.orders.api import PayAgain, PlaceOrder, ShowOrder
from cludale.services.orders.box_office_api import SellAtBoxOffice
from cludale.services.orders.carts.api import PlaceCart
from cludale.services.orders.events import CancelReason
from cludale.services.orders.invoices.settings_api import SayInvoicing
from cludale.services.orders.order import Order
from cludale.services.payments.api import ChargeOrder
from cludale.services.tickets.domain import ticket_id
from cludale.services.tickets.door_api import MergeScans, OfConcert, ScanCode
from cludale.services.tickets.transfer_api import Transfer
from cludale.web.problems import Problems
from cludale.web.responses import Response
from cludale.web.routing import Request
from cludale_proof.checker.observations import Credential, Observation
from cludale_proof.simulator.faults import Chaos, Fault
from cludale_proof.simulator.loop import inside
from cludale_proof.simulator.network import NobodyThere
from cludale_proof.simulator.processes import Process

if TYPE_CHECKING:
    pass

PATIENCE_SECONDS = 10.0
"""How long anybody waits for an answer."""

PROBLEMS = Problems(*(each.statuses for each in SERVICES))

_encode = msgspec.json.encode
_KEY_IN_FLIGHT = b"idempotency-key-in-flight"


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
        return await self._ask(who, "POST", "/orders", lambda p, r: p.orders_api.place_order(r, wanted), wanted, key)

    async def sell(self, who: str, wanted: SellAtBoxOffice, key: str | None) -> RequestOutcome:
        """POST /orders/box-office."""
        return await self._ask(
            who, "POST", "/orders/box-office", lambda p, r: p.box_office_api.sell_at_box_office(r, wanted), wanted, key
        )

    async def fill(self, who: str, wanted: PlaceCart, key: str | None) -> RequestOutcome:
        """POST /orders/carts."""
        return await self._ask(
            who, "POST", "/orders/carts", lambda p, r: p.carts_api.place_cart(r, wanted), wanted, key
        )

    async def show_cart(self, who: str, cart_id: str, *, wait_seconds: float = 0.0) -> RequestOutcome:
        """GET /orders/carts/{id}?wait=…"""
        path, query = f"/orders/carts/{cart_id}", ShowOrder(wait=wait_seconds)
        return await self._ask(who, "GET", path, lambda p, r: p.carts_api.show_cart(r, query), of=cart_id)

    async def cancel_cart(self, who: str, cart_id: str) -> RequestOutcome:
        """POST /orders/carts/{id}/cancel."""
        path = f"/orders/carts/{cart_id}/cancel"
        return await self._ask(who, "POST", path, lambda p, r: p.carts_api.cancel_cart(r), of=cart_id)

    async def pay_cart_again(self, who: str, cart_id: str, wanted: PayAgain, key: str | None) -> RequestOutcome:
        """POST /orders/carts/{id}/payment."""
        return await self._ask(
            who,
            "POST",
            f"/orders/carts/{cart_id}/payment",
            lambda p, r: p.carts_api.pay_cart_again(r, wanted),
            wanted,
            key,
            of=cart_id,
        )

    async def show(self, who: str, order_id: str, *, wait_seconds: float = 0.0) -> RequestOutcome:
        """GET /orders/{id}?wait=…"""

        async def act(process: Process, _: Request) -> Response:
            if not wait_seconds:
                return _order_answer(await process.orders.order(order_id))
            return _order_answer(await process.orders.news.settled(order_id, wait_seconds=wait_seconds))

        return await self._ask(who, "GET", f"/orders/{order_id}", act)

    async def cancel(self, who: str, order_id: str, reason: CancelReason) -> RequestOutcome:
        """POST /orders/{id}/cancel."""

        async def act(process: Process, _: Request) -> Response:
            seller = "another-key" if reason is CancelReason.ORGANIZER else None
            return _order_answer(await process.orders.cancel(order_id, reason, Cause(), seller=seller))

        return await self._ask(who, "POST", f"/orders/{order_id}/cancel", act)

    async def pay_again(self, who: str, order_id: str, wanted: PayAgain, key: str | None) -> RequestOutcome:
        """POST /orders/{id}/payment."""
        return await self._ask(
            who,
            "POST",
            f"/orders/{order_id}/payment",
            lambda p, r: p.orders_api.pay_order_again(r, wanted),
            wanted,
            key,
            of=order_id,
        )

    async def refund_part(self, who: str, order_id: str, wanted: RefundPart, key: str | None) -> RequestOutcome:
        """POST /orders/{id}/refunds."""
        return await self._ask(
            who,
            "POST",
            f"/orders/{order_id}/refunds",
            lambda p, r: p.aftersale_api.refund_part(r, wanted),
            wanted,
            key,
            of=order_id,
        )

    async def amend(self, who: str, order_id: str, wanted: AmendOrder) -> RequestOutcome:
        """PATCH /orders/{id}."""
        return await self._ask(
            who,
            "PATCH",
            f"/orders/{order_id}",
            lambda p, r: p.aftersale_api.amend_order(r, wanted),
            wanted,
            of=order_id,
        )

    async def resend(self, who: str, order_id: str) -> RequestOutcome:
        """POST /orders/{id}/resend."""
        return await self._ask(
            who, "POST", f"/orders/{order_id}/resend", lambda p, r: p.aftersale_api.resend_confirmation(r), of=order_id
        )

    async def charge(self, who: str, wanted: ChargeOrder, key: str | None) -> RequestOutcome:
        """POST /payments."""
        return await self._ask(
            who, "POST", "/payments", lambda p, r: p.payments_api.charge_order(r, wanted), wanted, key
        )

    async def code(self, who: str, order_id: str, number: int) -> str | None:
        """GET /tickets/{id}: the ticket's code; None for no answer."""
        id = ticket_id(order_id, number)
        told = await self._ask(who, "GET", f"/tickets/{id}", lambda p, r: p.tickets_api.show_ticket(r), of=id)
        if told.answer is None or told.status != 200:
            return None
        code: str | None = msgspec.json.decode(told.answer.body)["code"]
        return code

    async def transfer(self, who: str, order_id: str, number: int) -> RequestOutcome:
        """POST /tickets/{id}/transfer."""
        id, wanted = ticket_id(order_id, number), Transfer(holder="Somebody else")
        return await self._ask(
            who,
            "POST",
            f"/tickets/{id}/transfer",
            lambda p, r: p.transfer_api.transfer_ticket(r, wanted),
            wanted,
            of=id,
        )

    async def scan(self, who: str, wanted: ScanCode) -> RequestOutcome:
        """POST /tickets/admissions."""
        return await self._ask(who, "POST", "/tickets/admissions", lambda p, r: p.door_api.admit(r, wanted), wanted)

    async def snapshot(self, who: str, concert_id: str) -> RequestOutcome:
        """GET /tickets/snapshot."""
        return await self._ask(
            who,
            "GET",
            f"/tickets/snapshot?concertId={concert_id}",
            lambda p, r: p.door_api.show_snapshot(r, OfConcert(concert_id=concert_id)),
        )

    async def merge(self, who: str, wanted: MergeScans) -> RequestOutcome:
        """POST /tickets/admissions/merge."""
        return await self._ask(
            who, "POST", "/tickets/admissions/merge", lambda p, r: p.door_api.merge_admissions(r, wanted), wanted
        )

    async def conflicts(self, who: str, concert_id: str) -> RequestOutcome:
        """GET /tickets/admissions/conflicts."""
        return await self._ask(
            who,
            "GET",
            f"/tickets/admissions/conflicts?concertId={concert_id}",
            lambda p, r: p.door_api.list_conflicts(r, OfConcert(concert_id=concert_id)),
        )

    async def reserve(self, who: str, concert_id: str, wanted: Reserve, key: str | None) -> RequestOutcome:
        """POST /concerts/{id}/reserve."""
        return await self._ask(
            who,
            "POST",
            f"/concerts/{concert_id}/reserve",
            lambda p, r: p.concerts_api.reserve_seats(r, wanted),
            wanted,
            key,
            of=concert_id,
        )

    async def make_code(self, concert_id: str, wanted: CreateCode) -> RequestOutcome:
        """POST /concerts/{id}/codes."""
        return await self._ask(
            "organizer",
            "POST",
            f"/concerts/{concert_id}/codes",
            lambda p, r: p.codes_api.create_code(r, wanted),
            wanted,
            of=concert_id,
        )

    async def change_code(self, concert_id: str, wanted: ChangeCode) -> RequestOutcome:
        """PATCH /concerts/{id}/codes."""
        return await self._ask(
            "organizer",
            "PATCH",
            f"/concerts/{concert_id}/codes",
            lambda p, r: p.codes_api.change_code(r, wanted),
            wanted,
            of=concert_id,
        )

    async def hold_back(self, concert_id: str, wanted: HoldSeatsBack, key: str) -> RequestOutcome:
        """POST /concerts/{id}/blocks."""
        return await self._ask(
            "organizer",
            "POST",
            f"/concerts/{concert_id}/blocks",
            lambda p, r: p.blocks_api.hold_seats_back(r, wanted),
            wanted,
            key,
            of=concert_id,
        )

    async def change_block(self, concert_id: str, wanted: ChangeBlockOf) -> RequestOutcome:
        """PATCH /concerts/{id}/blocks."""
        return await self._ask(
            "organizer",
            "PATCH",
            f"/concerts/{concert_id}/blocks",
            lambda p, r: p.blocks_api.change_block(r, wanted),
            wanted,
            of=concert_id,
        )

    async def release_block(self, concert_id: str, wanted: ReleaseBlock) -> RequestOutcome:
        """POST /concerts/{id}/blocks/release."""
        return await self._ask(
            "organizer",
            "POST",
            f"/concerts/{concert_id}/blocks/release",
            lambda p, r: p.blocks_api.release_block(r, wanted),
            wanted,
            of=concert_id,
        )

    async def say_invoicing(self, wanted: SayInvoicing) -> RequestOutcome:
        """PUT /orders/invoices/settings."""
        return await self._ask(
            "organizer",
            "PUT",
            "/orders/invoices/settings",
            lambda p, r: p.invoicing_api.say_invoicing(r, wanted),
            wanted,
        )

    async def schedule(self, who: str, wanted: ScheduleConcert) -> RequestOutcome:
        """POST /concerts."""
        return await self._ask(
            who, "POST", "/concerts", lambda p, r: p.concerts_api.schedule_concert(r, wanted), wanted
        )

    async def concert(self, concert_id: str) -> RequestOutcome:
        """GET /concerts/{id}."""
        return await self._ask(
            "organizer", "GET", f"/concerts/{concert_id}", lambda p, r: p.concerts_api.show_concert(r), of=concert_id
        )

    async def change(self, concert_id: str, wanted: ChangeConcert, tag: str) -> RequestOutcome:
        """PATCH /concerts/{id}."""

        async def act(process: Process, request: Request) -> Response:
            headers = {**request.headers, b"if-match": tag.encode()}
            return await process.changes_api.change_concert(msgspec.structs.replace(request, headers=headers), wanted)

        return await self._ask("organizer", "PATCH", f"/concerts/{concert_id}", act, wanted, of=concert_id)

    async def block(self, concert_id: str, seats: list[str], *, is_blocked: bool) -> RequestOutcome:
        """POST /concerts/{id}/seats/block, or unblock."""
        block = BlockSeatsRequest(seats=seats, reason="Mixing desk")
        unblock = UnblockSeatsRequest(seats=seats)

        async def act(process: Process, request: Request) -> Response:
            if is_blocked:
                return await process.seats_api.block_seats(request, block)
            return await process.seats_api.unblock_seats(request, unblock)

        path = f"/concerts/{concert_id}/seats/{'block' if is_blocked else 'unblock'}"
        return await self._ask("organizer", "POST", path, act, block if is_blocked else unblock, of=concert_id)

    async def move_seats(self, concert_id: str, wanted: MoveSeatsRequest, key: str) -> RequestOutcome:
        """POST /concerts/{id}/seats/move."""
        return await self._ask(
            "organizer",
            "POST",
            f"/concerts/{concert_id}/seats/move",
            lambda p, r: p.seat_moves_api.move_seats(r, wanted),
            wanted,
            key,
            of=concert_id,
        )

    async def swap_seats(self, concert_id: str, wanted: SwapSeatsRequest, key: str) -> RequestOutcome:
        """POST /concerts/{id}/seats/swap."""
        return await self._ask(
            "organizer",
            "POST",
            f"/concerts/{concert_id}/seats/swap",
            lambda p, r: p.seat_moves_api.swap_seats(r, wanted),
            wanted,
            key,
            of=concert_id,
        )

    async def postpone(self, concert_id: str, wanted: PostponeConcert) -> RequestOutcome:
        """POST /concerts/{id}/postpone."""
        return await self._ask(
            "organizer",
            "POST",
            f"/concerts/{concert_id}/postpone",
            lambda p, r: p.changes_api.postpone_concert(r, wanted),
            wanted,
            of=concert_id,
        )

    async def call_off(self, concert_id: str, wanted: CancelConcert) -> RequestOutcome:
        """POST /concerts/{id}/cancel."""
        return await self._ask(
            "organizer",
            "POST",
            f"/concerts/{concert_id}/cancel",
            lambda p, r: p.changes_api.cancel_concert(r, wanted),
            wanted,
            of=concert_id,
        )

    async def _ask(
        self,
        who: str,
        method: str,
        path: str,
        act: Callable[[Process, Request], Awaitable[Response]],
        wanted: msgspec.Struct | None = None,
        key: str | None = None,
        *,
        of: str = "",
    ) -> RequestOutcome:
        """`act` is what the route of that path does; a path begins with its service's name. `of`: what it is about."""
        service, request = path.split("/", 2)[1], b"" if wanted is None else _encode(wanted)
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        trace = self.chaos.trace
        if trace.on:
            trace.say(who, f"{method} {path} {request.decode()}{f' key {key}' if key else ''}")
        told = RequestOutcome(
            await self._answer(who, service, f"{method} {path}", lambda p: act(p, _request(p, key, of)))
        )
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
