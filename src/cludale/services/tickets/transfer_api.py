"""Giving a ticket to somebody else over HTTP, once for a key: who loses the answer has not lost the ticket.

What is kept of the answer is which of the ticket's codes it was, and nothing of whose: it is shown anew.
"""

from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, NotFound
from cludale.ports.records import Put, Records
from cludale.runtime.idempotency import IdempotencyKeys, Keep
from cludale.services.tickets.api import TicketIsTransferred, TicketsApi, TicketView, opened_by, private
from cludale.services.tickets.domain import OrderTickets, TicketUsed, TicketVoid, parsed_id
from cludale.services.tickets.service import Tickets
from cludale.services.tickets.store import TICKETS
from cludale.web.access import Access
from cludale.web.fields import Text
from cludale.web.keyed import Keyed
from cludale.web.problems import Problems, Statuses
from cludale.web.responses import Response, json_response
from cludale.web.routing import IDEMPOTENCY_KEY, TRACEPARENT, Credential, Owned, Reply, Request, route


class Transfer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Who gets the ticket."""

    holder: Annotated[Text | None, Meta(description="the new holder's name, which the ticket then shows")] = None


class TransferredTicket(TicketView, frozen=True, kw_only=True, rename="camel"):
    """A ticket that is somebody else's now, with the bearer token that opens it."""

    access_token: Annotated[str, Meta(description="the bearer token of this ticket's routes; shown only here")]


class _Given(msgspec.Struct, frozen=True):
    """What is kept of an answer."""

    generation: int


class _Giver(NamedTuple):
    """Who asks."""

    name: str
    """Beside which a key is theirs."""
    has_it: bool
    """May they give it away now?"""


class TransferApi:
    """The route that gives a ticket away."""

    def __init__(self, tickets: Tickets, api: TicketsApi, access: Access, records: Records, statuses: Statuses) -> None:
        """`statuses`: those of all refusals of tickets, for answers that are kept."""
        self._tickets = tickets
        self._api = api
        self._access = access
        self._keyed = Keyed(IdempotencyKeys("tickets", records), Problems(statuses))

    @route(
        "POST",
        "/tickets/{ticket_id}/transfer",
        credential=Credential.BUYER,
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        headers=(IDEMPOTENCY_KEY, TRACEPARENT),
        summary="Give a ticket to somebody else",
        description=(
            "The ticket gets a new code, and the one before is void. The answer has the token that opens the ticket "
            "from then on, for its new holder; the order's token no longer shows the code. With an `Idempotency-Key` "
            "whoever gave it can ask again for the same answer, as long as the ticket was not given on."
        ),
        replies={200: Reply(TransferredTicket)},
        refusals=(NotFound, TicketVoid, TicketUsed, TicketIsTransferred, Busy),
    )
    async def transfer_ticket(self, request: Request, body: Transfer) -> Response:
        """The ticket, with its new code and token."""
        order_id, number = parsed_id(request.segment)
        giver, key = await self._giver(request, request.segment), request.idempotency_key

        def given(tickets: OrderTickets) -> Response:
            return json_response(_Given(tickets.ticket(number).generation))

        async def give(keep: Keep | None) -> Response:
            if not giver.has_it:
                raise TicketIsTransferred(request.segment)

            def keep_it(tickets: OrderTickets) -> Put:
                assert keep is not None  # noqa: S101 - it is called with a key alone
                return keep(Keyed.kept(given(tickets)))

            beside = None if keep is None else keep_it
            return given(
                await self._tickets.transfer(order_id, number, holder=body.holder, cause=request.cause, beside=beside)
            )

        if key is None:
            response = await give(None)
        else:
            named = f"POST /tickets/{request.segment}/transfer by {giver.name}"
            response = await self._keyed.once(named, key, body, give, partition=TICKETS.partition(order_id))
        return response if response.status != 200 else await self._shown(request.segment, response.body)

    async def _shown(self, id: str, kept: bytes) -> Response:
        """The ticket as it was given. Raises TicketIsTransferred, if it was given on."""
        order_id, number = parsed_id(id)
        tickets = await self._tickets.of_order(order_id)
        generation = msgspec.json.decode(kept, type=_Given).generation
        if tickets.ticket(number).generation != generation:
            raise TicketIsTransferred(id)
        (shown,) = await self._tickets.shown(tickets, [number])
        token = self._access.token_for(opened_by(id, generation))
        view = msgspec.structs.asdict(TicketView.of(shown, is_theirs=True))
        return private(json_response(TransferredTicket(**view, access_token=token)))

    async def _giver(self, request: Request, id: str) -> _Giver:
        """Who asks: holder, buyer or organizer, or the holder who has just given it. Raises NotFound, ScopeMissing."""
        order_id, number = parsed_id(id)
        tickets = await self._api.known(id)
        ticket = tickets.ticket(number)
        for generation in (ticket.generation, ticket.generation - 1):
            if self._access.opens(opened_by(id, generation), request.authorization):
                return _Giver(f"holder {generation}", has_it=generation == ticket.generation)
        try:
            is_buyer = self._access.of_order(order_id, request.authorization, Scope.SELL) is None
        except NotFound:
            raise NotFound("ticket", id) from None
        if is_buyer:
            return _Giver("buyer", has_it=not ticket.is_transferred)
        await self._api.owned(request, tickets, Scope.SELL, id)
        return _Giver("organizer", has_it=True)
