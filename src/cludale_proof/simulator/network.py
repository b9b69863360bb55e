"""What lies between the processes: calls from service to service, messages to buyers, requests from outside.

A call is made in the process that is called, and dies with it; whoever called then waits in vain, up to a timeout.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import ClassVar, Generic, NamedTuple, TypeVar

from cludale.kernel.allocation import Allocation
from cludale.kernel.refusals import Refusal
from cludale.ports.calling_off import SaleClosing, SalesNotClosed
from cludale.ports.charges import ChargeQuestion, Charges, ChargeStanding, ChargesUnreachable
from cludale.ports.messengers import HandedTo, Message, NotSent, Trouble
from cludale.ports.records import StoreUnavailable
from cludale.ports.sales import SaleOutlook, Sales, SalesUnreachable
from cludale.ports.seats import HoldRequest, Seats, SeatsHeld, SeatsUnreachable
from cludale_proof.simulator.faults import Chaos, Fault
from cludale_proof.simulator.loop import OUTSIDE_CONTEXT, Owner, inside

P = TypeVar("P")
T = TypeVar("T")

SEATS = "network between orders and concerts"


class NobodyThere(Exception):
    """No process listens at that address."""


async def call(target: Owner, act: Callable[[], Awaitable[T]]) -> T:
    """Run `act` in `target` and return its result or raise its exception; waits for ever if `target` dies."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    async def serve() -> None:
        try:
            result = await act()
        except Exception as error:  # noqa: BLE001 - it is the answer
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(result)

    inside(target, loop.create_task, serve())
    return await answer


