"""What a seed stands for: the shape of the platform, its settings, who comes, and the weather of faults."""

import dataclasses
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta, timezone
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from cludale.kernel.backoff import Backoff
from cludale.kernel.money import Money
from cludale.kernel.tills import TillMethod
from cludale.kernel.times import parse_time, rfc3339
from cludale.services import NAMES
from cludale.services.concerts.scheduling import ScheduleConcert, SectionRequest
from cludale.services.orders.api import PlaceOrder
from cludale.services.orders.box_office_api import SellAtBoxOffice
from cludale.services.orders.carts.api import CartLineWish, PlaceCart
from cludale_proof.simulator.clock import MORNING
from cludale_proof.simulator.deeds import Deed
from cludale_proof.simulator.faults import Fault, Weather
from cludale_proof.simulator.halls import other_plans, with_halls
from cludale_proof.simulator.people import Plan
from cludale_proof.simulator.pricing import NewCode, with_prices
from cludale_proof.simulator.processes import RunLimits
from cludale_proof.simulator.sponsors import Sponsor, sponsors_of
from cludale_proof.simulator.themes import BESIDE, BESIDE_OTHERS, INSIDE, ONLY_BY_NAME, THEMES
from cludale_proof.simulator.waiters import Waiter, waiters_of, with_codes, with_few_each

CLOCK_JUMP_SECONDS = 12.0
"""The furthest that a clock jumps."""
MACHINE_SKEW_SECONDS = 0.8
CHANGED = 0.15
"""In how many of the runs the organizer changes what is on sale."""
ERRING = 0.08
"""In how many of the runs the provider does something wrong."""
LIMITED = 0.15
"""How many scenes have limits of buyers."""
INVOICED = 0.08
"""In how many of the runs whose clocks are right the organizer has invoices."""
PRICED = 0.1
"""How many scenes have price lists and codes."""
HELD_BACK = 0.06
"""In how many scenes seats are held back."""
WAITING = 0.06
"""In how many scenes some wait on waiting lists."""
FILLED = 0.06
"""In how many scenes some order several things at once."""
SOLD = 0.08
"""In how many scenes some are sold at the box office."""
NUMBERED = 0.1
"""How many scenes have sections whose seats have numbers."""
MOVING = 0.6
"""In how many of these organizers move people from seat to seat."""
REPLANNED = 0.6
"""And in how many of these plans are changed."""
FREE = 0.1
"""How much of what there is to buy costs nothing: a charge of 0 is a charge, too."""

