"""What is put together before it is bought: lines of several concerts and sections, changed, taken out, bought at once.

A basket holds no seats: it is what this browser remembers, and each look at it asks what it costs now. Its key is the
cart's idempotency key, so whatever is sent twice buys once.
"""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from cludale.kernel.allocation import seats_line
from cludale.kernel.carts import MOST_LINES
from cludale.kernel.money import Money
from cludale.pages import billing, forms
from cludale.pages.api import Answer, Problem, Refused, path
from cludale.pages.shop import memory
from cludale.pages.shop.availability import Sale, sale
from cludale.pages.shop.buying import (
    METHODS,
    ChosenSeats,
    addressed,
    named_of,
    sent_once,
    who_of,
    wrong_of,
)
from cludale.pages.shop.halls import packed
from cludale.pages.shop.memory import Basket, BasketLine
from cludale.pages.shop.programme import Programme
from cludale.pages.shop.seats import Halls
from cludale.pages.shop.views import Concert, PlacedCart, Quote
from cludale.pages.site import Missing, Site, Visit
from cludale.web.responses import Headers, Response
from cludale.web.routing import Route

HERE = "/shop/basket"
_NO_WRONG = {"email": "", "phone": "", "card": ""}
_KEPT = ("over-the-limit", "section-not-found", "other-currency", "other-organizer", "unknown-method")
"""Refusals that the API keeps under the key: what is sent after them needs another one."""


class BasketRow(NamedTuple):
    """A line of a basket as it stands now."""

    line: BasketLine
    concert: Concert | None
    """None: there is none any more."""
    wanted: ChosenSeats | None
    """None: it can't be had so any more."""
    total: Money | None
    """What it costs now; None: that is not known, or it can't be had now."""
    why: str
    """The name of the refusal, if it can't be had now."""

    @property
    def section_name(self) -> str:
        """Where its seats are, and which, if they were chosen by number."""
        if self.wanted is None:
            return self.line.section
        seats = seats_line(self.wanted.seats)
        return f"{self.wanted.section.name}: {seats}" if seats else self.wanted.section.name


