"""What there is to buy, read from the API at most once a second, however many look.

One answer at a time is under way for each question; all who ask meanwhile share it.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from cludale.pages.api import Api, Refused, path
from cludale.pages.shop.views import Concert, FoundConcerts, FreeSeats
from cludale.pages.site import Missing, checked
from cludale.runtime.recent import Recent
from cludale.runtime.shared import Shared
from cludale.web.responses import Source

FRESH_SECONDS = 1.0
KEPT = 512
"""Answers kept of each kind, those that came last."""

T = TypeVar("T")


class FreshAnswer(NamedTuple, Generic[T]):
    """An answer, and how often this question had another one before it."""

    value: T
    version: int
    at: float
    body: bytes
    source: Source
    """Tells whether there is a newer answer: then a page that was made of this one is not shown again. Once the answer
    is not kept any more, nothing is told, and such a page ends when the answer is no longer fresh.
    """

    @property
    def until(self) -> float:
        """When it is fresh no more."""
        return self.at + FRESH_SECONDS


class Fresh(Generic[T]):
    """Answers of one type, by path."""

    def __init__(self, api: Api, type: type[T], *, clock: Callable[[], float]) -> None:
        """`clock`: seconds that never go back."""
        self._api = api
        self._type: Any = type
        self._clock = clock
        self._kept: Recent[str, FreshAnswer[T]] = Recent(KEPT)
        self._asking: Shared[str, FreshAnswer[T]] = Shared()
        self._versions = 0

    def now(self, path: str, *, within_seconds: float = FRESH_SECONDS) -> FreshAnswer[T] | None:
        """The answer, if it is fresh."""
        kept = self._kept.get(path)
        return kept if kept is not None and self._clock() - kept.at < within_seconds else None

    async def get(self, path: str, *, within_seconds: float = FRESH_SECONDS) -> FreshAnswer[T]:
        """The answer, no older than this. Raises Missing, Refused, Unreachable."""
        kept = self.now(path, within_seconds=within_seconds)
        return await self._asking.get(path, lambda: self._ask(path)) if kept is None else kept

    async def _ask(self, path: str) -> FreshAnswer[T]:
        at = self._clock()
        answer = await self._api.ask("GET", path)
        before = self._kept.get(path)
        if before is not None and answer.status == 200 and answer.body == before.body:
            kept = before._replace(at=at)
        else:
            self._versions += 1
            if before is not None:
                before.source.is_over = True
            kept = FreshAnswer(checked(answer).read(self._type), self._versions, at, answer.body, Source())
        self._kept.remember({path: kept})
        return kept


class Offered(msgspec.Struct, frozen=True):
    """Are there invoices for who buys?"""

    invoices: bool


class Programme:
    """Concerts."""

    def __init__(self, api: Api, *, clock: Callable[[], float]) -> None:
        self.concerts: Fresh[Concert] = Fresh(api, Concert, clock=clock)
        self._seats: Fresh[FreeSeats] = Fresh(api, FreeSeats, clock=clock)
        self._invoices: Fresh[Offered] = Fresh(api, Offered, clock=clock)
        self._lists: Fresh[FoundConcerts] = Fresh(api, FoundConcerts, clock=clock)

    def fresh_concert(self, id: str) -> FreshAnswer[Concert] | None:
        """One that is known, and fresh."""
        return self.concerts.now(f"/concerts/{id}")

    async def concert(self, id: str, *, within_seconds: float = FRESH_SECONDS) -> FreshAnswer[Concert]:
        """One, no older than this. Raises Missing, Refused, Unreachable."""
        return await self.concerts.get(path("concerts", id), within_seconds=within_seconds)

    async def known(self, id: str) -> Concert | None:
        """One, for a page that can do without. Raises Unreachable."""
        try:
            return (await self.concert(id)).value
        except (Missing, Refused):
            return None

    async def seats(self, id: str) -> FreshAnswer[FreeSeats]:
        """Which numbered seats of a concert can be had. Raises Missing, Refused, Unreachable."""
        return await self._seats.get(path("concerts", id, "seats"))

    async def has_invoices(self, id: str) -> bool:
        """Does who pays for this concert get an invoice? Raises Unreachable."""
        try:
            return (await self._invoices.get(path("orders", "invoices", "offered", concertId=id))).value.invoices
        except (Missing, Refused):
            return False

    def list(self, **query: Any) -> Awaitable[FreshAnswer[FoundConcerts]]:
        """Those that `GET /concerts` finds. Raises Refused, Unreachable."""
        return self._lists.get(path("concerts", **query))