RATES: Mapping[Fault, float] = {
    Fault.READ_AWAY: 0.01,
    Fault.COMMIT_AWAY: 0.02,
    Fault.COMMIT_UNKNOWN: 0.015,
    Fault.COMMIT_IN_PART: 0.1,
    Fault.STORE_SLOW: 0.01,
    Fault.CRASH_BEFORE_COMMIT: 0.004,
    Fault.CRASH_AFTER_COMMIT: 0.006,
    Fault.CRASH_BEFORE_ACK: 0.006,
    Fault.CRASH_WHILE_PAYING: 0.03,
    Fault.CRASH_WHILE_HOLDING: 0.03,
    Fault.PAUSED_WHILE_PAYING: 0.01,
    Fault.PUBLISH_REFUSED: 0.05,
    Fault.PUBLISH_IN_PART: 0.05,
    Fault.PUBLISH_UNANSWERED: 0.05,
    Fault.DELIVERY_LATE: 0.1,
    Fault.DELIVERY_LOST: 0.05,
    Fault.DELIVERY_LOST_FOR_GOOD: 0.0,  # where orders are compared with their payments, only: see the theme
    Fault.LOG_LOST: 0.0,  # what is lost so is in no log, and what came of it late: see the theme
    Fault.DELIVERY_TWICE: 0.05,
    Fault.DELIVERY_AGAIN: 0.03,
    Fault.DELIVERY_REORDERED: 0.2,
    Fault.ACK_LOST: 0.04,
    Fault.BULK_UNANSWERED: 0.02,
    Fault.APP_UNREACHABLE: 0.03,
    Fault.HOLD_UNASKED: 0.06,
    Fault.HOLD_UNANSWERED: 0.06,
    Fault.HOLD_SLOW: 0.06,
    Fault.HOLD_TWICE: 0.06,
    Fault.SALES_AWAY: 0.3,
    Fault.CHARGES_AWAY: 0.1,
    Fault.CONTACTS_AWAY: 0.1,
    Fault.PROGRAMME_AWAY: 0.1,
    Fault.DECLINED: 0.08,
    Fault.CHARGE_TROUBLE: 0.15,
    Fault.CHARGE_UNANSWERED: 0.15,
    Fault.CHARGE_SLOW: 0.15,
    Fault.CHARGE_LATE: 0.1,
    Fault.REFUND_TROUBLE: 0.2,
    Fault.REFUND_UNANSWERED: 0.2,
    Fault.VOID_TROUBLE: 0.2,
    Fault.VOID_UNANSWERED: 0.2,
    Fault.MESSAGE_TROUBLE: 0.1,
    Fault.MESSAGE_REFUSED: 0.03,
    Fault.MESSAGE_UNANSWERED: 0.1,
    Fault.MESSAGE_SLOW: 0.05,
    Fault.REQUEST_LOST: 0.03,
    Fault.REPLY_LOST: 0.06,
    Fault.HUNG_UP: 0.05,
    Fault.KEY_REPEATED: 0.15,
    Fault.KEY_RACED: 0.15,
    Fault.KEY_REUSED: 0.1,
    Fault.CANCELLED_AT_ONCE: 0.04,
    Fault.CANCELLED_TWICE: 0.3,
    Fault.CANCELLED_AT_EXPIRY: 0.06,
    Fault.CANCELLED_BY_ORGANIZER: 0.02,
    Fault.PAID_AGAIN: 0.3,
    Fault.PAID_AT_ONCE: 0.08,
    Fault.PAID_IN_ANOTHER_WAY: 0.4,
    Fault.PAID_AT_EXPIRY: 0.1,
    Fault.RESERVED_WITHOUT_ORDER: 0.5,
    Fault.TWO_DOORS: 0.3,
    Fault.SCANNED_AGAIN: 0.2,
    Fault.TRANSFERRED: 0.1,
    Fault.OFFLINE_DOORS: 0.0,
    Fault.MERGED_AGAIN: 0.0,
    # These strike by the clock; the rate is how many of each there are in a fault phase, on average.
    Fault.STORE_OUTAGE: 0.5,
    Fault.CRASH_AT_STEP: 3.0,
    Fault.PAUSED: 1.0,
    Fault.STOPPED: 0.5,
    Fault.BUS_OUTAGE: 0.5,
    Fault.POISON: 0.5,
    Fault.PARTITION: 0.5,
    Fault.PROVIDER_OUTAGE: 0.5,
    Fault.REDELIVERED: 1.0,
    Fault.CLOCK_FORWARD: 0.7,
    Fault.CLOCK_BACK: 0.7,
    Fault.CLOCK_SKEW: 0.3,
}

_FACTORS = (0.0, 0.0, 0.3, 1.0, 1.0, 2.5)

_CLOCK_FAULTS = (Fault.CLOCK_FORWARD, Fault.CLOCK_BACK, Fault.CLOCK_SKEW)
_PROVIDER_ERRORS = (Fault.REFUND_FORGOTTEN, Fault.TAKEN_TWICE, Fault.VOID_FORGOTTEN, Fault.BOOKS_AWAY)
_METHODS = ("card-ok",) * 9 + ("card-declined",)
_WORTH_A_CANCEL = ("OrderPlaced", "TicketReserved", "PaymentCompleted", "SeatsSold", "OrderPaid", "PaymentFailed")


