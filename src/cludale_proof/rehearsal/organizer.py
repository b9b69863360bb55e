"""The organizer's side of a rehearsal: puts the concert on and asks how things stand, over the public API."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from cludale.services.tickets.offline import from_text
from cludale_operations.trust import trust_at
from cludale_proof.rehearsal.plan import AuditedEvent, CannotRehearse, Concert, DoorCounts, Order, Plan

_PAGE: Final = 200
_TIMEOUT_SECONDS: Final = 30.0
GET_TRIES: Final = 12
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0
"""With these a service may be away for half a minute: rehearsals are for finding out what happens then."""

_BEGINS_IN: Final = timedelta(hours=2)

T = TypeVar("T")


class Ticket(msgspec.Struct, frozen=True):
    """What is said of a ticket, as far as it matters here."""

    id: str
    status: str
    code: str | None = None


class Tickets(msgspec.Struct, frozen=True):
    """What `GET /tickets` says."""

    items: Sequence[Ticket]


class _Key(msgspec.Struct, frozen=True):
    kid: str
    x: str


class _Keys(msgspec.Struct, frozen=True):
    keys: Sequence[_Key]


class _Conflict(msgspec.Struct, frozen=True, rename="camel"):
    kind: str
    ticket_id: str


class _Conflicts(msgspec.Struct, frozen=True):
    items: Sequence[_Conflict]


class _Page(msgspec.Struct, Generic[T], frozen=True):
    items: Sequence[T]
    next: str | None


class Verdict(msgspec.Struct, frozen=True):
    """What `GET /audit/verify` says."""

    ok: bool
    events: int
    head: str


class SectionSeen(msgspec.Struct, frozen=True, rename="camel"):
    """Which seats of a section can be had."""

    id: str
    zone: str
    available_seats: int
    free: bytes
    """A bit for each, in the order of the plan, the first seat's the lowest."""


class SeatsSeen(msgspec.Struct, frozen=True):
    """What `GET /concerts/{id}/seats` says."""

    plan: str
    sections: Sequence[SectionSeen]


