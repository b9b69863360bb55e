"""From seats to an order: the page for the buyer's details, and what comes of sending it.

The cart's key is the order's idempotency key (memory.py), so whatever is sent twice buys once.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode

from cludale.kernel import mailbox
from cludale.kernel.allocation import seats_line
from cludale.kernel.money import Money
from cludale.pages import billing, forms
from cludale.pages.api import Answer, Refused, path
from cludale.pages.shop import halls, memory
from cludale.pages.shop.availability import Sale, sale
from cludale.pages.shop.halls import WHEELCHAIR, Seat
from cludale.pages.shop.memory import Cart
from cludale.pages.shop.programme import Programme
from cludale.pages.shop.seats import Halls
from cludale.pages.shop.views import Concert, Order, Quote, Section
from cludale.pages.site import Missing, Site, Visit
from cludale.web.responses import Headers, Response
from cludale.web.routing import Route

METHODS = ("card-ok", "card-declined", "card-slow")
"""The simulated cards that the shop offers."""
KEPT_REFUSALS = ("over-the-limit", "section-not-found", "other-currency", "unknown-method", "concert-not-found")
"""Refusals that the API keeps under the key: what is sent after them needs another one."""
IN_FLIGHT_TRIES = 20
IN_FLIGHT_SECONDS = 0.25
MAX_PHONE = 31
MOST_NAME = 200
TICKETS = "tickets-"
"""How the fields begin that say how many tickets of a category are wanted."""
MOST_CATEGORIES = 50
CODE_REFUSALS = ("code-unknown", "code-over", "code-used-up")
_NO_WRONG = {"email": "", "phone": "", "card": ""}


_CHOSEN = ("section", "quantity", "seats", "plan", "code")
TYPED_SECONDS = 900
"""How long what was typed is kept while somebody chooses other seats."""


class ChosenSeats(NamedTuple):
    """Seats that somebody chose."""

    section: Section
    quantity: int
    tickets: Mapping[str, int] = {}
    """How many of which category, where that is said."""
    code: str = ""
    places: Sequence[int] = ()
    """Which seats, where they were chosen by number."""
    seats: Sequence[Seat] = ()
    """The same, with what they are called."""
    plan: str = ""
    """By which plan they were chosen, where they were."""

    @property
    def fields(self) -> dict[str, str]:
        """The same as fields of a form."""
        fields = {"section": self.section.id, "quantity": str(self.quantity)}
        fields |= {f"{TICKETS}{id}": str(count) for id, count in self.tickets.items()}
        fields |= {"seats": halls.packed(self.places), "plan": self.plan} if self.places else {}
        return fields | ({"code": self.code} if self.code else {})

    @property
    def body(self) -> dict[str, object]:
        """As the API has it."""
        body: dict[str, object] = {"quantity": self.quantity, "section": self.section.id}
        if self.tickets:
            body["tickets"] = [{"category": id, "quantity": count} for id, count in self.tickets.items()]
        return body | ({"code": self.code} if self.code else {})

    @property
    def named(self) -> dict[str, object]:
        """The seats that were chosen, as the API has them."""
        if not self.seats:
            return {}
        named: dict[str, object] = {"seats": [seat.id for seat in self.seats]}
        if any(seat.is_accessible for seat in self.seats):
            named["wheelchairs"] = max(1, sum(bool(seat.flags & WHEELCHAIR) for seat in self.seats))
        return named


class Buying:
    """The pages of a purchase."""

    def __init__(self, site: Site, programme: Programme, halls: Halls) -> None:
        self._halls = halls
        self._site = site
        self._programme = programme

    def routes(self) -> list[Route]:
        """Its routes."""
        path = "/shop/concerts/{concert_id}/checkout"
        return [self._site.route("GET", path, self._checkout), self._site.route("POST", path, self._send)]

    async def _checkout(self, visit: Visit) -> Response:
        """The form, for a cart that has its key in the address, so that two tabs and a reload share it."""
        concert = await self._concert(visit)
        key = visit.query.get("cart", "")
        known = memory.carts(visit)
        mine = next((each for each in known if each.key == key and each.concert_id == concert.id), None)
        if mine is not None and mine.order_id:
            return self._site.see(visit, f"/shop/orders/{mine.order_id}?again=1")
        opened = next((each for each in known if each.concert_id == concert.id and not each.order_id), None)
        headers: Headers = ()
        if mine is None and opened is None and memory.is_token(key):
            # The browser lost its cart, or keeps no cookies: no reason to send it round and round.
            mine = Cart(concert.id, key)
            headers = (self._cart_cookie(visit, mine),)
        if mine is None:
            cart = opened or Cart(concert.id, memory.new_key())
            query = {
                each: text[: 2_000 if each == "seats" else 64] for each, text in visit.query.items() if _is_chosen(each)
            }
            headers = () if opened else (self._cart_cookie(visit, cart),)
            there = f"{_checkout_path(concert)}?{urlencode({**query, 'cart': cart.key})}"
            return self._site.see(visit, there, headers=headers)
        wanted = await self._wanted(concert, visit.query)
        if wanted is None or sale(concert, self._site.now()) is not Sale.OPEN:
            return self._site.see(visit, f"/shop/concerts/{concert.id}?choose=1#tickets")
        return await self._form(visit, concert, wanted, mine.key, headers=headers)

    async def _send(self, visit: Visit) -> Response:
        fields = forms.read(visit.request)
        concert = await self._concert(visit)
        key, known = fields.get("cart", ""), memory.carts(visit)
        if not memory.is_token(key):
            raise Missing
        mine = next((each for each in known if each.key == key), None)
        if mine is not None and mine.order_id:
            return self._site.see(visit, f"/shop/orders/{mine.order_id}?again=1")
        wanted = await self._wanted(concert, fields)
        if wanted is None:
            return self._site.see(visit, f"/shop/concerts/{concert.id}#tickets")
        wrong = wrong_of(fields)
        if wrong:
            return await self._form(visit, concert, wanted, key, fields=fields, wrong=wrong, status=422)
        answer = await self._order(visit, concert, wanted, fields, key)
        if answer.status in (HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
            order = answer.read(Order)
            return self._site.see(visit, f"/shop/orders/{order.id}", headers=self._bought(visit, concert, key, order))
        return await self._refused(visit, concert, wanted, key, fields, answer)

    async def _order(
        self, visit: Visit, concert: Concert, wanted: ChosenSeats, fields: Mapping[str, str], key: str
    ) -> Answer:
        """What the API says."""
        own = memory.once(visit, key)
        body: dict[str, object] = {
            "concertId": concert.id,
            "userId": own.user_id,
            **wanted.body,
            **wanted.named,
            "paymentMethod": fields["card"],
            "email": fields["email"],
            **billing.wanted_of(fields)[0],
        }
        price = wanted.section.price
        if _is_plain(concert, wanted):
            body["maxPrice"] = {"amount": price.amount, "currency": price.currency}
        elif (total := forms.whole(fields.get("total", ""), most_digits=15)) is not None:
            body["maxTotal"] = {"amount": total, "currency": price.currency}
        body |= who_of(fields)
        return await sent_once(self._site, visit, "/orders", body, own.key)

    async def _refused(
        self, visit: Visit, concert: Concert, wanted: ChosenSeats, key: str, fields: Mapping[str, str], answer: Answer
    ) -> Response:
        """The form again, with why there is no order. What was typed stays."""
        problem = answer.problem
        if problem.name == "invalid":
            said = dict(problem.errors)
            wrong: dict[str, str] = {name: "unusable" for name in ("email", "phone") if name in said}
            wrong |= billing.refused(problem)
            if not wrong:
                raise Refused(problem)
            return await self._form(visit, concert, wanted, key, fields=fields, wrong=wrong, status=422)
        if problem.status in (404, 500):
            raise Refused(problem)
        headers: Headers = ()
        if problem.name in KEPT_REFUSALS:
            cart = Cart(concert.id, memory.new_key())
            key, headers = cart.key, (self._cart_cookie(visit, cart),)
        if problem.name == "seats-not-free":
            kept = forms.cookie(
                memory.TYPED, memory.packed_typed(fields), secure=visit.secure, max_age_seconds=TYPED_SECONDS
            )
            headers = (*headers, kept)
        if problem.status in (429, 503):
            headers = (*headers, ("retry-after", "2"))
        return await self._form(
            visit,
            concert,
            wanted,
            key,
            fields=fields,
            refusal=problem.name,
            gone=problem.values.get("notFree") or (),
            status=problem.status,
            headers=headers,
        )

    async def _quote(self, visit: Visit, concert: Concert, wanted: ChosenSeats) -> Answer:
        return await self._site.ask(visit, "POST", path("concerts", concert.id, "quote"), wanted.body)

    async def _form(
        self,
        visit: Visit,
        concert: Concert,
        wanted: ChosenSeats,
        key: str,
        *,
        fields: Mapping[str, str] | None = None,
        wrong: Mapping[str, str] | None = None,
        refusal: str = "",
        gone: Collection[str] = (),
        status: int = 200,
        headers: Headers = (),
    ) -> Response:
        quote: Quote | None = None
        if not _is_plain(concert, wanted):
            answer = await self._quote(visit, concert, wanted)
            if answer.problem.name in CODE_REFUSALS:
                refusal, wanted = answer.problem.name, wanted._replace(code="")
                answer = await self._quote(visit, concert, wanted)
            if answer.status != HTTPStatus.OK:
                return self._site.see(visit, f"/shop/concerts/{concert.id}?choose=1#tickets")
            quote = answer.read(Quote)
        total = wanted.section.price.times(wanted.quantity) if quote is None else quote.total
        return self._site.private(
            visit,
            "shop/checkout.html",
            status=status,
            headers=headers,
            concert=concert,
            section=wanted.section,
            quantity=wanted.quantity,
            total=total,
            countries=await addressed(self._programme, visit, (concert.id,), total),
            quote=quote,
            chosen=wanted.fields,
            seats=seats_line(wanted.seats),
            gone=seats_line(seat for seat in wanted.seats if seat.id in gone),
            choose=_choose_query(wanted, gone),
            unlocked=_unlocked(wanted, quote),
            cart=key,
            fields={"email": "", "phone": "", "buyer": "", **(memory.typed(visit) if fields is None else fields)},
            wrong=_NO_WRONG | dict(wrong or {}),
            refusal=refusal,
            methods=METHODS,
        )

    def _bought(self, visit: Visit, concert: Concert, key: str, order: Order) -> Headers:
        tokens = memory.with_token(memory.orders(visit), order.id, order.access_token)
        return (
            forms.cookie(memory.ORDERS, tokens, secure=visit.secure),
            self._cart_cookie(visit, Cart(concert.id, key, order.id)),
            *(
                (forms.cookie(memory.TYPED, "", secure=visit.secure, max_age_seconds=0),)
                if memory.TYPED in visit.cookies
                else ()
            ),
        )

    def _cart_cookie(self, visit: Visit, cart: Cart) -> tuple[str, str]:
        carts = memory.with_cart(memory.carts(visit), cart)
        return forms.cookie(memory.CARTS, carts, secure=visit.secure, max_age_seconds=7 * 86_400)

    async def _wanted(self, concert: Concert, fields: Mapping[str, str]) -> ChosenSeats | None:
        return await named_of(self._halls, concert, fields)

    async def _concert(self, visit: Visit) -> Concert:
        if not memory.is_id(visit.segment):
            raise Missing
        return (await self._programme.concert(visit.segment)).value


def _checkout_path(concert: Concert) -> str:
    return f"/shop/concerts/{concert.id}/checkout"


def wanted_of(concert: Concert, fields: Mapping[str, str]) -> ChosenSeats | None:
    """What was chosen; None for a section or a number that can't be."""
    section = next((each for each in concert.sections if each.id == fields.get("section")), None)
    typed = {name.removeprefix(TICKETS): forms.whole(t) for name, t in fields.items() if name.startswith(TICKETS)}
    if len(typed) > MOST_CATEGORIES or None in typed.values() or not all(map(memory.is_id, typed)):
        return None
    tickets = {id: count for id, count in typed.items() if count}
    places = halls.places(fields.get("seats", ""))
    quantity = sum(tickets.values()) or len(places or ()) or forms.whole(fields.get("quantity", ""))
    if section is None or quantity is None:
        return None
    if not 1 <= quantity <= concert.max_per_order or places is None or (places and len(places) != quantity):
        return None
    plan = halls.plan_tag(concert.seat_plan)
    if places and fields.get("plan", plan) != plan:
        return None  # by this plan other seats would be meant
    return ChosenSeats(section, quantity, tickets, fields.get("code", "").strip()[:64], places, plan=plan)


