"""Buyers and the organizer: what they want, when they lose patience, and what they saw of the answers.

They come in by the API's own methods, in whichever process of the service is there; what they were answered is
noted as observations, for the checker to hold against the stores.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import NamedTuple

import msgspec

from cludale.kernel.events import Cause, Envelope
from cludale.kernel.principals import FIRST
from cludale.kernel.refusals import Refusal
from cludale.ports.records import StoreUnavailable
from cludale.services.catalogue import SERVICES
from cludale.services.concerts.api import Reserve, ScheduleConcert
from cludale.services.orders.api import PayAgain, PlaceOrder
from cludale.services.orders.domain import Order
from cludale.services.orders.events import CancelReason
from cludale.services.payments.api import ChargeOrder
from cludale.web.problems import Problems
from cludale.web.responses import Response
from cludale.web.routing import Request
from cludale_proof.checker.observations import Credential, Observation
from cludale_proof.simulator.faults import Chaos, Fault
from cludale_proof.simulator.loop import OUTSIDE_CONTEXT, inside
from cludale_proof.simulator.network import NobodyThere
from cludale_proof.simulator.processes import Process

PATIENCE_SECONDS = 10.0
"""How long anybody waits for an answer."""

PROBLEMS = Problems(*(each.statuses for each in SERVICES))

_encode = msgspec.json.encode
_KEY_IN_FLIGHT = b"idempotency-key-in-flight"
_PERHAPS_LATER = (b"seats-unavailable", b"not-on-sale", b"buyer-limit-reached", b"too-many-holds", b"holds-lapsed")


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
            return _order_answer(await process.orders.cancel(order_id, reason, Cause()))

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
        self.busy = 0
        """Who still has something to do."""

    def come(self, plans: list[Plan]) -> None:
        """Let the buyers come, each at their time."""
        for number, plan in enumerate(plans, 1):
            self.begin(self._buy(f"buyer {number}", plan))

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
            other = msgspec.structs.replace(plan.wanted, quantity=plan.wanted.quantity % 4 + 1)
            self.begin(self._reuse(who, other, plan.key))
        order_id: str | None = None
        for attempt in range(plan.retries + 1):
            told = await door.place(who, plan.wanted, plan.key)
            order_id = _id_of(told) or order_id
            if told.is_final and not (plan.key and chaos.strikes(Fault.KEY_REPEATED, who)):
                break
            if plan.key is None and told.status != 503:
                break  # without a key, asking again could mean ordering twice
            await asyncio.sleep(chaos.some(0.5 * 2**attempt))
        if order_id is None:
            return told
        if plan.cancel_on is not None:
            self._cancels_on[order_id, plan.cancel_on] = plan
        if plan.looks:
            await door.show(who, order_id, wait_seconds=chaos.choices.choice((0.0, 2.0, 5.0)))
        if plan.cancel_after is not None:
            await asyncio.sleep(plan.cancel_after)
            await self._cancel(who, order_id, CancelReason.BUYER)
            if chaos.strikes(Fault.CANCELLED_TWICE, who, order_id):
                await self._cancel(who, order_id, CancelReason.BUYER)
        return told

    async def _ask_once(self, who: str, plan: Plan) -> None:
        await self._door.place(who, plan.wanted, plan.key)

    async def _reuse(self, who: str, wanted: PlaceOrder, key: str) -> None:
        await asyncio.sleep(self._chaos.some(2.0))
        await self._door.place(who, wanted, key)

    async def _cancel(self, who: str, order_id: str, reason: CancelReason) -> None:
        for attempt in range(4):
            told = await self._door.cancel(who, order_id, reason)
            if told.is_final:
                break
            await asyncio.sleep(self._chaos.some(0.3 * 2**attempt))
        if self._chaos.choices.random() < 0.3:
            await self._door.show(who, order_id)

    def happened(self, event: Envelope) -> None:
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
        if event.type == "PaymentFailed" and chaos.strikes(Fault.PAID_AGAIN, "organizer", order_id):
            self._soon(lambda: self._charge(order_id), after=chaos.some(2.0))
        if event.type == "PaymentFailed" and chaos.strikes(Fault.PAID_IN_ANOTHER_WAY, "buyer", order_id):
            self._soon(lambda: self._pay_again(order_id), after=chaos.some(2.0))
        if event.type == "PaymentFailed" and chaos.strikes(Fault.PAID_AT_EXPIRY, "buyer", order_id):
            left = (event.data.retry_until or event.time) - event.time
            self._soon(lambda: self._pay_again(order_id), after=left.total_seconds() + chaos.between(-0.3, 0.1))
        if event.type in _WORST and chaos.strikes(Fault.CANCELLED_BY_ORGANIZER, "organizer", order_id):
            self._soon(lambda: self._cancel("organizer", order_id, CancelReason.ORGANIZER), after=chaos.some(3.0))

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
            if told.status == 202 or (
                told.is_final and b"charge-open" not in (told.answer.body if told.answer else b"")
            ):
                return
            if key is not None and told.is_final:
                key = f"{key}-{attempt}"
            await asyncio.sleep(chaos.some(0.5 * 2**attempt))

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


def _id_of(told: RequestOutcome) -> str | None:
    if told.answer is None or told.status not in (201, 202):
        return None
    found: str = msgspec.json.decode(told.answer.body)["id"]
    return found
