"""`BoxOffice`: what a buyer and an organizer do over HTTP. All that the journeys know of the platform they visit."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx

PATIENCE_SECONDS = 60
PRICE = {"amount": 4500, "currency": "EUR"}

Json = dict[str, Any]
T = TypeVar("T")


def fresh(what: str) -> str:
    """An id that nothing has yet, wherever this runs."""
    return f"{what}-{uuid4().hex[:12]}"


class BoxOffice:
    """The platform at `url`, however many processes it is made of there."""

    def __init__(self, url: str, organizer_key: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=30)
        self.organizer = {"authorization": f"Bearer {organizer_key}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def put_on(self, *, seats: int = 100, id: str | None = None, **more: Any) -> Json:
        """Put a concert on; with `sections`, these in place of `seats`."""
        body: Json = {
            "id": id or fresh("concert"),
            "artist": "The Paper Lanterns",
            "date": "2099-06-05",
            "venue": "The Barn",
        }
        if "sections" not in more:
            body |= {"totalSeats": seats, "price": PRICE}
        return self._expect(201, self.http.post("/concerts", json=body | more, headers=self.organizer))

    def concert(self, id: str) -> Json:
        """The concert as anyone sees it."""
        return self._expect(200, self.http.get(f"/concerts/{id}"))

    def counts(self, id: str) -> tuple[int, int, int]:
        """Seats available, held and sold; they add up."""
        seen = self.concert(id)
        counted = seen["availableSeats"], seen["heldSeats"], seen["soldSeats"]
        assert sum(counted) == seen["totalSeats"]
        return counted

    def before_the_on_sale(self, ask: Callable[[str], T]) -> tuple[str, datetime, T]:
        """A concert, when its on-sale begins, and what `ask` got there before: so late that it is before it."""
        for seconds in (1.5, 6, 24):
            opening = datetime.now(UTC) + timedelta(seconds=seconds)
            concert = self.put_on(onSaleAt=opening.isoformat())["id"]
            found = ask(concert)
            if datetime.now(UTC) < opening:
                return concert, opening, found
        raise AssertionError("nothing was answered within 24 s")

    def order(self, concert: str, *, quantity: int = 2, key: str | None = None, **more: Any) -> httpx.Response:
        """Ask for tickets, and the answer as it came."""
        headers = {} if key is None else {"idempotency-key": key}
        body = {"concertId": concert, "userId": "user-1", "quantity": quantity} | more
        return self.http.post("/orders", json=body, headers=headers)

    def buy(self, concert: str, *, quantity: int = 2, **more: Any) -> Json:
        """An order that gets its seats."""
        return self._expect(201, self.order(concert, quantity=quantity, **more))

    def look(self, order: Json, *, wait: float = 0) -> Json:
        """The order as its buyer sees it."""
        return self._expect(
            200, self.http.get(f"/orders/{order['id']}", params={"wait": wait}, headers=self.buyer(order))
        )

    def end(self, order: Json, status: str) -> Json:
        """The order once it is `status`."""
        return self.until(lambda: self.look(order, wait=2), lambda seen: seen["status"] == status)

    def cancel(self, order: Json, *, by: Mapping[str, str] | None = None) -> Json:
        """Cancel the order, as its buyer if nobody else is said."""
        return self._expect(200, self.http.post(f"/orders/{order['id']}/cancel", headers=by or self.buyer(order)))

    def pay_again(self, order: Json, method: str, *, key: str | None = None) -> httpx.Response:
        """The buyer pays in another way."""
        headers = self.buyer(order) | ({} if key is None else {"idempotency-key": key})
        return self.http.post(f"/orders/{order['id']}/payment", json={"paymentMethod": method}, headers=headers)

    def shows(self, order: Json, status: str) -> Json:
        """The order once it shows its payment so."""
        return self.until(
            lambda: self.look(order, wait=2),
            lambda seen: seen["payment"] is not None and seen["payment"]["status"] == status,
        )

    def charge(self, order: Json, **more: Any) -> httpx.Response:
        """The organizer charges the order now."""
        return self.http.post("/payments", json={"orderId": order["id"]} | more, headers=self.organizer)

    def charged(self, order: Json, **more: Any) -> str:
        """What came of a charge by the organizer; where it goes slowly, the answer comes before that is known."""
        answer = self.charge(order, **more)
        assert answer.is_success, answer.text
        status: str = answer.json()["status"]
        if status == "Pending":
            status = self.until(lambda: self.payment(order), lambda seen: seen["status"] != "Pending")["status"]
        return status

    def payment(self, order: Json) -> Json:
        """The order's one payment."""
        (payment,) = self.listed("/payments", orderId=order["id"])
        return payment

    def told(self, order: Json, *kinds: str) -> list[Json]:
        """What the buyer was told, once that is at least as much as `kinds` and done, and no more."""
        notes = self.until(
            lambda: self.listed("/notifications", orderId=order["id"]),
            lambda seen: len(seen) >= len(kinds) and all(note["status"] in ("Sent", "Logged") for note in seen),
        )
        assert sorted(note["kind"] for note in notes) == sorted(kinds)
        return notes

    def story(self, order: Json, *has: str) -> list[Json]:
        """The order's story, once it has an event of each of these types: a broker may bring the later ones first."""

        def tell() -> list[Json]:
            answer = self.http.get(f"/audit/orders/{order['id']}", headers=self.organizer)
            items: list[Json] = answer.json()["items"] if answer.status_code == 200 else []
            return items

        return self.until(tell, lambda items: set(has) <= set(types(items)))

    def listed(self, path: str, **filters: Any) -> list[Json]:
        """All items of an organizer's collection, page after page."""
        items: list[Json] = []
        after: str | None = None
        while True:
            query = filters | ({} if after is None else {"after": after})
            page = self._expect(200, self.http.get(path, params=query, headers=self.organizer))
            items += page["items"]
            after = page["next"]
            if after is None:
                return items

    def get(self, path: str, **query: Any) -> Json:
        """What an organizer gets there."""
        return self._expect(200, self.http.get(path, params=query, headers=self.organizer))

    def quiet(self) -> None:
        """Return once audit has heard nothing new for a moment."""
        heard = -1
        while heard != (now := self.get("/audit/verify")["events"]):
            heard = now
            time.sleep(0.15)

    @staticmethod
    def buyer(order: Json) -> Json:
        """The credential of whoever made the order."""
        return {"authorization": f"Bearer {order['accessToken']}"}

    @staticmethod
    def until(look: Callable[[], T], enough: Callable[[T], bool]) -> T:
        """What is seen once it is enough; an AssertionError with what was seen last if patience ends before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not enough(seen := look()):
            assert time.monotonic() < deadline, f"still {seen}"
            time.sleep(0.02)
        return seen

    @staticmethod
    def _expect(status: int, answer: httpx.Response) -> Json:
        assert answer.status_code == status, answer.text
        body: Json = answer.json()
        return body


def types(story: Sequence[Json]) -> list[str]:
    """The types of a story's events."""
    return [event["eventType"] for event in story]


def problem(answer: httpx.Response, status: int, name: str) -> Json:
    """The problem that an answer is; it is of the right kind in every respect."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    body: Json = answer.json()
    assert body["type"].rpartition("/")[2] == name
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body
