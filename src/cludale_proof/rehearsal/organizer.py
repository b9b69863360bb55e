"""The organizer's side of a rehearsal: puts the concert on and asks how things stand, over the public API."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import Final, Generic, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from cludale_proof.rehearsal.plan import AuditedEvent, CannotRehearse, Concert, Order, Plan

_PAGE: Final = 200
_TIMEOUT_SECONDS: Final = 30.0
GET_TRIES: Final = 12
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0
"""With these a service may be away for half a minute: rehearsals are for finding out what happens then."""

T = TypeVar("T")


class _Page(msgspec.Struct, Generic[T], frozen=True):
    items: Sequence[T]
    next: str | None


class Verdict(msgspec.Struct, frozen=True):
    """What `GET /audit/verify` says."""

    ok: bool
    events: int
    head: str


class Organizer:
    """A client with the organizer's key. Reading is tried for half a minute, then raises CannotRehearse."""

    def __init__(
        self, url: str, organizer_key: str, headers: Mapping[str, str], *, trust: ssl.SSLContext | None = None
    ) -> None:
        self._url = url
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={**headers, "Authorization": f"Bearer {organizer_key}"},
            timeout=_TIMEOUT_SECONDS,
            verify=trust or True,
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
            "date": "2099-12-31",
            "totalSeats": plan.seats,
            "price": {"amount": 4500, "currency": "EUR"},
            "maxPerOrder": plan.most_tickets,
            "listed": False,
        }
        try:
            answer = await self._http.post("/concerts", json=wanted)
        except httpx.HTTPError as error:
            raise CannotRehearse(self._unreachable(error)) from error
        return _read(answer, 201, Concert)

    async def concert(self, concert_id: str) -> Concert:
        """The concert as it stands."""
        return await self._get(f"/concerts/{quote(concert_id, safe='')}", {}, Concert)

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
                    await self._cancel(order.id)
        return count

    async def _cancel(self, order_id: str) -> None:
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

    async def _get(self, path: str, asked: Mapping[str, str], kind: type[T]) -> T:
        pause_seconds = FIRST_PAUSE_SECONDS
        for tries_left in reversed(range(GET_TRIES)):
            try:
                answer = await self._http.get(path, params=dict(asked))
            except httpx.HTTPError as error:
                if not tries_left:
                    raise CannotRehearse(self._unreachable(error)) from error
            else:
                if answer.status_code < 500 or not tries_left:
                    return _read(answer, 200, kind)
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
        raise AssertionError("the last try returns or raises")

    def _unreachable(self, error: httpx.HTTPError) -> str:
        return f"no answer from {self._url}: {str(error) or type(error).__name__}. Is the server running (make run)?"


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
