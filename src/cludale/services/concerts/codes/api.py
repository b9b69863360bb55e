"""Discount codes and quotes over HTTP: what an order would cost, and by what code it costs less."""

import secrets
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.bills import MOST_CATEGORIES, Bill, PriceWish, TicketCount
from cludale.kernel.ids import Id
from cludale.kernel.money import MAX_PRICE, Money
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.ports.prices import (
    CategoryNotFound,
    CategoryNotSold,
    CodeOver,
    CodeUnknown,
    CodeUsedUp,
    TotalTooHigh,
    UnderTheMinimum,
)
from cludale.ports.seats import (
    CalledOff,
    ConcertNotFound,
    ConcertOver,
    OtherCurrency,
    OverTheLimit,
    SaleEnded,
    SalePaused,
    SeatsUnavailable,
    SectionNotFound,
)
from cludale.services.concerts.codes import domain as codes
from cludale.services.concerts.codes.domain import Code, CodeExists, NewLimits
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import CodeLimits
from cludale.services.concerts.prices.api import Percent
from cludale.services.concerts.prices.domain import CodeTerms
from cludale.services.concerts.prices.price_list import NO_PRICING, check_percent
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.zoned_fields import moment
from cludale.web.fields import LocalDateOrTime, Quantity
from cludale.web.problems import Statuses
from cludale.web.queries import Page, Paged
from cludale.web.responses import Response, json_response
from cludale.web.routing import TRACEPARENT, Owned, Reply, Request, asking, route

STATUS: Statuses = {
    CategoryNotFound: 422,
    CategoryNotSold: 409,
    CodeExists: 409,
    CodeOver: 409,
    CodeUnknown: 422,
    CodeUsedUp: 409,
    TotalTooHigh: 409,
    UnderTheMinimum: 422,
}

CODE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$(?!\n)"
_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_MADE_LENGTH = 10

CodeText = Annotated[
    str,
    Meta(pattern=CODE_PATTERN, description="1 to 32 letters, digits, `.`, `_`, `-`; neither case matters"),
]
_MAX_USES = "orders that may use it; what is held counts until it ends unpaid, what was paid counts for good"
_MAX_TICKETS = "tickets of all orders that use it"
Uses = Annotated[int, Meta(ge=1, le=1_000_000, description=_MAX_USES)]
Tickets = Annotated[int, Meta(ge=1, le=1_000_000, description=_MAX_TICKETS)]


class CodeView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A discount code, and how often it was used."""

    code: str
    percent: float | None
    amount: Annotated[Money | None, Meta(description="less for each ticket, down to nothing")]
    unlocks: Annotated[str | None, Meta(description="the hidden category that is sold with it")]
    max_uses: int | None
    max_tickets: int | None
    ends_at: datetime | None
    uses: Annotated[int | None, Meta(description="orders that have it, paid or held; null where it has no limit")]
    tickets: Annotated[int | None, Meta(description="tickets of these")]
    created_at: datetime

    @classmethod
    def of(cls, code: Code, currency: str) -> "CodeView":
        """The view of a code of a concert with this currency."""
        terms, limits = code.terms, code.limits
        return cls(
            code=terms.code,
            percent=terms.percent,
            amount=None if terms.amount is None else Money(terms.amount, currency),
            unlocks=terms.unlocks,
            max_uses=limits.max_uses,
            max_tickets=limits.max_tickets,
            ends_at=limits.ends_at,
            uses=code.uses if code.is_limited else None,
            tickets=code.tickets if code.is_limited else None,
            created_at=code.created_at,
        )


class CreateCode(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A discount code to be: it makes tickets cheaper, unlocks a hidden category, or both."""

    SHOWN_AS: ClassVar = CodeView

    code: CodeText | None = None
    percent: Annotated[Percent | None, Meta(description="of each ticket's price")] = None
    amount: Annotated[Money | None, Meta(description="less for each ticket, down to nothing")] = None
    unlocks: Annotated[Id | None, Meta(description="a hidden category")] = None
    max_uses: Uses | None = None
    max_tickets: Tickets | None = None
    ends_at: LocalDateOrTime | None = None