class Scene(NamedTuple):
    """One run as its seed has it."""

    is_distributed: bool
    is_apart: bool
    """A record is found in the partition that it was committed in, and nowhere else, as with Cosmos DB."""
    replicas: Mapping[str, int]
    limits: RunLimits
    concerts: Sequence[ScheduleConcert]
    plans: Sequence[Plan]
    deeds: Sequence[Deed]
    codes: Sequence[NewCode]
    weather: Weather
    shuffle: float
    tick_seconds: float
    fault_seconds: float
    skew: timedelta
    has_webhooks: bool
    """An organizer has events posted to servers; without that nothing of it is there, so that seeds keep their runs."""
    is_erring: bool = False
    """The provider does something wrong now and then; its books are compared in the end."""
    is_reconciled: bool = False
    """They are compared while all goes on, too."""
    sponsors: Sequence[Sponsor] = ()
    """For whom seats are held back."""
    waiters: Sequence[Waiter] = ()
    """Who joins waiting lists."""
    seats: Mapping[tuple[str, str], Sequence[str]] = {}
    """The numbered seats, by concert and section, where organizers move people from one to another."""

    def lines(self) -> list[str]:
        """What the trace says of it."""
        shape = "embedded, one process"
        if self.is_distributed:
            shape = "distributed: " + ", ".join(f"{count} {name}" for name, count in self.replicas.items())
            shape += "; partitions are apart" if self.is_apart else ""
        faults = ", ".join(f"{fault.value} {rate:.3f}" for fault, rate in self.weather.rates.items() if rate)
        limits = [f"{each.name} {getattr(self.limits, each.name)}" for each in dataclasses.fields(self.limits)]
        lines = [
            shape,
            f"settings: {', '.join(limits)}",
            f"faults for {self.fault_seconds:.0f} s: {faults}",
        ]
        for concert in self.concerts:
            sections = ", ".join(f"{each.id} {each.total_seats} seats" for each in concert.sections or ())
            lines.append(f"{concert.id}: {sections}; at most {concert.max_per_order} an order")
        lines += [f"organizer: at {deed.at:.3f} {deed.kind} {deed.number} of {deed.concert_id}" for deed in self.deeds]
        lines += [
            f"sponsor: at {each.at:.3f} {each.wanted.seats} of {each.concert_id}/{each.wanted.section} "
            f"until {each.wanted.ends_at}"
            for each in self.sponsors
        ]
        lines += [
            f"waiter: at {each.at:.3f} {each.wanted.quantity} of {each.wanted.concert_id}/{each.wanted.section}"
            for each in self.waiters
        ]
        lines += [f"buyer {number}: {_plan_text(plan)}" for number, plan in enumerate(self.plans, 1)]
        return lines


def _plan_text(plan: Plan) -> str:
    wanted = plan.wanted
    seats = f"{wanted.quantity} of {wanted.concert_id}/{wanted.section or 'any'}"
    told = f"at {plan.at:.3f} wants {seats} by {wanted.payment_method if plan.sold is None else plan.sold.method}"
    if plan.cart is not None:
        told += f", in a cart of {len(plan.cart.lines)}"
    if plan.key:
        told += f", key {plan.key}"
    if plan.cancel_on:
        told += f", cancels on {plan.cancel_on}"
    if plan.cancel_after is not None:
        told += f", cancels after {plan.cancel_after:.3f} s"
    return told