async def named_of(known: Halls, concert: Concert, fields: Mapping[str, str]) -> ChosenSeats | None:
    """What was chosen, with the names of seats that have such; None for what can't be."""
    wanted = wanted_of(concert, fields)
    if wanted is None or not wanted.places:
        return wanted
    if wanted.section.zone is None:
        return None
    seats = (await known.of(concert, wanted.section)).seats(wanted.places)
    return None if seats is None else wanted._replace(seats=seats)


def _choose_query(wanted: ChosenSeats, gone: Collection[str]) -> str:
    """The query of the page where the seats are chosen, with those of before."""
    fields = {"section": wanted.section.id, "seats": halls.packed(wanted.places), "plan": wanted.plan}
    lost = halls.packed(seat.at for seat in wanted.seats if seat.id in gone)
    others = [each.category for each in wanted.section.prices[1:]]
    fields |= {f"{TICKETS}{id}": str(count) for id, count in wanted.tickets.items() if id in others}
    return urlencode(fields | ({"gone": lost} if lost else {}))


def _is_chosen(name: str) -> bool:
    """Is this field of a form about which tickets are wanted?"""
    return name in _CHOSEN or name.startswith(TICKETS)


def _is_plain(concert: Concert, wanted: ChosenSeats) -> bool:
    """Does each ticket cost what the section says, and nothing beside?"""
    return concert.pricing is None and not wanted.code and not wanted.tickets


