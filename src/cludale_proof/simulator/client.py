"""The way in from outside: the routes of the services, each in whichever process of its service is there.

What was answered is noted as observations, for the checker to hold against the stores.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from cludale.kernel.events import Cause
from cludale.kernel.principals import FIRST
from cludale.kernel.refusals import Refusal
from cludale.ports.records import StoreUnavailable
from cludale.services.catalogue import SERVICES
from cludale.services.orders.events import CancelReason
from cludale.services.orders.order import Order
from cludale.services.tickets.domain import ticket_id
from cludale.web.problems import Problems
from cludale.web.responses import Response, Stream
from cludale.web.routing import Request
from cludale_proof.checker.observations import Credential, Observation
from cludale_proof.simulator.faults import Chaos, Fault
from cludale_proof.simulator.loop import inside
from cludale_proof.simulator.network import NobodyThere
from cludale_proof.simulator.processes import Process

PATIENCE_SECONDS = 10.0
"""How long anybody waits for an answer."""

PROBLEMS = Problems(*(each.statuses for each in SERVICES))

_MOST_DOUBLINGS = 4

_encode = msgspec.json.encode
_SEGMENT = re.compile(r"\{[^}]*\}")
_KEY_IN_FLIGHT = b"idempotency-key-in-flight"


class RequestOutcome(NamedTuple):
    """What came back of a request; `answer` None: nothing did."""

    answer: Response | None

    @property
    def status(self) -> int:
        """The HTTP status; 0 for no answer."""
        return self.answer.status if self.answer is not None else 0

    @property
    def body(self) -> bytes:
        """What was said; nothing for no answer."""
        return b"" if self.answer is None else bytes(self.answer.body)

    @property
    def json(self) -> Any:
        """The body of an answer, read."""
        return msgspec.json.decode(self.body)

    @property
    def is_final(self) -> bool:
        """Will asking again, with the same key, give nothing else?"""
        return 200 <= self.status < 500 and not (self.status == 409 and _KEY_IN_FLIGHT in self.body)


def _request(process: Process, key: str | None, segment: str, if_match: str | None) -> Request:
    headers = {b"authorization": f"Bearer {process.access.organizer_key}".encode()}
    if key is not None:
        headers[b"idempotency-key"] = key.encode("latin-1")
    if if_match is not None:
        headers[b"if-match"] = if_match.encode()
    return Request(segment, headers, principal=FIRST)


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
        """A client that reaches no process but this one."""
        return SimulatedClient(self.chaos, lambda _: process, self._noted, self._surprised)

    async def show(self, who: str, order_id: str, *, wait_seconds: float = 0.0) -> RequestOutcome:
        """GET /orders/{id}?wait=…, straight from the service."""

        async def act(process: Process, _: Request) -> Response:
            if not wait_seconds:
                return _order_answer(await process.orders.order(order_id))
            return _order_answer(await process.orders.news.settled(order_id, wait_seconds=wait_seconds))

        return await self._ask(who, "GET", f"/orders/{order_id}", act)

    async def cancel(self, who: str, order_id: str, reason: CancelReason) -> RequestOutcome:
        """POST /orders/{id}/cancel, straight to the service."""

        async def act(process: Process, _: Request) -> Response:
            seller = "another-key" if reason is CancelReason.ORGANIZER else None
            return _order_answer(await process.orders.cancel(order_id, reason, Cause(), seller=seller))

        return await self._ask(who, "POST", f"/orders/{order_id}/cancel", act)

    async def code(self, order_id: str, number: int) -> str | None:
        """The code that a ticket of the order shows; None for no answer."""
        told = await self.ask("guest", "GET", "/tickets/{ticket_id}", of=ticket_id(order_id, number))
        code: str | None = told.json["code"] if told.status == 200 else None
        return code

    async def insist(
        self,
        asking: Callable[[], Awaitable[RequestOutcome]],
        *,
        attempts: int,
        wait_seconds: float = 0.3,
        until: Callable[[RequestOutcome], bool] = lambda told: told.is_final,
    ) -> RequestOutcome:
        """Ask so often at most, later each time, until an answer is what was wanted. Returns the last one."""
        told = RequestOutcome(None)
        for attempt in range(attempts):
            told = await asking()
            if until(told):
                break
            await asyncio.sleep(self.chaos.some(wait_seconds * 2 ** min(attempt, _MOST_DOUBLINGS)))
        return told

    async def ask(
        self,
        who: str,
        method: str,
        path: str,
        wanted: msgspec.Struct | None = None,
        key: str | None = None,
        *,
        of: str = "",
        query: msgspec.Struct | None = None,
        if_match: str | None = None,
    ) -> RequestOutcome:
        """Ask a route, which `path` names as its service does; `of` stands in place of its `{…}`.

        `wanted` is the body, `key` the idempotency key.
        """
        given = [each for each in (wanted, query) if each is not None]

        async def act(process: Process, request: Request) -> Response:
            response = await process.handler(method, path)(request, *given)
            if isinstance(response, Stream):
                raise TypeError(f"{method} {path} is a stream")
            return response

        return await self._ask(who, method, _SEGMENT.sub(of, path), act, wanted, key, of=of, if_match=if_match)

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
        if_match: str | None = None,
    ) -> RequestOutcome:
        """`act` is what the route of that path does; a path begins with its service's name. `of`: what it is about."""
        service, request = path.split("/", 2)[1], b"" if wanted is None else _encode(wanted)
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        trace = self.chaos.trace
        if trace.on:
            trace.say(who, f"{method} {path} {request.decode()}{f' key {key}' if key else ''}")
        told = RequestOutcome(
            await self._answer(who, service, f"{method} {path}", lambda p: act(p, _request(p, key, of, if_match)))
        )
        if trace.on:
            trace.say(who, f"    {told.status} {told.body.decode() if told.answer else 'no answer'}")
        self._noted(
            Observation(
                method=method,
                path=path,
                status=told.status,
                body=told.body.decode(),
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
