"""Tickets: an order's, each with its code, paper and wallets; one by itself, for whom it was given to."""

from cludale.kernel.ids import from_key
from cludale.pages import forms
from cludale.pages.api import Refused, path
from cludale.pages.shop import memory
from cludale.pages.shop.programme import Programme
from cludale.pages.shop.views import Ticket, Tickets, WalletLink
from cludale.pages.site import NO_STORE, SECURITY, Missing, Page, Site, Visit, checked
from cludale.web.responses import Headers, Response
from cludale.web.routing import Route

_TICKET, _ORDER = "ticket-", "order-"
MOST_NAME = 100
FILES = {
    "svg": ("image/svg+xml", "inline"),
    "pdf": ("application/pdf", "attachment"),
    "pkpass": ("application/vnd.apple.pkpass", "attachment"),
}
"""What the services make of a ticket, and whether a browser shows it or keeps it as a file."""


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
        token = memory.token_of(visit, visit.segment)
        if token is None:
            raise Missing
        answer = await self._site.ask(visit, "GET", path("tickets", order=visit.segment), token=token)
        if answer.status == 404:  # paid a moment ago
            return self._site.private(visit, "shop/tickets.html", order=visit.segment, tickets=(), wallets=())
        found = checked(answer).read(Tickets)
        given = memory.tickets(visit)
        return self._site.private(
            visit,
            "shop/tickets.html",
            order=visit.segment,
            tickets=found.items,
            wallets=found.wallets,
            links={each.id: self._link(visit, each.id, given[each.id]) for each in found.items if each.id in given},
            concert=await self._programme.known(found.items[0].concert_id),
            printable=any(each.code is not None for each in found.items),
        )

    async def _show(self, visit: Visit) -> Response:
        """One ticket. A link that brings its token is taken out of the address."""
        key = visit.query.get("key")
        if key is None:
            return await self._page(visit, await self._ticket(visit))
        if not (memory.is_id(visit.segment) and memory.is_token(key)):
            raise Missing
        checked(await self._site.ask(visit, "GET", path("tickets", visit.segment), token=key))
        return self._site.see(visit, f"/shop/tickets/{visit.segment}", headers=(self._token_cookie(visit, key),))

    async def _transfer(self, visit: Visit) -> Response:
        """Give it to somebody else: what opens it is shown, and kept by this browser in case the page is lost."""
        fields = forms.read(visit.request)
        holder, token = fields.get("holder", "").strip(), _token(visit)
        if fields.get("was", _mark(token)) != _mark(token):  # it was sent before, and this is a reload of the answer
            ticket = await self._ticket(visit)
            return await self._page(visit, ticket, link=self._link(visit, ticket.id, token))
        if len(holder) > MOST_NAME:
            return await self._page(visit, await self._ticket(visit), wrong="name", status=422)
        to = path("tickets", visit.segment, "transfer")
        once = {"idempotency-key": from_key("given", token, holder)}  # a form that is sent twice gives it once
        answer = await self._site.ask(visit, "POST", to, {"holder": holder or None}, token=token, headers=once)
        if answer.status == 422:
            return await self._page(visit, await self._ticket(visit), wrong="name", status=422)
        if answer.status == 409:
            return await self._page(visit, await self._ticket(visit), refusal=answer.problem.name, status=409)
        ticket = checked(answer).read(Ticket)
        link, kept = self._link(visit, ticket.id, ticket.access_token), self._token_cookie(visit, ticket.access_token)
        return await self._page(visit, ticket, link=link, headers=(kept,))

    def _file_of(self, kind: str) -> Page:
        """A page that is a file. By an order's id it is one of all its tickets."""
        type, shown = FILES[kind]

        async def file(visit: Visit) -> Response:
            answer = await self._site.ask(visit, "GET", path("tickets", f"{visit.segment}.{kind}"), token=_token(visit))
            if answer.status != 200:
                raise Refused(answer.problem)
            name = ("content-disposition", f'{shown}; filename="{visit.segment}.{kind}"')
            return Response(200, answer.body, type, (*SECURITY, NO_STORE, name))

        return file

    async def _google(self, visit: Visit) -> Response:
        """On to Google's page, which saves it."""
        wallet = path("tickets", visit.segment, "google-wallet")
        link = checked(await self._site.ask(visit, "GET", wallet, token=_token(visit))).read(WalletLink)
        return self._site.see(visit, link.url)

    # What pages are made of

    async def _ticket(self, visit: Visit) -> Ticket:
        """The ticket that the page is about. Raises Missing."""
        found = await self._site.ask(visit, "GET", path("tickets", visit.segment), token=_token(visit))
        return checked(found).read(Ticket)

    async def _page(
        self,
        visit: Visit,
        ticket: Ticket,
        *,
        link: str = "",
        wrong: str = "",
        refusal: str = "",
        status: int = 200,
        headers: Headers = (),
    ) -> Response:
        """`link`: it was given away just now, and this opens it for its new holder."""
        order = order_of(ticket.id)
        return self._site.private(
            visit,
            "shop/ticket.html",
            status=status,
            headers=headers,
            ticket=ticket,
            concert=await self._programme.known(ticket.concert_id),
            order=order if memory.token_of(visit, order) is not None else None,
            link=link,
            was=_mark(ticket.access_token or _token(visit)),
            wrong=wrong,
            refusal=refusal,
        )

    def _token_cookie(self, visit: Visit, token: str) -> tuple[str, str]:
        """The cookie that remembers a ticket's own token."""
        tokens = memory.with_token(memory.tickets(visit), visit.segment, token)
        return forms.cookie(memory.TICKETS, tokens, secure=visit.secure)

    def _link(self, visit: Visit, id: str, token: str) -> str:
        return f"{self._site.base(visit)}/shop/tickets/{id}?key={token}"


def order_of(id: str) -> str:
    """The order that a ticket is of; of an order's id itself."""
    return id if id.startswith(_ORDER) else _ORDER + id.removeprefix(_TICKET).rpartition(".")[0]


def _mark(token: str) -> str:
    """What a form says of the token that opened the ticket when it was shown; nothing follows from it."""
    return from_key("was", token)


def _token(visit: Visit) -> str:
    """What opens the ticket here: its own token, else its order's. Raises Missing."""
    token = memory.tickets(visit).get(visit.segment) or memory.token_of(visit, order_of(visit.segment))
    if token is None:
        raise Missing
    return token
