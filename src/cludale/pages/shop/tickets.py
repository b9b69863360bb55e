"""Tickets: an order's, each with its code, paper and wallets; one by itself, for whom it was given to."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from cludale.pages import forms
from cludale.pages.api import Answer, Refused, path
from cludale.pages.shop import memory
from cludale.pages.shop.programme import Programme, checked
from cludale.pages.shop.views import Concert, Ticket, Tickets, WalletLink
from cludale.pages.site import NO_STORE, SECURITY, Missing, Site, Visit
from cludale.web.responses import Response
from cludale.web.routing import Route

_TICKET, _ORDER = "ticket-", "order-"
MOST_NAME = 100
FILES = {
    "svg": ("image/svg+xml", "inline"),
    "pdf": ("application/pdf", "attachment"),
    "pkpass": ("application/vnd.apple.pkpass", "attachment"),
}
"""What the services make of a ticket, and whether a browser shows it or keeps it as a file."""


class Given(NamedTuple):
    """A ticket that was given to somebody else, and the link that is for them."""

    ticket: Ticket
    link: str


class TicketPages:
    """The tickets' pages."""

    def __init__(self, site: Site, programme: Programme) -> None:
        self._site = site
        self._programme = programme

    def routes(self) -> list[Route]:
        """Its routes."""
        route = self._site.route
        return [
            route("GET", "/shop/orders/{order_id}/tickets", self._of_order),
            *(route("GET", f"/shop/tickets/{{ticket_id}}.{kind}", self._file_of(kind)) for kind in FILES),
            route("GET", "/shop/tickets/{ticket_id}/google", self._google),
            route("POST", "/shop/tickets/{ticket_id}/transfer", self._transfer),
            route("GET", "/shop/tickets/{ticket_id}", self._show),
        ]

    async def _of_order(self, visit: Visit) -> Response:
        """All of an order's, for whoever has its token."""
        token = memory.orders(visit).get(visit.segment)
        if token is None:
            raise Missing
        answer = await self._asked(visit, "GET", path("tickets", order=visit.segment), token)
        if answer.status == 404:  # paid a moment ago
            return self._site.private(visit, "shop/tickets.html", order=visit.segment, tickets=(), wallets=())
        found = checked(answer).read(Tickets)
        links = {each.id: self._link(visit, each.id, its) for each in found.items if (its := _own(visit, each.id))}
        return self._site.private(
            visit,
            "shop/tickets.html",
            order=visit.segment,
            tickets=found.items,
            wallets=found.wallets,
            links=links,
            concert=await self._concert_of(found.items[0].concert_id),
            printable=sum(each.code is not None for each in found.items),
        )

    async def _show(self, visit: Visit) -> Response:
        """One ticket. A link that brings its token is taken out of the address."""
        key = visit.query.get("key")
        if key is None:
            ticket = checked(await self._of(visit)).read(Ticket)
            return await self._page(visit, ticket)
        if not (memory.is_id(visit.segment) and memory.is_token(key)):
            raise Missing
        checked(await self._asked(visit, "GET", path("tickets", visit.segment), key))
        return self._site.see(visit, f"/shop/tickets/{visit.segment}", headers=(self._kept(visit, key),))

    async def _transfer(self, visit: Visit) -> Response:
        """Give it to somebody else: what opens it is shown, and kept by this browser in case the page is lost."""
        holder = forms.read(visit.request).get("holder", "").strip()
        if len(holder) > MOST_NAME:
            return await self._page(visit, checked(await self._of(visit)).read(Ticket), wrong="name", status=422)
        answer = await self._of(visit, "POST", "transfer", body={"holder": holder or None})
        if answer.status == 422:
            return await self._page(visit, checked(await self._of(visit)).read(Ticket), wrong="name", status=422)
        if answer.status == 409:
            ticket = checked(await self._of(visit)).read(Ticket)
            return await self._page(visit, ticket, refusal=answer.problem.name, status=409)
        ticket = checked(answer).read(Ticket)
        given = Given(ticket, self._link(visit, ticket.id, ticket.access_token))
        kept = self._kept(visit, ticket.access_token)
        return await self._page(visit, ticket, given=given, headers=(kept,))

    def _file_of(self, kind: str) -> Any:
        """A page that is a file. By an order's id it is one of all its tickets."""
        type, shown = FILES[kind]

        async def file(visit: Visit) -> Response:
            answer = await self._asked(visit, "GET", f"{path('tickets', visit.segment)}.{kind}", _token(visit))
            if answer.status != 200:
                raise Refused(answer.problem)
            name = ("content-disposition", f'{shown}; filename="{visit.segment}.{kind}"')
            return Response(200, answer.body, type, (*SECURITY, NO_STORE, name))

        return file

    async def _google(self, visit: Visit) -> Response:
        """On to Google's page, which saves it."""
        link = checked(await self._of(visit, "GET", "google-wallet")).read(WalletLink)
        return self._site.see(visit, link.url)

    # What pages are made of

    async def _page(
        self,
        visit: Visit,
        ticket: Ticket,
        *,
        given: Given | None = None,
        wrong: str = "",
        refusal: str = "",
        status: int = 200,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Response:
        order = order_of(ticket.id)
        return self._site.private(
            visit,
            "shop/ticket.html",
            status=status,
            headers=headers,
            ticket=ticket,
            concert=await self._concert_of(ticket.concert_id),
            order=order if order in memory.orders(visit) else None,
            given=given,
            wrong=wrong,
            refusal=refusal,
        )

    def _kept(self, visit: Visit, token: str) -> tuple[str, str]:
        """The cookie that remembers a ticket's own token."""
        tokens = memory.with_order(memory.tickets(visit), visit.segment, token)
        return forms.cookie(memory.TICKETS, tokens, secure=visit.secure)

    def _link(self, visit: Visit, id: str, token: str) -> str:
        return f"{self._site.base(visit)}/shop/tickets/{id}?key={token}"

    async def _concert_of(self, concert_id: str) -> Concert | None:
        try:
            return (await self._programme.concert(concert_id)).value
        except (Missing, Refused):
            return None

    async def _of(
        self, visit: Visit, method: str = "GET", *under: str, body: Mapping[str, object] | None = None
    ) -> Answer:
        return await self._asked(visit, method, path("tickets", visit.segment, *under), _token(visit), body)

    async def _asked(
        self, visit: Visit, method: str, path: str, token: str, body: Mapping[str, object] | None = None
    ) -> Answer:
        content = b"" if body is None else msgspec.json.encode(body)
        return await self._site.api.ask(
            method, path, content, headers={"authorization": f"Bearer {token}"}, caller=visit.request
        )


def order_of(id: str) -> str:
    """The order that a ticket is of; of an order's id itself."""
    return id if id.startswith(_ORDER) else _ORDER + id.removeprefix(_TICKET).rpartition(".")[0]


def _own(visit: Visit, id: str) -> str | None:
    """The ticket's own token, if this browser has it."""
    return memory.tickets(visit).get(id)


def _token(visit: Visit) -> str:
    """What opens the ticket here: its own token, else its order's. Raises Missing."""
    token = _own(visit, visit.segment) or memory.orders(visit).get(order_of(visit.segment))
    if token is None:
        raise Missing
    return token
