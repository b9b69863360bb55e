"""Seats and Contacts over HTTP. A refusal that comes back as problem+json becomes the refusal that it was."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx
import msgspec

from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy, Refusal
from cludale.ports.contacts import Contact, ContactsUnreachable
from cludale.ports.seats import (
    ConcertNotFound,
    HoldEnded,
    HoldWish,
    NotOnSale,
    OverTheLimit,
    SeatsHeld,
    SeatsUnavailable,
    SeatsUnreachable,
    SectionNotFound,
)

CONTACTS_AT_ONCE = 16


class _Held(msgspec.Struct, rename="camel"):
    id: str
    section: str
    quantity: int
    price: Money
    expires_at: datetime
    event_id: str | None = None


class HttpSeats:
    """The concerts service at `url`."""

    def __init__(self, url: str, organizer_key: str, *, timeout_seconds: float) -> None:
        self._client = httpx.AsyncClient(
            base_url=url, timeout=timeout_seconds, headers={"authorization": f"Bearer {organizer_key}"}
        )

    async def hold(self, wish: HoldWish) -> SeatsHeld:
        """Hold seats. Raises SeatsUnreachable when there is no answer in time, and the refusals of the port."""
        body: dict[str, Any] = {"quantity": wish.quantity, "orderId": wish.order_id}
        if wish.section is not None:
            body["section"] = wish.section
        headers = {"traceparent": wish.traceparent} if wish.traceparent else {}
        try:
            answer = await self._client.post(f"/concerts/{wish.concert_id}/reserve", json=body, headers=headers)
        except httpx.HTTPError as error:
            raise SeatsUnreachable(repr(error)) from error
        if answer.status_code != 201:
            raise _refusal(wish, answer)
        held = msgspec.json.decode(answer.content, type=_Held)
        return SeatsHeld(held.id, held.section, held.quantity, held.price, held.expires_at, held.event_id)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _refusal(wish: HoldWish, answer: httpx.Response) -> Refusal | SeatsUnreachable:
    try:
        problem = msgspec.json.decode(answer.content, type=dict[str, Any])
        name = str(problem["type"]).rpartition("/")[2]
    except (msgspec.MsgspecError, KeyError):
        return SeatsUnreachable(f"concerts answered {answer.status_code} without a problem")
    make = _REFUSALS.get(name)
    return make(wish, problem) if make else SeatsUnreachable(f"concerts answered {answer.status_code} {name}")


_REFUSALS: Mapping[str, Callable[[HoldWish, dict[str, Any]], Refusal]] = {
    "seats-unavailable": lambda w, p: SeatsUnavailable(w.concert_id, wanted=w.quantity, left=p["left"]),
    "not-on-sale": lambda w, p: NotOnSale(w.concert_id, msgspec.convert(p["onSaleAt"], datetime)),
    "concert-not-found": lambda w, _: ConcertNotFound(w.concert_id),
    "section-not-found": lambda w, _: SectionNotFound(w.concert_id, w.section or ""),
    "over-the-limit": lambda w, p: OverTheLimit(w.concert_id, wanted=w.quantity, limit=p["limit"]),
    "hold-ended": lambda _, p: HoldEnded(p["reservationId"]),
    "busy": lambda _, p: Busy(p.get("detail", "concerts is busy")),
}


class HttpContacts:
    """The orders service at `url`."""

    def __init__(self, url: str, organizer_key: str, *, timeout_seconds: float) -> None:
        self._client = httpx.AsyncClient(
            base_url=url, timeout=timeout_seconds, headers={"authorization": f"Bearer {organizer_key}"}
        )
        self._at_once = asyncio.Semaphore(CONTACTS_AT_ONCE)

    async def of(self, order_ids: Sequence[str]) -> Mapping[str, Contact]:
        """The contacts of these orders. Raises ContactsUnreachable."""
        found = await asyncio.gather(*(self._one(id) for id in order_ids))
        return {id: contact for id, contact in zip(order_ids, found, strict=True) if contact is not None}

    async def _one(self, order_id: str) -> Contact | None:
        async with self._at_once:
            try:
                answer = await self._client.get(f"/orders/{order_id}/contact")
            except httpx.HTTPError as error:
                raise ContactsUnreachable(repr(error)) from error
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise ContactsUnreachable(f"orders answered {answer.status_code}")
        return msgspec.json.decode(answer.content, type=Contact)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