class BasketPages:
    """The basket's pages."""

    def __init__(self, site: Site, programme: Programme, halls: Halls) -> None:
        self._halls = halls
        self._site = site
        self._programme = programme

    def routes(self) -> list[Route]:
        """Its routes."""
        route = self._site.route
        return [
            route("GET", HERE, self._show),
            route("GET", "/shop/concerts/{concert_id}/basket", self._add),
            route("POST", f"{HERE}/change", self._change),
            route("POST", f"{HERE}/buy", self._buy),
        ]

    async def _show(self, visit: Visit) -> Response:
        return await self._page(visit, memory.basket(visit), is_full="full" in visit.query)

    async def _add(self, visit: Visit) -> Response:
        """What was chosen on a concert's page goes into the basket. It holds nothing and costs nothing."""
        if not memory.is_id(visit.segment):
            raise Missing
        concert = (await self._programme.concert(visit.segment)).value
        wanted = await named_of(self._halls, concert, visit.query)
        if wanted is None or sale(concert, self._site.now()) is not Sale.OPEN:
            return self._site.see(visit, f"/shop/concerts/{concert.id}?choose=1#tickets")
        known = memory.basket(visit)
        tickets, seats = dict(wanted.tickets), packed(wanted.places)
        line = BasketLine(
            concert.id, wanted.section.id, wanted.quantity, tickets, wanted.code, seats, wanted.plan if seats else ""
        )
        lines = [*(each for each in known.lines if not each.is_same_place(line)), line]
        if len(lines) > MOST_LINES:
            return self._site.see(visit, f"{HERE}?full=1")
        return self._site.see(visit, HERE, headers=(self._basket_cookie(visit, Basket(memory.new_key(), lines)),))

    async def _change(self, visit: Visit) -> Response:
        """Set how many tickets of this line are wanted; 0 takes it out, and what is no number changes nothing."""
        fields = forms.read(visit.request)
        known, at = memory.basket(visit), forms.whole(fields.get("line", ""))
        if at is None or at >= len(known.lines):
            return self._site.see(visit, HERE)
        lines, quantity = list(known.lines), forms.whole(fields.get("quantity", ""))
        if "remove" in fields or quantity == 0:
            del lines[at]
        elif quantity is not None:
            lines[at] = lines[at]._replace(quantity=min(quantity, 999))
        return self._site.see(visit, HERE, headers=(self._basket_cookie(visit, Basket(memory.new_key(), lines)),))

    async def _buy(self, visit: Visit) -> Response:
        """All of it, or nothing."""
        fields = forms.read(visit.request)
        known = memory.basket(visit)
        if known.cart_id:
            return self._site.see(visit, f"/shop/carts/{known.cart_id}?again=1")
        if not known.lines or fields.get("key") != known.key:
            return self._site.see(visit, HERE)
        wrong = wrong_of(fields)
        if wrong:
            return await self._page(visit, known, fields=fields, wrong=wrong, status=422)
        rows = await self._rows(visit, known)
        answer = await self._order(visit, known, rows, fields)
        if answer.status == HTTPStatus.CREATED:
            cart = answer.read(PlacedCart)
            tokens = memory.with_token(memory.orders(visit), cart.id, cart.access_token)
            headers = (
                forms.cookie(memory.ORDERS, tokens, secure=visit.secure),
                self._basket_cookie(visit, Basket(known.key, (), cart.id)),
            )
            return self._site.see(visit, f"/shop/carts/{cart.id}", headers=headers)
        return await self._refused(visit, known, fields, answer.problem)

    async def _order(
        self, visit: Visit, basket: Basket, rows: Sequence[BasketRow], fields: Mapping[str, str]
    ) -> Answer:
        """What the API says."""
        own = memory.once(visit, basket.key)
        body: dict[str, object] = {
            "userId": own.user_id,
            "lines": [_asked(row, fields.get(f"total-{i}", "")) for i, row in enumerate(rows)],
            "paymentMethod": fields["card"],
            "email": fields["email"],
            **billing.wanted_of(fields)[0],
        }
        body |= who_of(fields)
        return await sent_once(self._site, visit, "/orders/carts", body, own.key)

    async def _refused(self, visit: Visit, basket: Basket, fields: Mapping[str, str], problem: Problem) -> Response:
        """The basket again, with why nothing was bought, at the line that it is about. What was typed stays."""
        headers: Headers = ()
        if problem.name == "invalid":
            said = dict(problem.errors)
            wrong: dict[str, str] = {name: "unusable" for name in ("email", "phone") if name in said}
            wrong |= billing.refused(problem)
            if wrong:
                return await self._page(visit, basket, fields=fields, wrong=wrong, status=422)
        if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Refused(problem)
        if problem.name in _KEPT:
            basket = basket._replace(key=memory.new_key())
            headers = (self._basket_cookie(visit, basket),)
        if problem.status in (429, 503):
            headers = (*headers, ("retry-after", "2"))
        status = HTTPStatus.CONFLICT if problem.status == HTTPStatus.NOT_FOUND else problem.status
        return await self._page(visit, basket, fields=fields, refusal=problem, status=status, headers=headers)

    async def _rows(self, visit: Visit, basket: Basket) -> list[BasketRow]:
        return list(await asyncio.gather(*(self._row(visit, line) for line in basket.lines)))

    async def _row(self, visit: Visit, line: BasketLine) -> BasketRow:
        concert = await self._programme.known(line.concert_id)
        wanted = None if concert is None else await named_of(self._halls, concert, line.fields)
        if concert is None or wanted is None:
            return BasketRow(line, concert, None, None, "concert-not-found" if concert is None else "over-the-limit")
        answer = await self._site.ask(visit, "POST", path("concerts", concert.id, "quote"), wanted.body)
        if answer.status != HTTPStatus.OK:
            return BasketRow(line, concert, wanted, None, answer.problem.name)
        return BasketRow(line, concert, wanted, answer.read(Quote).total, "")

    async def _page(
        self,
        visit: Visit,
        basket: Basket,
        *,
        fields: Mapping[str, str] | None = None,
        wrong: Mapping[str, str] | None = None,
        refusal: Problem | None = None,
        is_full: bool = False,
        status: int = 200,
        headers: Headers = (),
    ) -> Response:
        rows = await self._rows(visit, basket)
        totals = [row.total for row in rows if row.total is not None]
        currencies = {total.currency for total in totals}
        is_buyable = bool(rows) and len(totals) == len(rows) and len(currencies) == 1
        total = Money(sum(each.amount for each in totals), totals[0].currency) if is_buyable else None
        line = refusal.values.get("line") if refusal is not None else None
        return self._site.private(
            visit,
            "shop/basket.html",
            status=status,
            headers=headers,
            basket=basket,
            rows=rows,
            total=total,
            countries=await addressed(self._programme, visit, {row.line.concert_id for row in rows}, total),
            is_full=is_full,
            has_currencies=len(currencies) > 1,
            fields={"email": "", "phone": "", "buyer": "", **(fields or {})},
            wrong=_NO_WRONG | dict(wrong or {}),
            refusal=refusal.name if refusal is not None else "",
            refused_line=line if isinstance(line, int) else None,
            methods=METHODS,
        )

    def _basket_cookie(self, visit: Visit, basket: Basket) -> tuple[str, str]:
        return forms.cookie(
            memory.BASKET, memory.packed_basket(basket), secure=visit.secure, max_age_seconds=7 * 86_400
        )


def _asked(row: BasketRow, shown: str) -> dict[str, object]:
    """A line as the API has it; never dearer than what was shown."""
    body: dict[str, object] = {"concertId": row.line.concert_id, "quantity": row.line.quantity}
    if row.wanted is not None:
        body |= {**row.wanted.body, **row.wanted.named}
    currency = None if row.concert is None else row.concert.sections[0].price.currency
    amount = forms.whole(shown, most_digits=15)
    if currency is not None and amount is not None:
        body["maxTotal"] = {"amount": amount, "currency": currency}
    return body