def scene_of(choices: random.Random, only: Sequence[str] | None = None) -> Scene:
    """The scene that comes of these choices; `only` these themes, if it is said. KeyError for one that isn't."""
    is_distributed = choices.random() < 0.6
    drawn = [theme for theme in THEMES if theme not in ONLY_BY_NAME]
    themes: Sequence[str] = choices.sample(drawn, choices.choice((0, 1, 1, 2, 2, 3)))
    if only is not None:
        themes = only
    limits = _limits_of(choices, themes)
    span = choices.choice((0.2, 3.0, 12.0))
    # What clocks can do wrong shows where every seat is wanted.
    concerts = _concerts(choices, (2, 3, 4) if "clocks" in themes else (2, 3, 4, 6, 6, 10, 20, 60))
    plans = _plans(choices, concerts, limits, span)
    ends = _apart("", span, plans)
    concerts, plans = _with_ends(ends, concerts, plans, span)
    if ends.random() < LIMITED:
        concerts, plans, limits = _with_limits(ends, concerts, plans, limits)
    deeds = _deeds(ends, concerts, span, certain="changes" in themes or "carts" in themes)
    if deeds:  # the job of a concert that is called off waits for orders that only the comparison brings to their end
        limits = dataclasses.replace(limits, compare_after_seconds=min(limits.compare_after_seconds, 6.0))
    concerts, plans, codes, changing = _with_codes(concerts, plans, span, certain="prices" in themes)
    plans = _with_sellers(plans, span, certain="box office" in themes)
    plans = _with_carts(plans, concerts, span, certain="carts" in themes)
    concerts, plans, blocking, numbered = _with_numbers(concerts, plans, span, certain="numbered seats" in themes)
    beside = _apart("beside", span, plans)
    if only is None and beside.random() < BESIDE:
        themes = [*themes, beside.choice(BESIDE_OTHERS)]
    if only is None and _apart("inside", span, plans).random() < INSIDE:
        themes = [*themes, "given back inside"]
    rates = _rates(choices, themes)
    has_clock_faults = any(rates[fault] for fault in _CLOCK_FAULTS)
    is_erring = ends.random() > 1 - ERRING or "wrong books" in themes
    if is_erring:
        rates |= {fault: rate for fault, rate in THEMES["wrong books"].items() if fault in _PROVIDER_ERRORS}
        limits = dataclasses.replace(limits, reconcile_look_seconds=1.0)
    billed = _apart("invoices", span, plans)
    if "invoices" in themes or (billed.random() < INVOICED and not has_clock_faults):
        limits = dataclasses.replace(limits, invoice_look_seconds=billed.choice((0.05, 0.5)))
    kept = _apart("blocks", span, plans)
    sponsors = sponsors_of(kept, concerts, span) if kept.random() < HELD_BACK or "blocks" in themes else ()
    concerts, codes, waiters = _with_waiters(concerts, plans, codes, span, certain="waiting list" in themes)
    return Scene(
        is_distributed=is_distributed,
        is_apart=choices.random() < 0.5,
        replicas={service: choices.choice((1, 2, 2)) for service in NAMES},
        limits=limits,
        concerts=concerts,
        plans=plans,
        deeds=[*deeds, *changing, *blocking],
        is_erring=is_erring,
        is_reconciled=is_erring,
        seats=numbered,
        waiters=waiters,
        sponsors=sponsors,
        codes=codes,
        weather=_weather(choices, rates, themes),
        shuffle=choices.choice((0.0, 0.2, 1.0)),
        tick_seconds=choices.choice((0.01, 0.05) if "impatience" in themes else (0.0, 0.0, 0.001, 0.01)),
        fault_seconds=span + choices.choice((4.0, 10.0, 20.0)),
        skew=timedelta(seconds=2 * (CLOCK_JUMP_SECONDS + MACHINE_SKEW_SECONDS) if has_clock_faults else 0.0),
        has_webhooks="webhooks" in themes,
    )


def _apart(name: str, span: float, plans: Sequence[Plan]) -> random.Random:
    """Choices of their own, so that a seed stays what it was in all else."""
    return random.Random(f"{name} {span} {[plan.at for plan in plans]}".lstrip())  # noqa: S311 - a scene, not a secret


def _weather(choices: random.Random, rates: Mapping[Fault, float], themes: Sequence[str]) -> Weather:
    """The longer things take, the more often a change of mind meets something that is under way."""
    lags = (0.03, 0.1) if "changes of mind" in themes else (0.001, 0.005, 0.03, 0.1)
    return Weather(rates, lag_seconds=choices.choice(lags))


def _with_codes(
    concerts: list[ScheduleConcert], plans: list[Plan], span: float, *, certain: bool
) -> tuple[list[ScheduleConcert], list[Plan], Sequence[NewCode], list[Deed]]:
    """Price lists and codes, in some scenes, and what organizers change of the codes."""
    sold = _apart("prices 2", span, plans)
    codes: Sequence[NewCode] = ()
    if sold.random() < PRICED or certain:
        concerts, plans, codes = with_prices(sold, concerts, plans, span)
    deeds = [
        Deed(sold.uniform(0.0, 2 * span), code.concert_id, code.wanted.code or "", "code", sold.choice((1, 4)))
        for code in codes
        if sold.random() < 0.3
    ]
    return concerts, plans, codes, deeds