class RemoteSeats:
    """Concerts, seen from orders, in the same process or in another."""

    def __init__(
        self,
        chaos: Chaos,
        who: str,
        *,
        find: Callable[[], tuple[Owner, Seats]],
        kill: Callable[[], None],
        timeout_seconds: float,
    ) -> None:
        self._chaos = chaos
        self._who = who
        self._find = find
        self._kill = kill
        self._timeout_seconds = timeout_seconds

    async def hold(self, request: HoldRequest) -> SeatsHeld:
        """Hold seats. Raises SeatsUnreachable when there is no answer in time, and the refusals of the port."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._hold(request)
        except TimeoutError as error:
            raise SeatsUnreachable("no answer in time") from error

    async def hold_all(self, requests: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        """Hold seats for a cart. Raises as `hold`, and LineRefused."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._hold_all(requests)
        except TimeoutError as error:
            raise SeatsUnreachable("no answer in time") from error

    async def _hold_all(self, requests: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        chaos, who, first = self._chaos, self._who, requests[0].order_id
        await chaos.lag()
        if chaos.is_out(SEATS) or chaos.strikes(Fault.HOLD_UNASKED, who, first):
            raise SeatsUnreachable("no connection")
        if chaos.strikes(Fault.CRASH_WHILE_HOLDING, who, first):
            asyncio.get_running_loop().call_later(chaos.some(0.02), self._kill)
        try:
            target, seats = self._find()
            held = await call(target, lambda: seats.hold_all(requests))
        except (NobodyThere, StoreUnavailable) as error:
            raise SeatsUnreachable(repr(error)) from error
        if chaos.strikes(Fault.HOLD_UNANSWERED, who, first):
            raise SeatsUnreachable("the connection was closed")
        await chaos.lag()
        return held

    async def _hold(self, request: HoldRequest) -> SeatsHeld:
        chaos, who = self._chaos, self._who
        await chaos.lag()
        if chaos.is_out(SEATS) or chaos.strikes(Fault.HOLD_UNASKED, who, request.order_id):
            raise SeatsUnreachable("no connection")
        if chaos.strikes(Fault.CRASH_WHILE_HOLDING, who, request.order_id):
            asyncio.get_running_loop().call_later(chaos.some(0.02), self._kill)
        if chaos.strikes(Fault.HOLD_SLOW, who, request.order_id):
            await chaos.long_lag()
        if chaos.strikes(Fault.HOLD_TWICE, who, request.order_id):
            after = chaos.some(0.02) if chaos.choices.random() < 0.5 else chaos.some(3.0)
            asyncio.get_running_loop().call_later(after, self._once_more, request, context=OUTSIDE_CONTEXT)
        try:
            target, seats = self._find()
            held = await call(target, lambda: seats.hold(request))
        except (NobodyThere, StoreUnavailable) as error:
            raise SeatsUnreachable(repr(error)) from error
        if chaos.strikes(Fault.HOLD_UNANSWERED, who, request.order_id):
            raise SeatsUnreachable("the connection was closed")
        await chaos.lag()
        return held

    def _once_more(self, request: HoldRequest) -> None:
        """What lies between makes the same call again, perhaps to another process; nobody waits for that answer."""
        if not self._chaos.active:
            return
        try:
            target, seats = self._find()
        except NobodyThere:
            return

        async def serve() -> None:
            with suppress(Refusal, StoreUnavailable):
                await seats.hold(request)

        inside(target, asyncio.get_running_loop().create_task, serve())


class _Remote(Generic[P]):
    """A service that is seen from another one by this port."""

    away: ClassVar[Fault]
    unreachable: ClassVar[type[Exception]]

    def __init__(self, chaos: Chaos, who: str, *, find: Callable[[], tuple[Owner, P]], timeout_seconds: float) -> None:
        self._chaos = chaos
        self._who = who
        self._find = find
        self._timeout_seconds = timeout_seconds

    async def _ask(self, act: Callable[[P], Awaitable[T]], *about: str) -> T:
        """What comes of it there. Raises `unreachable` when there is no answer in time."""
        await self._chaos.lag()
        if self._chaos.strikes(self.away, self._who, *about):
            raise self.unreachable("no connection")
        try:
            async with asyncio.timeout(self._timeout_seconds):
                target, port = self._find()
                return await call(target, lambda: act(port))
        except TimeoutError as error:
            raise self.unreachable("no answer in time") from error
        except (NobodyThere, StoreUnavailable) as error:
            raise self.unreachable(repr(error)) from error


class RemoteSales(_Remote[Sales]):
    """Concerts, seen from payments."""

    away, unreachable = Fault.SALES_AWAY, SalesUnreachable

    async def outlook(self, allocation: Allocation) -> SaleOutlook:
        """What would come of money for these seats. Raises SalesUnreachable."""
        return await self._ask(lambda sales: sales.outlook(allocation), allocation.reservation_id)


class RemoteClosing(_Remote[SaleClosing]):
    """Concerts, seen from orders when a concert is called off."""

    away, unreachable = Fault.SALES_AWAY, SalesNotClosed

    async def close_sales(self, concert_id: str) -> None:
        """From the answer on nobody gets seats of this concert. Raises SalesNotClosed."""
        await self._ask(lambda closing: closing.close_sales(concert_id), concert_id)


class RemoteCharges(_Remote[Charges]):
    """Payments, seen from orders."""

    away, unreachable = Fault.CHARGES_AWAY, ChargesUnreachable

    async def compare(self, questions: Sequence[ChargeQuestion]) -> Mapping[str, ChargeStanding]:
        """How the money of these orders stands. Raises ChargesUnreachable."""
        return await self._ask(lambda charges: charges.compare(questions))


class RemoteDetails(NamedTuple, Generic[T]):
    """What notifications asks another service for, by ids: contacts of orders, details of concerts."""

    chaos: Chaos
    who: str
    find: Callable[[], tuple[Owner, Callable[[Sequence[str]], Awaitable[Mapping[str, T]]]]]
    away: Fault
    unreachable: type[Exception]
    timeout_seconds: float

    async def of(self, ids: Sequence[str], /) -> Mapping[str, T]:
        """Those that there are. Raises `unreachable`."""
        if self.chaos.strikes(self.away, self.who):
            raise self.unreachable("no connection")
        try:
            target, of = self.find()
            async with asyncio.timeout(self.timeout_seconds):
                return await call(target, lambda: of(ids))
        except (NobodyThere, StoreUnavailable, TimeoutError) as error:
            raise self.unreachable(repr(error)) from error


class Postman:
    """E-mail and text messages. What was handed over is in `sent`, by the message's id."""

    def __init__(self, chaos: Chaos, sent: dict[str, int], returned: Callable[[str], None]) -> None:
        """`returned`: told of what some server later can't bring to its address, after all."""
        self._chaos = chaos
        self._sent = sent
        self._returned = returned

    async def send(self, message: Message) -> HandedTo:
        """Hand the message over. Raises NotSent."""
        chaos, id = self._chaos, message.id
        await chaos.lag()
        if chaos.strikes(Fault.MESSAGE_TROUBLE, "post", id):
            raise NotSent("the server is away", Trouble.AWAY)
        if chaos.strikes(Fault.MESSAGE_REFUSED, "post", id):
            raise NotSent("no such address", Trouble.REFUSED)
        if chaos.strikes(Fault.MESSAGE_SLOW, "post", id):
            await chaos.long_lag()
        self._sent[id] = self._sent.get(id, 0) + 1
        if chaos.strikes(Fault.MESSAGE_BOUNCED, "post", id):
            self._returned(id)
        if chaos.strikes(Fault.MESSAGE_UNANSWERED, "post", id):
            raise NotSent("the connection was closed", Trouble.UNKNOWN)
        return HandedTo.SERVER
