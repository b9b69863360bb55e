"""Seats, Sales, SaleClosing, Charges, CallOffs, Contacts, Keys and Programme over HTTP.

A refusal that comes back as problem+json becomes what it was.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from math import inf
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET, UnsetType

from cludale.adapters.http_calls.trial import LABEL, CallsOfATrial, Trial
from cludale.kernel.allocation import Allocation, NumberedSeat
from cludale.kernel.bills import Bill
from cludale.kernel.buyers import KnownBy
from cludale.kernel.ids import same_as
from cludale.kernel.money import Money
from cludale.kernel.principals import DEFAULT_ORGANIZER
from cludale.kernel.refusals import Busy, Invalid, Refusal
from cludale.ports.calling_off import Progress, ProgressUnknown, SalesNotClosed
from cludale.ports.charges import ChargeQuestion, ChargeStanding, ChargesUnreachable
from cludale.ports.contacts import Contact, ContactsUnreachable
from cludale.ports.entrance import EntranceUnreachable
from cludale.ports.keys import KeyListing, KeysUnreachable
from cludale.ports.prices import (
    CategoryNotFound,
    CategoryNotSold,
    CodeOver,
    CodeUnknown,
    CodeUsedUp,
    TotalTooHigh,
    UnderTheMinimum,
)
from cludale.ports.programme import ConcertDetails, ProgrammeUnreachable
from cludale.ports.sales import SaleOutlook, SalesUnreachable
from cludale.ports.seats import (
    MOST_HOLDS_APART,
    BlockNotFound,
    BlockTooSmall,
    BuyerLimitReached,
    CalledOff,
    ConcertNotFound,
    ConcertOver,
    HeldElsewhere,
    HeldOtherwise,
    HoldEnded,
    HoldRequest,
    HoldsLapsed,
    InLine,
    LineRefused,
    NotOnSale,
    OtherCurrency,
    OtherOrganizer,
    OverTheLimit,
    PriceTooHigh,
    SaleEnded,
    SalePaused,
    SeatsHeld,
    SeatsNotFree,
    SeatsUnavailable,
    SeatsUnreachable,
    SectionNotFound,
    TooManyHolds,
    WaitingListFull,
)
from cludale.ports.tracing import TRACEPARENT
from cludale.runtime.batching import BatchingQueue
from cludale.runtime.recent import Recent
from cludale.web.client import Client, NoAnswer
from cludale.web.http1 import ClientResponse, Target
from cludale.web.trust import trust_named_in

KEYS_SECONDS = 0.5
"""How long concerts may take to say which keys there are."""
BUYERS = "cludale-buyers"
"""Header by which concerts is told who buys; earlier versions pass over it."""
CONNECTIONS = 64
SALES_AT_ONCE = 16
CHARGES_AT_ONCE = 2
HOLDS_AT_ONCE = 2
"""Calls for the holds of one concert. Who asks meanwhile goes with the next one: more calls only carry less each."""
HOLDS_WAITING = 4_096
SINGLY_SECONDS = 10.0
"""For how long a concerts service that can't take several holds at once is asked for each of them alone."""
CONTACTS_AT_ONCE = 16
CONCERTS_AT_ONCE = 4
CONCERTS_REMEMBERED = 256
REMEMBERED_SECONDS = 0.8
"""How long a concert is taken for what it was: its changes are known everywhere within a second."""

_UNKNOWN = frozenset({404, 405})
"""How the concerts service of an earlier release answers to a route that it does not have."""

T = TypeVar("T")
TokenFor = Callable[[str], str]
Headers = Mapping[str, str]
"""What goes with every call: to a Dapr sidecar, whom it is for, and its token."""


class _Held(msgspec.Struct, rename="camel"):
    id: str
    section: str
    quantity: int
    price: Money
    expires_at: datetime
    event_id: str | None = None
    cancel_until: datetime | None = None
    bill: Bill | None = None
    seats: tuple[NumberedSeat, ...] | UnsetType = UNSET
    moves: int | UnsetType = UNSET


