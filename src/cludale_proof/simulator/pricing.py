"""Scenes with prices: categories, tiers, fees, taxes and codes, and buyers who use them."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel.bills import TicketCount
from cludale.kernel.money import Money
from cludale.kernel.times import rfc3339
from cludale.services.concerts.codes.api import CreateCode
from cludale.services.concerts.prices.api import CategoryRequest, FeeRequest, PriceRequest, PricingRequest, TaxRequest
from cludale.services.concerts.scheduling import ScheduleConcert
from cludale_proof.simulator.clock import MORNING
from cludale_proof.simulator.people import Plan

_CATEGORIES = [
    CategoryRequest(id="adult", name="Adult"),
    CategoryRequest(id="child", name="Child"),
    CategoryRequest(id="member", name="Member", hidden=True),
]


class NewCode(NamedTuple):
    """A code that the organizer makes before anybody comes."""

    concert_id: str
    wanted: CreateCode


class Priced(NamedTuple):
    """A scene with prices."""

    concerts: list[ScheduleConcert]
    plans: list[Plan]
    codes: list[NewCode]


def with_prices(
    choices: random.Random, concerts: Sequence[ScheduleConcert], plans: Sequence[Plan], span: float
) -> Priced:
    """Each concert has a price list and a few codes, of which there are too few; buyers want some of everything."""
    priced = [replace(concert, pricing=_pricing(choices, concert, span)) for concert in concerts]
    codes = [NewCode(concert.id or "", code) for concert in concerts for code in _codes(choices)]
    return Priced(priced, [_with_code(choices, plan, codes) for plan in plans], codes)


def _pricing(choices: random.Random, concert: ScheduleConcert, span: float) -> PricingRequest:
    rows: list[PriceRequest] = []
    for section in concert.sections or ():
        until = rfc3339(MORNING + timedelta(seconds=choices.uniform(0.2, 1.5 * span + 1)))
        first = choices.randint(1, max(1, (section.total_seats or 1) // 2))
        rows += [
            PriceRequest(section=section.id, category="adult", amount=333, name="Early", first=first),
            PriceRequest(section=section.id, category="adult", amount=777, name="Advance", until=until),
            PriceRequest(section=section.id, category="child", amount=choices.choice((0, 501))),
        ]
        if choices.random() < 0.7:
            rows.append(PriceRequest(section=section.id, category="member", amount=99))
    fees = [FeeRequest(id="booking", name="Booking", percent=7.5), FeeRequest(id="seat", name="Seat", amount=25)]
    fees.append(FeeRequest(id="order", name="Order", amount=199, per_order=True))
    tax = TaxRequest(name="VAT", percent=choices.choice((7.0, 19.0, 8.875)), included=choices.random() < 0.5)
    return PricingRequest(
        categories=_CATEGORIES,
        prices=rows,
        fees=choices.sample(fees, choices.randint(0, 3)),
        tax=tax if choices.random() < 0.7 else None,
    )


def _codes(choices: random.Random) -> list[CreateCode]:
    few = choices.choice((1, 1, 2, 4))
    return [
        CreateCode(code="FEW", percent=choices.choice((10.0, 33.333, 100.0)), max_uses=few),
        CreateCode(code="CLUB", unlocks="member", max_tickets=choices.choice((2, 5))),
        CreateCode(code="LESS", amount=Money(250, "EUR")),
    ]


def _with_code(choices: random.Random, plan: Plan, codes: Sequence[NewCode]) -> Plan:
    wanted = plan.wanted
    own = [each.wanted.code or "" for each in codes if each.concert_id == wanted.concert_id]
    code = choices.choice(("FEW", "FEW", *own)) if choices.random() < 0.6 else None
    counts: dict[str, int] = {}
    if choices.random() < 0.6:
        kinds = ("adult", "child", "member") if code == "CLUB" else ("adult", "child")
        for _ in range(wanted.quantity or 1):
            kind = choices.choice(kinds)
            counts[kind] = counts.get(kind, 0) + 1
    tickets = [TicketCount(category=kind, quantity=count) for kind, count in counts.items()]
    most = Money(choices.choice((500, 2_000)), "EUR") if choices.random() < 0.1 else UNSET
    return plan._replace(wanted=replace(wanted, tickets=tickets or UNSET, code=code or UNSET, max_total=most))