def _limits_of(choices: random.Random, themes: Sequence[str]) -> RunLimits:
    """How long things may take in this scene, and how much there is of each."""
    limits = RunLimits(
        hold_seconds=choices.choice((2.0, 4.0, 8.0, 15.0)),
        max_per_order=4,
        # Where clocks differ, a sweep that comes late leaves more to be judged by them.
        sweep_seconds=choices.choice((6.0, 20.0) if "clocks" in themes else (0.5, 1.0, 3.0, 8.0)),
        call_seconds=choices.choice((0.5, 2.0)),
        pending_seconds=choices.choice((5.0, 20.0)),
        payment_attempt_seconds=choices.choice((0.5, 2.0)),
        payment_attempts=choices.choice((2, 4)),
        payment_backoff=Backoff(0.2, choices.choice((1.0, 4.0))),
        audit_patience=choices.choice((1, 2, 30)),
        audit_wait_seconds=choices.choice((1.0, 30.0)),
    )
    if choices.random() < 0.4:
        limits = _narrow(choices, limits)
    if "impatience" in themes:  # a crowd at the door, and many leave it in the moment in which they are let in
        limits = dataclasses.replace(limits, admission_inside=choices.choice((1, 2)))
    if "lost for good" in themes:
        limits = dataclasses.replace(limits, compare_after_seconds=choices.choice((3.0, 6.0)))
    return limits


def _with_waiters(
    concerts: Sequence[ScheduleConcert], plans: Sequence[Plan], codes: Sequence[NewCode], span: float, *, certain: bool
) -> tuple[list[ScheduleConcert], Sequence[NewCode], Sequence[Waiter]]:
    """Some wait on waiting lists; where that is `certain`, also with codes, and where buyers are limited."""
    queue = _apart("waiting", span, plans)
    has_waiters = queue.random() < WAITING or certain
    waiters: Sequence[Waiter] = waiters_of(queue, concerts, span) if has_waiters else ()
    if not certain:
        return list(concerts), codes, waiters
    bounds = _apart("waiting bounds", span, plans)
    return with_few_each(bounds, concerts), *with_codes(bounds, codes, waiters)


def _narrow(choices: random.Random, limits: RunLimits) -> RunLimits:
    """As if there were a hundred times as many of everything: what is bounded comes to its bounds."""
    narrow = dataclasses.replace(
        limits,
        messages_at_once=choices.choice((1, 2, 32)),
        admission_inside=choices.choice((1, 3, 512)),
        admission_waiting=choices.choice((1, 4, 1_000)),
        admission_backlog=choices.choice((6, 20, 4_000)),
        relay_limit=choices.choice((8, 40, 20_000)),
        relay_page=choices.choice((1, 4, 500)),
        bus_batch=choices.choice((1, 3, 256)),
        audit_waiting_limit=choices.choice((0, 3, 1_000)),
        audit_recent=choices.choice((300, 32_768)),  # no fewer than a batch has
    )
    # Where audit remembers little, its log also has many segments; not drawn, so that seeds keep their runs.
    return dataclasses.replace(narrow, audit_segment_entries=40) if narrow.audit_recent == 300 else narrow


def _concerts(choices: random.Random, sizes: Sequence[int]) -> list[ScheduleConcert]:
    concerts = []
    for number in range(1, choices.choice((1, 1, 2)) + 1):
        sections = [
            SectionRequest(
                id=f"s{section}",
                total_seats=choices.choice(sizes),
                price=Money(0 if choices.random() < FREE else 1000 + 500 * section, "EUR"),
            )
            for section in range(1, choices.choice((1, 1, 2, 3)) + 1)
        ]
        concerts.append(
            ScheduleConcert(
                id=f"concert-{number}",
                artist=f"Artist {number}",
                date="2027-06-05",
                sections=sections,
                max_per_order=choices.choice((2, 4)),
                on_sale_at=rfc3339(MORNING + timedelta(seconds=choices.uniform(0.2, 3.0)))
                if choices.random() < 0.25
                else None,
            )
        )
    return concerts


def _with_ends(
    choices: random.Random, concerts: Sequence[ScheduleConcert], plans: Sequence[Plan], span: float
) -> tuple[list[ScheduleConcert], list[Plan]]:
    """Some concerts are over while buyers still come, or can't be cancelled any more; some buyers say what they pay."""
    changed = []
    for concert in concerts:
        mood = choices.random()
        opens = MORNING if concert.on_sale_at is None else parse_time(concert.on_sale_at)
        if mood < 0.15:
            over = opens + timedelta(seconds=1 + choices.uniform(0, 2 * span))
            there = over.astimezone(timezone(timedelta(hours=choices.randint(-11, 14))))
            concert = replace(concert, date=there.isoformat(timespec="seconds"))  # noqa: PLW2901
        elif mood < 0.3:
            until = opens + timedelta(seconds=choices.uniform(0, 3 * span))
            concert = replace(concert, date="2027-01-08", ends_at="2027-01-10", cancel_until=rfc3339(until))  # noqa: PLW2901
        changed.append(concert)
    prices = [section.price for concert in concerts for section in concert.sections or ()]
    told = [
        plan._replace(wanted=replace(plan.wanted, max_price=choices.choice(prices)))
        if choices.random() < 0.15
        else plan
        for plan in plans
    ]
    return changed, told