class _Apart(msgspec.Struct):
    held: SeatsHeld | None = None
    problem: msgspec.Raw = msgspec.Raw()


class _AllApart(msgspec.Struct):
    answers: list[_Apart]


class _AllHeld(msgspec.Struct):
    held: list[SeatsHeld]


class _Unavailable(msgspec.Struct, rename="camel"):
    left: int
    held: int = 0
    section: str | None = None
    held_until: datetime | None = None
    waiting: int = 0


class _TooDear(msgspec.Struct, rename="camel"):
    max_price: Money
    price_from: Money


class _Service:
    """One service of ours, at `url`, as a port calls it; at `trial`'s, while that is on.

    An address may say whom to trust there (web/trust.py).
    """

    service: ClassVar[str]
    """Whom it calls."""
    unreachable: ClassVar[type[Exception]]
    """What the port raises where there is no answer in time, or another one than ours."""
    connections: ClassVar[int]
    most_seconds: ClassVar[float] = inf
    """The most that a call may take, whatever is set."""

    def __init__(
        self,
        url: str,
        token_for: TokenFor,
        *,
        timeout_seconds: float,
        headers: Headers | None = None,
        trial: Trial | None = None,
    ) -> None:
        """`token_for`: what a service is called with, now."""
        self._token_for = token_for
        self._timeout_seconds = timeout_seconds

        def client(url: str, headers: Headers) -> Client:
            return Client(
                Target.of(url),
                connections=self.connections,
                timeout_seconds=min(timeout_seconds, self.most_seconds),
                headers=headers,
                trust=trust_named_in(url),
            )

        usual = client(url, headers or {})
        self._client: Client | CallsOfATrial = usual
        if trial is not None:
            self._client = CallsOfATrial(usual, client(trial.url, LABEL), trial.is_on)

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Headers | None = None,
        traceparent: str | None = None,
    ) -> ClientResponse:
        """Its answer. All that is asked here can be asked again. Raises `unreachable`."""
        bearer = {"authorization": f"Bearer {self._token_for(self.service)}", **(headers or {})}
        try:
            return await self._client.ask(
                method, path, body, headers=bearer, traceparent=traceparent or TRACEPARENT.get(), repeatable=True
            )
        except NoAnswer as error:
            raise self.unreachable(str(error)) from error

    def _read(self, answer: ClientResponse, type: type[T], what: str, *, status: int = 200) -> T:
        """What stands in it: `what`, for people. Raises `unreachable`."""
        if answer.status != status:
            raise self.unreachable(f"{self.service} answered {answer.status}")
        try:
            return msgspec.json.decode(answer.body, type=type)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            said = f"{self.service} answered {status} with something else than {what}: {error}"
            raise self.unreachable(said) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class HttpSeats(_Service):
    """The concerts service at `url`. Holds of one concert that are asked for meanwhile go together in the next call."""

    service, unreachable, connections = "concerts", SeatsUnreachable, CONNECTIONS

    _singly_until = -inf
    """Until when, by the loop's time, each hold is asked for by itself."""

    @cached_property
    def _queue(self) -> BatchingQueue[str, HoldRequest, SeatsHeld | Exception]:
        return BatchingQueue(
            self._hold_apart,
            of="holds",
            refuse=Busy,
            away=SeatsUnreachable,
            batch_limit=MOST_HOLDS_APART,
            waiting_limit=HOLDS_WAITING,
            at_once=HOLDS_AT_ONCE,
        )

    async def hold(self, request: HoldRequest) -> SeatsHeld:
        """Hold seats. Raises SeatsUnreachable when there is no answer in time, and the refusals of the port."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                (result,) = await self._queue.submit(request.concert_id, (request,))
        except TimeoutError as error:
            raise SeatsUnreachable(f"concerts gave no answer within {self._timeout_seconds:g} s") from error
        if isinstance(result, Exception):
            raise result
        return result

    async def _hold_apart(self, _: str, requests: Sequence[HoldRequest]) -> Sequence[SeatsHeld | Exception]:
        """What became of each. Raises SeatsUnreachable, and what is refused to all of them."""
        now = asyncio.get_running_loop().time()
        if len(requests) == 1 or now < self._singly_until:
            return await asyncio.gather(*(self._hold_alone(each) for each in requests))
        body = msgspec.json.encode({"holds": requests})
        answer = await self._ask("POST", "/concerts/-/holds/apart", body, traceparent=requests[0].traceparent)
        if answer.status in _UNKNOWN:
            self._singly_until = now + SINGLY_SECONDS
            return await asyncio.gather(*(self._hold_alone(each) for each in requests))
        if answer.status != 200:
            raise _refusal(requests[0], answer)
        answers = self._read(answer, _AllApart, "an answer for each hold").answers
        if len(answers) != len(requests):
            raise SeatsUnreachable(f"concerts gave {len(answers)} answers to {len(requests)} holds")
        return [
            _refusal_of(request, bytes(each.problem), answer.status) if each.held is None else each.held
            for request, each in zip(requests, answers, strict=True)
        ]

    async def _hold_alone(self, request: HoldRequest) -> SeatsHeld | Exception:
        try:
            return await self._hold_one(request)
        except (Refusal, SeatsUnreachable) as error:
            return error

    async def _hold_one(self, request: HoldRequest) -> SeatsHeld:
        """By a call of its own. Raises SeatsUnreachable, and the refusals of the port."""
        body: dict[str, Any] = {"quantity": request.quantity, "orderId": request.order_id}
        if request.section is not None:
            body["section"] = request.section
        if request.max_price is not None:
            body["maxPrice"] = request.max_price
        if request.wish is not None:
            body["wish"] = request.wish
        if request.till is not None:
            body["till"] = request.till
        if request.waits:
            body["waits"] = True
        if request.seats:
            body["seats"] = request.seats
        if request.wheelchairs:
            body["wheelchairs"] = request.wheelchairs
        # The order's id names the hold: asked again, it is the same one.
        answer = await self._ask(
            "POST",
            f"/concerts/{quote(request.concert_id, safe='')}/reserve",
            msgspec.json.encode(body),
            headers={BUYERS: ",".join(request.buyers)} if request.buyers else None,
            traceparent=request.traceparent,
        )
        if answer.status != 201:
            raise _refusal(request, answer)
        held = self._read(answer, _Held, "a reservation", status=201)
        allocation = Allocation(
            concert_id=request.concert_id,
            section=held.section,
            reservation_id=held.id,
            quantity=held.quantity,
            numbered_seats=held.seats,
            moves=held.moves,
        )
        return SeatsHeld(allocation, held.price, held.expires_at, held.event_id, held.cancel_until, held.bill)

    async def hold_all(self, requests: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        """Hold seats for a cart. Raises SeatsUnreachable, LineRefused, Busy."""
        body = msgspec.json.encode({"holds": requests})
        answer = await self._ask("POST", "/concerts/-/holds", body, traceparent=requests[0].traceparent)
        if answer.status == 200:
            return self._read(answer, _AllHeld, "what is held").held
        lines = _lines_of(answer)
        refusal = _refusal(requests[lines.line or 0], answer)
        if lines.line is None or not isinstance(refusal, Refusal):
            raise refusal
        raise LineRefused(lines.line, refusal, lines.also_refused)

    async def close(self) -> None:
        """Wait for the holds that are under way, and close the connections."""
        await self._queue.close()
        await super().close()


class _Lines(msgspec.Struct, frozen=True, rename="camel"):
    line: int | None = None
    also_refused: dict[int, str] = {}


def _lines_of(answer: ClientResponse) -> _Lines:
    try:
        return msgspec.json.decode(answer.body, type=_Lines)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Lines()


def _refusal(request: HoldRequest, answer: ClientResponse) -> Refusal | SeatsUnreachable:
    return _refusal_of(request, answer.body, answer.status)


def _refusal_of(request: HoldRequest, body: bytes, status: int) -> Refusal | SeatsUnreachable:
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
        name = str(problem["type"]).rpartition("/")[2]
        make = _REFUSALS.get(name)
        return make(request, problem) if make else SeatsUnreachable(f"concerts answered {status} {name}")
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        return SeatsUnreachable(f"concerts answered {status} without a problem of ours")


def _unavailable(request: HoldRequest, problem: dict[str, Any]) -> SeatsUnavailable:
    said = msgspec.convert(problem, _Unavailable)
    return SeatsUnavailable(
        request.concert_id,
        wanted=request.quantity,
        left=said.left,
        section=said.section,
        held=said.held,
        held_until=said.held_until,
        waiting=said.waiting,
    )


def _too_dear(request: HoldRequest, problem: dict[str, Any]) -> PriceTooHigh:
    said = msgspec.convert(problem, _TooDear)
    return PriceTooHigh(request.concert_id, max_price=said.max_price, price_from=said.price_from)


_REFUSALS: Mapping[str, Callable[[HoldRequest, dict[str, Any]], Refusal]] = {
    "seats-unavailable": _unavailable,
    "seats-not-free": lambda w, p: SeatsNotFree(w.concert_id, msgspec.convert(p["notFree"], list[str])),
    "price-too-high": _too_dear,
    "other-currency": lambda w, p: OtherCurrency(w.concert_id, str(p["currency"]), field=str(p["errors"][0]["field"])),
    "not-on-sale": lambda w, p: NotOnSale(w.concert_id, msgspec.convert(p["onSaleAt"], datetime)),
    "concert-over": lambda w, p: ConcertOver(w.concert_id, msgspec.convert(p["overAt"], datetime)),
    "sale-ended": lambda w, p: SaleEnded(w.concert_id, msgspec.convert(p["offSaleAt"], datetime)),
    "sale-paused": lambda w, _: SalePaused(w.concert_id),
    "called-off": lambda w, p: CalledOff(w.concert_id, p.get("reason")),
    "concert-not-found": lambda w, _: ConcertNotFound(w.concert_id),
    "in-line": lambda w, p: InLine(w.concert_id, str(p["section"]), position=p["position"], waiting=p["waiting"]),
    "waiting-list-full": lambda w, p: WaitingListFull(w.concert_id, str(p["section"]), length=p["waiting"]),
    "block-not-found": lambda w, _: BlockNotFound((w.till and w.till.block) or ""),
    "block-too-small": lambda w, p: BlockTooSmall(str(p["block"]), wanted=w.quantity, left=p["left"]),
    "section-not-found": lambda w, _: SectionNotFound(w.concert_id, w.section or ""),
    "category-not-found": lambda w, p: CategoryNotFound(w.concert_id, str(p["category"])),
    "category-not-sold": lambda w, p: CategoryNotSold(w.concert_id, str(p["category"]), section=str(p["section"])),
    "code-unknown": lambda w, p: CodeUnknown(w.concert_id, str(p["code"])),
    "code-over": lambda _, p: CodeOver(str(p["code"]), ended_at=msgspec.convert(p["endedAt"], datetime)),
    "code-used-up": lambda _, p: CodeUsedUp(str(p["code"]), limit=p["limit"], left=p["left"], counts=str(p["counts"])),
    "total-too-high": lambda _, p: TotalTooHigh(
        max_total=msgspec.convert(p["maxTotal"], Money), total=msgspec.convert(p["total"], Money)
    ),
    "under-the-minimum": lambda w, p: UnderTheMinimum(w.concert_id, wanted=w.quantity, least=p["least"]),
    "invalid": lambda _, p: Invalid(*((each["field"], each["message"]) for each in p["errors"])),
    "over-the-limit": lambda w, p: OverTheLimit(w.concert_id, wanted=w.quantity, limit=p["limit"]),
    "buyer-limit-reached": lambda w, p: BuyerLimitReached(
        w.concert_id, limit=p["limit"], has=p["has"], wanted=p["wanted"], known=KnownBy(p["knownBy"])
    ),
    "too-many-holds": lambda _, p: TooManyHolds(limit=p["limit"], has=p["has"], known=KnownBy(p["knownBy"])),
    "holds-lapsed": lambda _, p: HoldsLapsed(
        lapses=p["lapses"],
        until=msgspec.convert(p["waitUntil"], datetime),
        seconds=p["retryAfter"],
        known=KnownBy(p["knownBy"]),
    ),
    "other-organizer": lambda w, _: OtherOrganizer(w.concert_id),
    "hold-ended": lambda _, p: HoldEnded(p["reservationId"]),
    "held-elsewhere": lambda w, p: HeldElsewhere(same_as("reservation", w.order_id), concert_id=str(p["concertId"])),
    "held-otherwise": lambda w, p: HeldOtherwise(w.order_id, wanted=w.quantity, held=p["held"], section=p["section"]),
    "busy": lambda _, p: Busy(p.get("detail", "concerts is busy")),
}


class HttpSales(_Service):
    """The concerts service at `url`."""

    service, unreachable, connections = "concerts", SalesUnreachable, SALES_AT_ONCE

    async def outlook(self, allocation: Allocation) -> SaleOutlook:
        """What would come of money for these seats. Raises SalesUnreachable."""
        asked = urlencode({"section": allocation.section, "reservationId": allocation.reservation_id})
        answer = await self._ask("GET", f"/concerts/{quote(allocation.concert_id, safe='')}/sale-outlook?{asked}")
        return self._read(answer, SaleOutlook, "an outlook")


class HttpClosing(_Service):
    """The concerts service at `url`."""

    service, unreachable, connections = "concerts", SalesNotClosed, 1

    async def close_sales(self, concert_id: str) -> None:
        """From the answer on nobody gets seats of this concert. Raises SalesNotClosed."""
        self._read(await self._ask("POST", f"/concerts/{quote(concert_id, safe='')}/close"), dict, "an answer")


class HttpCallOffs(_Service):
    """The orders service at `url`."""

    service, unreachable, connections = "orders", ProgressUnknown, 2

    async def progress(self, concert_id: str, revision: int) -> Progress | None:
        """How far the orders have come after this change of the concert. Raises ProgressUnknown."""
        asked = urlencode({"concertId": concert_id, "revision": revision})
        answer = await self._ask("GET", f"/orders/-/jobs?{asked}")
        return None if answer.status == 204 else self._read(answer, Progress, "a progress")


class _Ticket(msgspec.Struct, rename="camel"):
    number: int
    admitted_at: datetime | None = None


class _Tickets(msgspec.Struct):
    items: list[_Ticket]


class HttpEntrance(_Service):
    """The tickets service at `url`."""

    service, unreachable, connections = "tickets", EntranceUnreachable, 1

    async def admitted(self, order_id: str) -> frozenset[int]:
        """The tickets with which somebody was let in. Raises EntranceUnreachable."""
        answer = await self._ask("GET", f"/tickets?{urlencode({'order': order_id})}")
        if answer.status == 404:
            return frozenset()
        tickets = self._read(answer, _Tickets, "tickets").items
        return frozenset(each.number for each in tickets if each.admitted_at is not None)


class _Compared(msgspec.Struct):
    items: list[ChargeStanding]


class HttpCharges(_Service):
    """The payments service at `url`."""

    service, unreachable, connections = "payments", ChargesUnreachable, CHARGES_AT_ONCE

    async def compare(self, questions: Sequence[ChargeQuestion]) -> Mapping[str, ChargeStanding]:
        """How the money of these orders stands, by order. Raises ChargesUnreachable."""
        answer = await self._ask("POST", "/payments/compare", msgspec.json.encode({"orders": questions}))
        return {each.order_id: each for each in self._read(answer, _Compared, "payments").items}


class HttpContacts(_Service):
    """The orders service at `url`."""

    service, unreachable, connections = "orders", ContactsUnreachable, CONNECTIONS

    @cached_property
    def _at_once(self) -> asyncio.Semaphore:
        """Who waits here does not wait in its own time yet."""
        return asyncio.Semaphore(CONTACTS_AT_ONCE)

    async def of(self, order_ids: Sequence[str]) -> Mapping[str, Contact]:
        """The contacts of these orders. Raises ContactsUnreachable."""
        found = await asyncio.gather(*(self._one(id) for id in order_ids))
        return {id: contact for id, contact in zip(order_ids, found, strict=True) if contact is not None}

    async def _one(self, order_id: str) -> Contact | None:
        async with self._at_once:
            answer = await self._ask("GET", f"/orders/{quote(order_id, safe='')}/contact")
        return None if answer.status == 404 else self._read(answer, Contact, "a contact")


class HttpKeys(_Service):
    """The concerts service at `url`. It is asked for the listing over and over, and gives it where it is new."""

    service, unreachable, connections = "concerts", KeysUnreachable, 1
    most_seconds = KEYS_SECONDS

    async def listing(self, known: KeyListing | None) -> KeyListing:
        """All keys as they are now; `known` itself where nothing has changed. Raises KeysUnreachable."""
        answer = await self._ask(
            "GET", "/concerts/-/keys/listing" if known is None else f"/concerts/-/keys/listing?known={known.version}"
        )
        if known is not None and answer.status == 204:
            return known
        return self._read(answer, KeyListing, "a listing of keys")

    async def used(self, last: Mapping[str, datetime], rehashed: Mapping[str, str]) -> None:
        """Note when these keys were used last, and their new hashes. Raises KeysUnreachable."""
        told = {"used": last, "rehashed": rehashed} if rehashed else {"used": last}  # a release before reads no other
        self._read(await self._ask("POST", "/concerts/-/keys/used", msgspec.json.encode(told)), dict, "an answer")


class _SectionNamed(msgspec.Struct):
    id: str
    name: str | None = None


class _Concert(msgspec.Struct):
    artist: str
    date: str
    venue: str | None = None
    sections: list[_SectionNamed] = []
    organizer: str = DEFAULT_ORGANIZER
    ends_at: str | None = msgspec.field(default=None, name="endsAt")
    title: str | None = None
    place: str | None = None
    zone: str | None = None
    doors_at: str | None = msgspec.field(default=None, name="doorsAt")
    status: str = ""


class HttpProgramme(_Service):
    """The concerts service at `url`. A concert is remembered for a moment: many messages are about one."""

    service, unreachable, connections = "concerts", ProgrammeUnreachable, CONCERTS_AT_ONCE

    @cached_property
    def _at_once(self) -> asyncio.Semaphore:
        """Who waits here does not wait in its own time yet."""
        return asyncio.Semaphore(CONCERTS_AT_ONCE)

    @cached_property
    def _remembered(self) -> Recent[str, tuple[float, ConcertDetails]]:
        """Each with the loop's time until which it is."""
        return Recent(CONCERTS_REMEMBERED)

    async def of(self, concert_ids: Sequence[str]) -> Mapping[str, ConcertDetails]:
        """Those of the concerts that there are. Raises ProgrammeUnreachable."""
        found = await asyncio.gather(*(self._one(id) for id in concert_ids))
        return {id: concert for id, concert in zip(concert_ids, found, strict=True) if concert is not None}

    async def _one(self, concert_id: str) -> ConcertDetails | None:
        now = asyncio.get_running_loop().time()
        until, known = self._remembered.get(concert_id, (now, None))
        if now < until:
            return known
        async with self._at_once:
            answer = await self._ask("GET", f"/concerts/{quote(concert_id, safe='')}")
        if answer.status == 404:
            return None
        concert = self._read(answer, _Concert, "a concert")
        names = {section.id: section.name for section in concert.sections if section.name is not None}
        details = ConcertDetails(
            concert.artist,
            concert.date,
            concert.venue,
            names,
            concert.organizer,
            concert.ends_at,
            concert.title,
            concert.place,
            concert.zone,
            concert.doors_at,
            is_postponed=concert.status == "postponed",
        )
        self._remembered.remember({concert_id: (now + REMEMBERED_SECONDS, details)})
        return details
