"""Tickets over HTTP: shapes, routes, refusal → status. Decides nothing."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.ids import Id
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, NotFound, Refusal
from cludale.services.tickets.domain import (
    NotInside,
    OrderTickets,
    TicketUsed,
    TicketVoid,
    parsed_id,
)
from cludale.services.tickets.events import Direction, UndoReason
from cludale.services.tickets.service import ShownTicket, Tickets
from cludale.web.access import Access
from cludale.web.ownership import Ownership
from cludale.web.problems import Statuses
from cludale.web.responses import Response, json_response
from cludale.web.routing import TRACEPARENT, Credential, Owned, Reply, Request, route
from cludale.web.seats import SeatView

_ASKS_THE_DOOR = ("concerts", "orders")
"""The services that ask whom the door let in."""
PRIVATE = (("cache-control", "private, no-store"),)
PDF, SVG, PNG = "application/pdf", "image/svg+xml", "image/png"
PKPASS = "application/vnd.apple.pkpass"


class TicketIsTransferred(Refusal):
    """The ticket is somebody else's now: its own token opens it, and the order's no longer does."""

    def __init__(self, id: str) -> None:
        super().__init__(f"Ticket {id!r} is somebody else's now: its own token opens it.", ticket=id)


STATUS: Statuses = {TicketVoid: 409, TicketUsed: 409, NotInside: 409, TicketIsTransferred: 409}


class TicketStatus(StrEnum):
    """How a ticket stands."""

    VALID = "Valid"
    REVOKED = "Revoked"


_CODE = (
    "what its QR code shows; null where the ticket is void, or is somebody else's than who asks: after a transfer the "
    "ticket's own token shows it"
)


class TicketView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A ticket as it stands now."""

    id: str
    order_id: str
    concert_id: str
    section: str
    section_name: str
    number: Annotated[int, Meta(description="which of the order's tickets")]
    quantity: Annotated[int, Meta(description="how many the order has")]
    status: TicketStatus
    transferred: bool
    holder: str | None
    valid_from: Annotated[datetime, Meta(description="from when on it lets in")]
    valid_until: datetime
    admitted_at: Annotated[datetime | None, Meta(description="when somebody was let in with it last")]
    code: Annotated[str | None, Meta(description=_CODE)]
    seat: Annotated[SeatView | UnsetType, Meta(description="where seats have numbers")] = UNSET

    @classmethod
    def of(cls, shown: ShownTicket, *, is_theirs: bool) -> Self:
        """`is_theirs`: may who asks see the code?"""
        ticket, seats = shown.ticket, shown.of.allocation
        is_valid = ticket.revoked is None
        came = [move.at for move in ticket.moves if move.direction is Direction.IN]
        return cls(
            id=shown.id,
            order_id=shown.of.order_id,
            concert_id=shown.of.concert_id,
            section="" if seats is None else seats.section,
            section_name=shown.section,
            number=shown.number,
            quantity=shown.of.quantity,
            status=TicketStatus.VALID if is_valid else TicketStatus.REVOKED,
            transferred=ticket.is_transferred,
            holder=shown.holder if is_theirs else None,
            valid_from=shown.hours.since,
            valid_until=shown.hours.until,
            admitted_at=max(came, default=None),
            code=shown.code if is_valid and is_theirs else None,
            seat=UNSET if shown.seat is None else SeatView.of(shown.seat),
        )


class Wallet(StrEnum):
    """What a phone keeps tickets in."""

    APPLE = "apple"
    GOOGLE = "google"