class ChangeCode(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Other limits of a code. What is left out stays; null takes it away."""

    code: CodeText
    max_uses: Uses | UnsetType | None = UNSET
    max_tickets: Tickets | UnsetType | None = UNSET
    ends_at: LocalDateOrTime | UnsetType | None = UNSET


class FindCodes(Paged, frozen=True, kw_only=True):
    """Which codes to list."""

    code: Annotated[str, Meta(max_length=64, description="only this one")] | None = None


class QuoteOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What might be ordered: as in `POST /orders`."""

    quantity: Annotated[Quantity | None, Meta(description="may be left out where there are `tickets`")] = None
    tickets: Annotated[list[TicketCount], Meta(min_length=1, max_length=MOST_CATEGORIES)] | UnsetType = UNSET
    section: Annotated[Id | None, Meta(description="without it: the section that an order gets which names none")] = (
        None
    )
    code: Annotated[str, Meta(max_length=64)] | None = None
    max_total: Money | None = None


class QuoteView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an order costs if it is placed now."""

    concert_id: str
    section: str
    quantity: int
    available_seats: Annotated[int, Meta(description="of the section")]
    total: Money
    bill: Annotated[Bill, Meta(description="line by line: minor units of `currency`")]
    unlocked: Annotated[str | None, Meta(description="the hidden category that the code unlocks")]


class CodesApi:
    """The routes of codes and quotes."""

    def __init__(self, concerts: Concerts) -> None:
        self._concerts = concerts

    @route(
        "POST",
        "/concerts/{concert_id}/codes",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Make a discount code",
        description="For one concert. With `percent` or `amount` each ticket costs less, with `unlocks` a hidden "
        "category is sold to who has it. What it gives stays; its limits can be changed.",
        replies={201: Reply(CodeView, "The code.")},
        refusals=(ConcertNotFound, CodeExists, Busy),
    )
    async def create_code(self, request: Request, body: CreateCode) -> Response:
        """201 the code."""
        principal = asking(request)
        concert = await self._concerts.directory.own(request.segment, principal)
        currency = _currency(concert)
        terms = _terms(concert, body)
        limits = CodeLimits(
            max_uses=body.max_uses,
            max_tickets=body.max_tickets,
            ends_at=None if body.ends_at is None else moment("endsAt", body.ends_at, concert.zone, is_end=True),
        )
        made = await self._concerts.codes.create(concert.id, terms, limits, by=principal.id, cause=request.cause)
        return json_response(CodeView.of(made, currency), 201)

    @route(
        "PATCH",
        "/concerts/{concert_id}/codes",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Change a discount code",
        description="Its limits and its end. Below what was used, nobody gets it any more; who has it keeps it.",
        replies={200: Reply(CodeView)},
        refusals=(ConcertNotFound, NotFound, Busy),
    )
    async def change_code(self, request: Request, body: ChangeCode) -> Response:
        """200 the code."""
        principal = asking(request)
        concert = await self._concerts.directory.own(request.segment, principal)
        ends_at = body.ends_at
        wanted = NewLimits(
            max_uses=body.max_uses,
            max_tickets=body.max_tickets,
            ends_at=moment("endsAt", ends_at, concert.zone, is_end=True) if isinstance(ends_at, str) else ends_at,
        )
        changed = await self._concerts.codes.change(concert.id, body.code, wanted, by=principal.id, cause=request.cause)
        return json_response(CodeView.of(changed, _currency(concert)))

    @route(
        "GET",
        "/concerts/{concert_id}/codes",
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="List a concert's discount codes",
        replies={200: Reply(Page[CodeView])},
        refusals=(ConcertNotFound, NotFound),
    )
    async def list_codes(self, request: Request, query: FindCodes) -> Response:
        """A page of them."""
        concert = await self._concerts.directory.own(request.segment, asking(request))
        if query.code is not None:
            found, following = [await self._concerts.codes.show(concert.id, query.code)], None
        else:
            found, following = await self._concerts.codes.page(concert.id, after=query.after, limit=query.limit)
        currency = _currency(concert)
        return json_response(Page([CodeView.of(each, currency) for each in found], following))

    @route(
        "POST",
        "/concerts/{concert_id}/quote",
        summary="Ask what an order costs",
        description=(
            "With discount, fees and taxes, line by line, as `POST /orders` would charge it now; before the on-sale, "
            "when that begins. Nothing is held and "
            "nothing changes: to be sure of the price, order with the quote's total as `maxTotal`."
        ),
        replies={200: Reply(QuoteView)},
        refusals=(
            ConcertNotFound,
            SeatsUnavailable,
            SaleEnded,
            SalePaused,
            CalledOff,
            ConcertOver,
            OverTheLimit,
            UnderTheMinimum,
            OtherCurrency,
            SectionNotFound,
            CategoryNotFound,
            CategoryNotSold,
            CodeUnknown,
            CodeOver,
            CodeUsedUp,
            TotalTooHigh,
        ),
    )
    async def quote_order(self, request: Request, body: QuoteOrder) -> Response:
        """200 the quote."""
        tickets = () if body.tickets is UNSET else tuple(body.tickets)
        quantity = body.quantity or sum(each.quantity for each in tickets)
        if not quantity:
            raise Invalid(("quantity", "is required where there are no `tickets`"))
        wish = PriceWish(tickets=tickets, code=body.code or None, max_total=body.max_total)
        quote = await self._concerts.quotes.quote(request.segment, body.section, quantity, wish)
        return json_response(
            QuoteView(
                concert_id=request.segment,
                section=quote.section,
                quantity=quantity,
                available_seats=quote.left,
                total=quote.bill.money,
                bill=quote.bill,
                unlocked=quote.unlocked,
            )
        )


def _currency(concert: Concert) -> str:
    return concert.sections[0].price.currency


def _terms(concert: Concert, body: CreateCode) -> CodeTerms:
    """What the code gives. Raises Invalid."""
    wrong: list[tuple[str, str]] = []
    currency = _currency(concert)
    if body.percent is not None and body.amount is not None:
        wrong.append(("amount", "give either `percent` or `amount`"))
    is_less = bool(body.percent) or (body.amount is not None and body.amount.amount > 0)
    if not is_less and body.unlocks is None:
        wrong.append(("percent", "give `percent`, `amount` or `unlocks`: it would change nothing"))
    if body.percent is not None:
        wrong += check_percent("percent", body.percent)
    if body.amount is not None and body.amount.currency != currency:
        wrong.append(("amount.currency", f"the prices of concert {concert.id!r} are in {currency}"))
    if body.amount is not None and body.amount.amount > MAX_PRICE:
        wrong.append(("amount.amount", f"must be at most {MAX_PRICE}"))
    category = None if body.unlocks is None else (concert.more.pricing or NO_PRICING).category(body.unlocks)
    if body.unlocks is not None and (category is None or not category.hidden):
        wrong.append(("unlocks", f"concert {concert.id!r} has no hidden category {body.unlocks!r}"))
    if wrong:
        raise Invalid(*wrong)
    code = body.code or "".join(secrets.choice(_LETTERS) for _ in range(_MADE_LENGTH))
    return CodeTerms(
        code=codes.folded(code),
        percent=body.percent,
        amount=None if body.amount is None else body.amount.amount,
        unlocks=body.unlocks,
    )