def _deeds(choices: random.Random, concerts: Sequence[ScheduleConcert], span: float, *, certain: bool) -> list[Deed]:
    """In some runs the organizer changes what is on sale, and in some calls it off."""
    if choices.random() >= CHANGED and not certain:
        return []
    deeds = []
    for _ in range(choices.randint(1, 6)):
        concert = choices.choice(concerts)
        kind = choices.choice(("seats", "seats", "price", "price", "details", "postpone", "cancel"))
        number = {"seats": choices.choice((-3, -1, 1, 5)), "price": choices.choice((500, 1500, 9900))}
        section = choices.choice(concert.sections or ()).id
        days = choices.choice((0, 30))
        at = choices.uniform(0.1, 1.5 * span + 1)
        deeds.append(Deed(at, concert.id or "", section, kind, number.get(kind, days)))
    return sorted(deeds)


def _with_limits(
    choices: random.Random, concerts: Sequence[ScheduleConcert], plans: Sequence[Plan], limits: RunLimits
) -> tuple[list[ScheduleConcert], list[Plan], RunLimits]:
    """Few buyers who order often, and may have so many tickets only; some runs have quotas of unpaid orders, too."""
    limited = [replace(concert, max_per_buyer=choices.choice((2, 3, 4, 6))) for concert in concerts]
    buyers = choices.choice((1, 2, 4))
    often: list[Plan] = []
    for plan in plans:
        number = choices.randint(1, buyers)
        contact = choices.random()
        wanted = replace(
            plan.wanted,
            user_id=f"user-{number}" if choices.random() < 0.7 else plan.wanted.user_id,
            email=f"buyer+{len(often)}@example.org" if contact < 0.2 else f"{number}@example.org",
            phone=choices.choice((f"+49 170 {number}0000", f"0049170{number}0000", None)),
        )
        often.append(plan._replace(wanted=wanted))
    if choices.random() < 0.3:
        limits = dataclasses.replace(
            limits, holds_per_buyer=choices.choice((1, 3)), lapsed_holds=2, lapsed_pause_seconds=4.0
        )
    return limited, often, limits


def _plans(choices: random.Random, concerts: Sequence[ScheduleConcert], limits: RunLimits, span: float) -> list[Plan]:
    plans = []
    for number in range(1, choices.randint(6, 24) + 1):
        concert = choices.choice(concerts)
        section = choices.choice(concert.sections or ()).id if choices.random() < 0.4 else None
        contact = choices.random()
        wanted = PlaceOrder(
            concert_id=concert.id or "",
            user_id=f"user-{number}",
            quantity=choices.randint(1, concert.max_per_order or limits.max_per_order),
            section=section,
            payment_method=choices.choice(_METHODS),
            email="somebody@example.org" if contact < 0.4 else None,
            phone="+491700000000" if 0.3 < contact < 0.6 else None,
        )
        mood = choices.random()
        plans.append(
            Plan(
                at=choices.uniform(0, span),
                wanted=wanted,
                key=f"key-{number}" if choices.random() < 0.6 else None,
                retries=choices.choice((0, 2, 4)),
                visits=choices.choice((1, 2, 5, 8)),
                cancel_on=choices.choice(_WORTH_A_CANCEL) if mood < 0.12 else None,
                cancel_after=choices.uniform(0, 1.5 * limits.hold_seconds) if 0.12 <= mood < 0.22 else None,
                looks=choices.random() < 0.3,
            )
        )
    return plans


def _with_sellers(plans: list[Plan], span: float, *, certain: bool) -> list[Plan]:
    """Some come to the box office: for cash, by card terminal, or for nothing, some before the sale begins."""
    choices = _apart("till", span, plans)
    if choices.random() >= SOLD and not certain:
        return plans
    return [plan._replace(sold=_sold(choices, plan)) if choices.random() < 0.6 else plan for plan in plans]