def _unlocked(wanted: ChosenSeats, quote: Quote | None) -> dict[str, str]:
    """The form for the same number of the hidden category that the code unlocks; nothing if it is chosen already."""
    if quote is None or quote.unlocked is None or quote.unlocked in wanted.tickets:
        return {}
    return wanted._replace(tickets={quote.unlocked: wanted.quantity}).fields


async def sent_once(site: Site, visit: Visit, path: str, body: Mapping[str, object], key: str) -> Answer:
    """What the API says; while the same form is under way from elsewhere, its answer is waited for."""
    # A header, for whoever changes the language in between sends the same order.
    once = {"idempotency-key": key, "accept-language": visit.language.code}
    for _ in range(IN_FLIGHT_TRIES):
        answer = await site.ask(visit, "POST", path, body, headers=once)
        if answer.status != HTTPStatus.CONFLICT or answer.problem.name != "idempotency-key-in-flight":
            break
        await asyncio.sleep(IN_FLIGHT_SECONDS)
    return answer


def who_of(fields: Mapping[str, str]) -> dict[str, str]:
    """Phone number and name of who buys, for the API; either may be missing."""
    said = {"phone": fields.get("phone", ""), "name": " ".join(fields.get("buyer", "").split())[:MOST_NAME]}
    return {name: text for name, text in said.items() if text}


def wrong_of(fields: Mapping[str, str]) -> dict[str, str]:
    """Which fields are `missing` or `unusable`."""
    wrong: dict[str, str] = {}
    email, phone = fields.get("email", ""), fields.get("phone", "")
    if not email:
        wrong["email"] = "missing"
    else:
        try:
            mailbox.mailbox(email)
        except ValueError:
            wrong["email"] = "unusable"
    if phone and not (len(phone) <= MAX_PHONE and sum(each.isdigit() for each in phone) >= 5):
        wrong["phone"] = "unusable"
    if fields.get("card") not in METHODS:
        wrong["card"] = "missing"
    return wrong | billing.wanted_of(fields)[1]


async def addressed(
    programme: Programme, visit: Visit, concerts: Iterable[str], total: Money | None
) -> Sequence[tuple[str, str]]:
    """The countries among which a checkout asks for an invoice's address; none where there will be no invoice."""
    if not total or not total.amount or not any([await programme.has_invoices(id) for id in concerts]):
        return ()
    return billing.countries(visit.language.code)