class Organizer:
    """A client with the organizer's key. Reading is tried for half a minute, then raises CannotRehearse."""

    def __init__(
        self, url: str, organizer_key: str, headers: Mapping[str, str], *, trust: ssl.SSLContext | None = None
    ) -> None:
        self._url = url
        self.headers = {**headers, "authorization": f"Bearer {organizer_key}"}
        """What is said with every request."""
        self._http = httpx.AsyncClient(
            base_url=url, headers=self.headers, timeout=_TIMEOUT_SECONDS, verify=trust_at(url, trust)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def put_on(self, plan: Plan, concert_id: str) -> Concert:
        """Make the concert of the rehearsal. Nobody who looks for concerts finds it."""
        wanted = {
            "id": concert_id,
            "artist": "Rehearsal",
            "date": _soon() if plan.doors else "2099-12-31",
            "maxPerOrder": plan.most_tickets,
            "listed": False,
        }
        price = {"amount": 4500, "currency": "EUR"}
        if plan.seat_plan is None:
            wanted |= {"totalSeats": plan.seats, "price": price}
        else:
            zones = enumerate(plan.seat_plan.zones, 1)
            wanted["seatPlan"] = plan.seat_plan.said
            wanted["sections"] = [
                {"id": f"section-{number}", "name": zone, "zone": zone, "price": price} for number, zone in zones
            ]
        try:
            answer = await self._http.post("/concerts", content=msgspec.json.encode(wanted))
        except httpx.HTTPError as error:
            raise CannotRehearse(self._unreachable(error)) from error
        return _read(answer, 201, Concert)

    async def concert(self, concert_id: str) -> Concert:
        """The concert as it stands."""
        return await self._get(f"/concerts/{quote(concert_id, safe='')}", {}, Concert)

    async def seats(self, concert_id: str) -> SeatsSeen:
        """Which of its numbered seats can be had."""
        return await self._get(f"/concerts/{quote(concert_id, safe='')}/seats", {}, SeatsSeen)

    async def seat_plan(self, concert_id: str) -> Mapping[str, Any]:
        """Its seating plan."""
        return await self._get(f"/concerts/{quote(concert_id, safe='')}/seats/plan", {}, dict[str, Any])

    async def unsettled(self, concert_id: str) -> int:
        """How many of the concert's orders are not at an end state; a page's worth where there are more.

        A buyer whose payment failed could pay in another way until the hold ends; these cancel, and are counted.
        """
        count = 0
        for status in ("Pending", "Reserved"):  # as orders go on, so that none passes unseen between two questions
            asked = {"concertId": concert_id, "status": status, "limit": str(_PAGE)}
            found = (await self._get("/orders", asked, _Page[Order])).items
            count += len(found)
            for order in found:
                if order.payment is not None and order.payment.status in ("Declined", "Failed"):
                    await self.cancel(order.id)
        return count

    async def cancel(self, order_id: str) -> None:
        """Cancel this order. One that can't be cancelled any more stays as it is."""
        try:
            await self._http.post(f"/orders/{quote(order_id, safe='')}/cancel")
        except httpx.HTTPError as error:
            raise CannotRehearse(self._unreachable(error)) from error

    async def orders(self, concert_id: str) -> Sequence[Order]:
        """All of the concert's orders."""
        found: list[Order] = []
        asked = {"concertId": concert_id, "limit": str(_PAGE)}
        while True:
            page = await self._get("/orders", asked, _Page[Order])
            found += page.items
            if page.next is None:
                return found
            asked["after"] = page.next

    async def events(self, concert_id: str) -> AsyncGenerator[Sequence[AuditedEvent], None]:
        """The concert's events in the audit's order, in pages. Endless: a page is empty while there are no more."""
        asked = {"concertId": concert_id, "limit": str(_PAGE)}
        seen = 0
        while True:
            page = await self._get("/audit/events", asked, _Page[AuditedEvent])
            fresh = [event for event in page.items if event.sequence > seen]
            if fresh:
                seen = fresh[-1].sequence
            yield fresh
            # The last page's cursor is kept: the page may grow.
            if page.next is not None:
                asked["after"] = page.next

    async def verify(self) -> Verdict:
        """What the audit says of its own chain."""
        return await self._get("/audit/verify", {}, Verdict)

    async def tickets(self, order_id: str) -> Sequence[Ticket]:
        """The tickets of an order."""
        return (await self._get("/tickets", {"order": order_id}, Tickets)).items

    async def snapshot(self, concert_id: str) -> tuple[bytes, Mapping[str, bytes]]:
        """What a door without network goes by, and the keys that may have signed it."""
        keys = await self._get("/tickets/keys", {}, _Keys)
        answer = await self._answer("/tickets/snapshot", {"concertId": concert_id})
        if answer.status_code != 200:
            raise CannotRehearse(f"GET /tickets/snapshot: {answer.status_code} {answer.text[:300]}")
        return answer.content, {key.kid: from_text(key.x) for key in keys.keys}

    async def merge(self, batch: Mapping[str, object]) -> None:
        """Tell what a door let in without network; told again, it changes nothing."""
        try:
            answer = await self._http.post("/tickets/admissions/merge", content=msgspec.json.encode(batch))
        except httpx.HTTPError as error:
            raise CannotRehearse(self._unreachable(error)) from error
        if answer.status_code != 200:
            raise CannotRehearse(f"POST /tickets/admissions/merge: {answer.status_code} {answer.text[:300]}")

    async def door_counts(self, concert_id: str) -> DoorCounts:
        """How many were let in and are inside, as tickets counts them."""
        return await self._get("/tickets/admissions", {"concertId": concert_id}, DoorCounts)

    async def double_entries(self, concert_id: str) -> Sequence[str]:
        """The tickets with which two were let in, once for each who should not have been."""
        found = await self._get("/tickets/admissions/conflicts", {"concertId": concert_id}, _Conflicts)
        return [each.ticket_id for each in found.items if each.kind == "double-entry"]

    async def audited(self, concert_id: str, type: str) -> int:
        """How many events of this type the audit log has for the concert."""
        asked = {"concertId": concert_id, "type": type, "limit": str(_PAGE)}
        count = 0
        while True:
            page = await self._get("/audit/events", asked, _Page[AuditedEvent])
            count += len(page.items)
            if page.next is None:
                return count
            asked["after"] = page.next

    async def _get(self, path: str, asked: Mapping[str, str], kind: type[T]) -> T:
        return _read(await self._answer(path, asked), 200, kind)

    async def _answer(self, path: str, asked: Mapping[str, str]) -> httpx.Response:
        pause_seconds = FIRST_PAUSE_SECONDS
        for tries_left in reversed(range(GET_TRIES)):
            try:
                answer = await self._http.get(path, params=dict(asked))
            except httpx.HTTPError as error:
                if not tries_left:
                    raise CannotRehearse(self._unreachable(error)) from error
            else:
                if answer.status_code < 500 or not tries_left:
                    return answer
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
        raise AssertionError("the last try returns or raises")

    def _unreachable(self, error: httpx.HTTPError) -> str:
        return f"no answer from {self._url}: {str(error) or type(error).__name__}. Is the server running (make run)?"


def read_tickets(body: bytes) -> Sequence[Ticket]:
    """The tickets of an order, as the server tells them. Raises CannotRehearse."""
    try:
        return msgspec.json.decode(body, type=Tickets).items
    except msgspec.MsgspecError as error:
        raise CannotRehearse(f"GET /tickets: an answer that makes no sense here: {error}") from error


def _soon() -> str:
    """When a concert begins whose doors are open by now."""
    return (datetime.now(UTC) + _BEGINS_IN).isoformat(timespec="seconds")


def _read(answer: httpx.Response, wanted: int, kind: type[T]) -> T:
    asked = f"{answer.request.method} {answer.request.url.path}"
    if answer.status_code == 401:
        raise CannotRehearse(f"{asked}: 401, the server has another organizer's key")
    if answer.status_code != wanted:
        raise CannotRehearse(f"{asked}: {answer.status_code} {answer.text[:300]}")
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.MsgspecError as error:
        raise CannotRehearse(f"{asked}: an answer that makes no sense here: {error}") from error
