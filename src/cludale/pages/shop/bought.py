"""What the pages of an order and of a cart have in common: the link that opens them, the part that changes by itself,
another way to pay, and the cancellation.
"""

import hashlib
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from cludale.pages import forms
from cludale.pages.api import Answer, Problem, Refused, path
from cludale.pages.shop import memory
from cludale.pages.shop.buying import METHODS
from cludale.pages.shop.programme import Programme
from cludale.pages.site import SECURITY, Missing, Site, Visit, checked
from cludale.web.responses import HTML, Response
from cludale.web.routing import Route


class Opened(Protocol):
    """What was bought, for whoever has its token."""

    @property
    def token(self) -> str:
        """What opens it."""
        ...


K = TypeVar("K", bound=Opened)


class BoughtPages(ABC, Generic[K]):
    """The pages of one kind of what is bought."""

    AT: ClassVar[str]
    """Where they are: `/shop/orders`."""
    API: ClassVar[tuple[str, ...]]
    """The segments of the API's path, before the id."""
    PART: ClassVar[str]
    """The template of the part that changes by itself."""

    def __init__(self, site: Site, programme: Programme) -> None:
        self._site = site
        self._programme = programme

    def _common_routes(self) -> list[Route]:
        route, one = self._site.route, f"{self.AT}/{{bought_id}}"
        return [
            route("GET", f"{one}/state", self._state),
            route("POST", f"{one}/pay", self._pay),
            route("POST", f"{one}/cancel", self._cancel),
        ]

    @abstractmethod
    async def _known(self, visit: Visit, *, wait: bool) -> K:
        """What the address is about, for whoever has its token. Raises Missing."""

    @abstractmethod
    async def _values(self, visit: Visit, known: K, *, wrong: str = "") -> dict[str, Any]:
        """What its page is made of."""

    @abstractmethod
    async def _page(
        self, visit: Visit, known: K, *, wrong: str = "", refusal: Problem | None = None, status: int = 200
    ) -> Response:
        """Its page."""

    async def _open(self, visit: Visit, token: str) -> Response:
        """A link that brings the token: it is kept, and taken out of the address."""
        if not (memory.is_id(visit.segment) and memory.is_token(token)):
            raise Missing
        checked(await self._site.ask(visit, "GET", path(*self.API, visit.segment), token=token))
        tokens = memory.with_token(memory.orders(visit), visit.segment, token)
        cookie = forms.cookie(memory.ORDERS, tokens, secure=visit.secure)
        return self._site.see(visit, f"{self.AT}/{visit.segment}", headers=(cookie,))

    async def _state(self, visit: Visit) -> Response:
        """The part of the page that changes."""
        values = await self._values(visit, await self._known(visit, wait=False))
        seed, _ = self._site.form_seed(visit)
        html = self._site.html(visit, self.PART, csrf=forms.token(seed), **values)
        tag = ("etag", f'"{hashlib.sha256(html).hexdigest()[:24]}"')
        return Response(200, html, HTML, (*SECURITY, ("cache-control", "private, no-cache"), tag))

    async def _pay(self, visit: Visit) -> Response:
        """Pay in another way, once for each attempt that the page offered."""
        fields = forms.read(visit.request)
        known = await self._known(visit, wait=False)
        card, attempt = fields.get("card", ""), fields.get("attempt", "")
        if card not in METHODS or not memory.is_token(attempt):
            return await self._page(visit, known, wrong="card", status=422)
        return await self._tell(visit, known, "payment", {"paymentMethod": card}, attempt=attempt)

    async def _cancel(self, visit: Visit) -> Response:
        forms.read(visit.request)
        return await self._tell(visit, await self._known(visit, wait=False), "cancel")

    async def _tell(
        self, visit: Visit, known: K, what: str, body: Any = None, *, attempt: str = "", then: str = ""
    ) -> Response:
        """Tell the API, once for each `attempt`; `then`: the query of the page that is shown once it is done."""
        headers = {"idempotency-key": f"shop-{attempt}"} if attempt else {}
        at = path(*self.API, visit.segment, what)
        answer = await self._site.ask(visit, "POST", at, body, token=known.token, headers=headers)
        return await self._done(visit, answer, then)

    async def _done(self, visit: Visit, answer: Answer, then: str) -> Response:
        here = f"{self.AT}/{visit.segment}"
        if answer.status < 400:
            return self._site.see(visit, f"{here}{then}")
        if answer.status in (404, 500):
            raise Refused(answer.problem)
        if answer.problem.name in ("already-paid", "charge-open", "idempotency-key-in-flight"):
            return self._site.see(visit, here)
        known = await self._known(visit, wait=False)
        return await self._page(visit, known, refusal=answer.problem, status=answer.status)


def attempt_of(*said: str) -> str:
    """The key of what a form does, by what it was shown for: the form sent twice does it once."""
    return hashlib.sha256(" ".join(said).encode()).hexdigest()[:40]