class OrdersTickets(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All tickets of an order."""

    items: list[TicketView]
    wallets: Annotated[list[Wallet], Meta(description="the wallets that tickets can be saved in here")]


class OfOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Of which order."""

    order: Id


class UndoAdmission(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Why an admission did not count."""

    reason: UndoReason


class WalletLink(msgspec.Struct, frozen=True, kw_only=True):
    """A link that saves a ticket."""

    url: str


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key as a JSON Web Key (RFC 8037)."""

    kid: str
    kty: str
    crv: str
    x: str
    alg: str
    use: str
    exp: Annotated[int | None, Meta(description="second since 1970 at which its codes end; null: it signs")]


class PublicKeys(msgspec.Struct, frozen=True):
    """The keys that codes are good with, the one that signs first."""

    keys: list[PublicKey]


class TicketsApi:
    """The routes of tickets."""

    def __init__(self, tickets: Tickets, access: Access, ownership: Ownership) -> None:
        self._tickets = tickets
        self._access = access
        self._ownership = ownership
        has = {Wallet.APPLE: tickets.wallets.has_apple, Wallet.GOOGLE: tickets.wallets.has_google}
        self._wallets = [wallet for wallet, is_there in has.items() if is_there]

    @route(
        "GET",
        "/tickets",
        credential=Credential.BUYER,
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        callers=_ASKS_THE_DOOR,
        summary="List an order's tickets",
        description="One a seat, as soon as the order is Paid. The order's access token opens it.",
        replies={200: Reply(OrdersTickets)},
        refusals=(NotFound, Busy),
    )
    async def list_tickets(self, request: Request, query: OfOrder) -> Response:
        """All of them, void ones too."""
        is_service = self._access.is_one_of(_ASKS_THE_DOOR, request.authorization)
        is_buyer = not is_service and self._access.of_order(query.order, request.authorization, Scope.READ) is None
        tickets = await self._tickets.of_order(query.order)
        if not is_buyer and not is_service:
            await self.owned(request, tickets, Scope.READ, query.order)
        shown = await self._tickets.shown(tickets, tickets.numbers)
        items = [TicketView.of(each, is_theirs=not (is_buyer and each.ticket.is_transferred)) for each in shown]
        return private(json_response(OrdersTickets(items=items, wallets=self._wallets)))

    @route(
        "GET",
        "/tickets/keys",
        summary="The keys that tickets are signed with",
        description=(
            "Public keys (Ed25519) for doors without network. A code is Base45 (RFC 9285) of a CBOR Web Token in a "
            "COSE_Sign1 message."
        ),
        replies={200: Reply(PublicKeys)},
    )
    async def list_keys(self, _: Request) -> Response:
        """As a JSON Web Key Set."""
        keys = [
            PublicKey(
                kid=key.id,
                kty="OKP",
                crv="Ed25519",
                x=urlsafe_b64encode(public).rstrip(b"=").decode(),
                alg="EdDSA",
                use="sig",
                exp=None if key.ends_at is None else int(key.ends_at.timestamp()),
            )
            for key, public in self._tickets.public_keys()
        ]
        return json_response(PublicKeys(keys))

    @route(
        "POST",
        "/tickets/{ticket_id}/undo",
        scope=Scope.DOOR,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Undo an admission",
        description="The ticket's last admission did not count: its code lets in again.",
        replies={200: Reply(TicketView)},
        refusals=(NotFound, NotInside, Busy),
    )
    async def undo_admission(self, request: Request, body: UndoAdmission) -> Response:
        """The ticket."""
        order_id, number = parsed_id(request.segment)
        await self.owned(request, await self.known(request.segment), Scope.DOOR, request.segment)
        tickets = await self._tickets.doors.undo(order_id, number, reason=body.reason, cause=request.cause)
        (shown,) = await self._tickets.shown(tickets, [number])
        return private(json_response(TicketView.of(shown, is_theirs=False)))

    @route(
        "GET",
        "/tickets/{ticket_id}.pdf",
        credential=Credential.BUYER,
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="A ticket to print",
        description="PDF, tagged for screen readers (PDF/UA-1). By an order's id all of its tickets that are valid.",
        replies={200: Reply(bytes, media_type=PDF)},
        refusals=(NotFound, TicketVoid, TicketIsTransferred, Busy),
    )
    async def print_ticket(self, request: Request) -> Response:
        """The document."""
        if request.segment.startswith("order-"):
            shown = await self._printable(request, request.segment)
        else:
            shown = [await self._open(request)]
        return Response(200, await self._tickets.pdf(shown), PDF, PRIVATE)

    @route(
        "GET",
        "/tickets/{ticket_id}.svg",
        credential=Credential.BUYER,
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="A ticket's QR code as a drawing",
        replies={200: Reply(bytes, media_type=SVG)},
        refusals=(NotFound, TicketVoid, TicketIsTransferred, Busy),
    )
    async def draw_ticket(self, request: Request) -> Response:
        """SVG."""
        return Response(200, await self._tickets.drawing(await self._open(request)), SVG, PRIVATE)

    @route(
        "GET",
        "/tickets/{ticket_id}.png",
        credential=Credential.BUYER,
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="A ticket's QR code as an image",
        replies={200: Reply(bytes, media_type=PNG)},
        refusals=(NotFound, TicketVoid, TicketIsTransferred, Busy),
    )
    async def image_ticket(self, request: Request) -> Response:
        """PNG."""
        return Response(200, await self._tickets.image(await self._open(request)), PNG, PRIVATE)

    @route(
        "GET",
        "/tickets/{ticket_id}.pkpass",
        credential=Credential.BUYER,
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="A ticket for Apple Wallet",
        description="Where a certificate for passes is set; else 404.",
        replies={200: Reply(bytes, media_type=PKPASS)},
        refusals=(NotFound, TicketVoid, TicketIsTransferred, Busy),
    )
    async def apple_pass(self, request: Request) -> Response:
        """Signed."""
        return Response(200, await self._tickets.pkpass(await self._open(request)), PKPASS, PRIVATE)

    @route(
        "GET",
        "/tickets/{ticket_id}/google-wallet",
        credential=Credential.BUYER,
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="A link that saves a ticket in Google Wallet",
        description="Where an issuer of passes is set; else 404.",
        replies={200: Reply(WalletLink)},
        refusals=(NotFound, TicketVoid, TicketIsTransferred, Busy),
    )
    async def google_pass(self, request: Request) -> Response:
        """Signed."""
        url = await self._tickets.google_link(await self._open(request))
        return private(json_response(WalletLink(url=url)))

    @route(
        "GET",
        "/tickets/{ticket_id}",
        credential=Credential.BUYER,
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="Look at a ticket",
        description="The order's token opens it; after a transfer the ticket's own.",
        replies={200: Reply(TicketView)},
        refusals=(NotFound, Busy),
    )
    async def show_ticket(self, request: Request) -> Response:
        """The ticket."""
        shown, is_theirs = await self._shown(request, request.segment, Scope.READ)
        return private(json_response(TicketView.of(shown, is_theirs=is_theirs)))

    async def known(self, id: str) -> OrderTickets:
        """The tickets of the order that this one is of. Raises NotFound."""
        order_id, number = parsed_id(id)
        try:
            tickets = await self._tickets.of_order(order_id)
        except NotFound:
            raise NotFound("ticket", id) from None
        tickets.ticket(number)
        return tickets

    async def _shown(self, request: Request, id: str, scope: Scope) -> tuple[ShownTicket, bool]:
        """A ticket, and whether its code is for who asks: the holder, the organizer, or the buyer who kept it.

        Raises NotFound for anyone else, ScopeMissing.
        """
        order_id, number = parsed_id(id)
        tickets = await self.known(id)
        ticket = tickets.ticket(number)
        is_theirs = True
        if not self._access.opens(opened_by(id, ticket.generation), request.authorization):
            try:
                is_buyer = self._access.of_order(order_id, request.authorization, scope) is None
            except NotFound:
                raise NotFound("ticket", id) from None
            if is_buyer:
                is_theirs = not ticket.is_transferred
            else:
                await self.owned(request, tickets, scope, id)
        (shown,) = await self._tickets.shown(tickets, [number])
        return shown, is_theirs

    async def _open(self, request: Request) -> ShownTicket:
        """A valid ticket whose code is for who asks. Raises NotFound, TicketVoid, TicketIsTransferred."""
        shown, is_theirs = await self._shown(request, request.segment, Scope.READ)
        if shown.ticket.revoked is not None:
            raise TicketVoid(request.segment, shown.ticket.revoked)
        if not is_theirs:
            raise TicketIsTransferred(request.segment)
        return shown

    async def _printable(self, request: Request, order_id: str) -> Sequence[ShownTicket]:
        """The tickets of an order that are valid and for who asks. Raises NotFound, where there are none."""
        is_buyer = self._access.of_order(order_id, request.authorization, Scope.READ) is None
        tickets = await self._tickets.of_order(order_id)
        if not is_buyer:
            await self.owned(request, tickets, Scope.READ, order_id)
        numbers = [each for each in tickets.valid if not (is_buyer and tickets.ticket(each).is_transferred)]
        if not numbers:
            raise NotFound("order with valid tickets", order_id)
        return await self._tickets.shown(tickets, numbers)

    async def owned(self, request: Request, tickets: OrderTickets, scope: Scope, asked: str) -> None:
        """Are these tickets of a concert of who asks? Raises NotFound, Unauthorized, ScopeMissing."""
        principal = self._access.check(request.authorization, scope)
        if not await self._ownership.owns(principal, tickets.concert_id):
            raise NotFound("ticket", asked)


def opened_by(id: str, generation: int) -> str:
    """What the token of a ticket follows from: it changes with each transfer."""
    return f"{id}/{generation}"


def private(response: Response) -> Response:
    """The same, which nobody keeps."""
    return response._replace(headers=(*response.headers, *PRIVATE))