def _with_numbers(
    concerts: list[ScheduleConcert], plans: list[Plan], span: float, *, certain: bool
) -> tuple[list[ScheduleConcert], list[Plan], list[Deed], Mapping[tuple[str, str], Sequence[str]]]:
    """Sections whose seats have numbers, in some scenes, what the organizer does to single seats, and all of them where
    people are moved.
    """
    halls = _apart("halls 8", span, plans)
    if halls.random() >= NUMBERED and not certain:
        return concerts, plans, [], {}
    concerts, plans, seats = with_halls(halls, concerts, plans)
    deeds = []
    for kind in ("block", "block", "unblock") if seats else ():
        concert, seat = halls.choice(seats)
        deeds.append(Deed(halls.uniform(0.0, 2 * span), concert, seat, kind, 0))
    others = _apart("plans", span, plans)
    for concert, plan in other_plans(others, concerts) if others.random() < REPLANNED else ():
        deeds.append(Deed(others.uniform(0.0, 2 * span), concert, plan, "plan", 0))
    moving: dict[tuple[str, str], list[str]] = {}
    for concert, seat in seats if certain or halls.random() < MOVING else ():
        moving.setdefault((concert, seat.partition("-")[0]), []).append(seat)
    return concerts, plans, deeds, moving


def _with_carts(plans: list[Plan], concerts: Sequence[ScheduleConcert], span: float, *, certain: bool) -> list[Plan]:
    """Some want tickets of several concerts or sections at once, all or none."""
    # by this number those that are noted keep their runs
    choices = _apart("carts 22", span, plans)
    if choices.random() >= FILLED and not certain:
        return plans
    return [
        plan._replace(cart=_filled(choices, plan, concerts)) if plan.sold is None and choices.random() < 0.6 else plan
        for plan in plans
    ]


def _filled(choices: random.Random, plan: Plan, concerts: Sequence[ScheduleConcert]) -> PlaceCart:
    wanted = plan.wanted
    first = CartLineWish(
        concert_id=wanted.concert_id,
        quantity=wanted.quantity or 1,
        section=wanted.section,
        tickets=wanted.tickets,
        code=wanted.code or UNSET,
        max_total=wanted.max_total or UNSET,
    )
    lines = [first]
    for _ in range(choices.choice((1, 1, 2, 3))):
        concert = choices.choice(concerts)
        section = choices.choice([each.id for each in concert.sections or ()])
        lines.append(
            CartLineWish(
                concert_id=concert.id or "",
                quantity=choices.choice((1, 1, 2)),
                section=section if choices.random() < 0.7 else None,
            )
        )
    return PlaceCart(
        user_id=wanted.user_id,
        lines=lines,
        payment_method=wanted.payment_method,
        email=wanted.email,
        phone=wanted.phone,
    )


def _sold(choices: random.Random, plan: Plan) -> SellAtBoxOffice:
    wanted, method = plan.wanted, choices.choice((*TillMethod, TillMethod.CASH))
    is_free = method is TillMethod.COMPLIMENTARY
    return SellAtBoxOffice(
        concert_id=wanted.concert_id,
        quantity=wanted.quantity or 1,
        method=method,
        receipt=f"R-{choices.randint(1, 999)}" if method is TillMethod.TERMINAL else None,
        reason="Press" if is_free else None,
        section=wanted.section,
        tickets=wanted.tickets,
        code=None if is_free else wanted.code or None,
        max_total=None if is_free else wanted.max_total or None,
        any_time=choices.random() < 0.5,
        user_id=wanted.user_id,
        email=wanted.email,
        phone=wanted.phone,
    )


def _rates(choices: random.Random, themes: Sequence[str]) -> dict[Fault, float]:
    """Each run has its own mixture: some faults not at all, some often. One run in twenty has none."""
    if choices.random() < 0.05:
        return dict.fromkeys(RATES, 0.0)
    rates = {
        fault: min(0.9, rate * choices.choice(_FACTORS)) if rate < 0.5 else rate * choices.choice(_FACTORS)
        for fault, rate in RATES.items()
    }
    if choices.random() < 0.7:
        rates |= dict.fromkeys(_CLOCK_FAULTS, 0.0)
    for theme in themes:
        rates |= THEMES[theme]
    return rates
