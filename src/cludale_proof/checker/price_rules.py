"""The rules of prices: a bill is what price list, code and seats taken say, and no code or tier is oversold.

Everything is computed anew, in fractions, from what the log says of the concert and its codes; how the product
computes is of no concern here.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final, NamedTuple

import msgspec

from cludale_proof.checker.concert_rules import ConcertTold
from cludale_proof.checker.documents import Money, Reservation
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant, Violation
from cludale_proof.checker.section_rules import SectionKey

CodeKey = tuple[str, str]
"""Concert and code."""
_PARTS: Final = ("price", "discount", "fee", "tax", "net", "total")


class _Code(msgspec.Struct):
    """A code as its events tell of it, and what reservations have of it."""

    percent: float | None = None
    less: int | None = None
    unlocks: str | None = None
    is_known: bool = False
    most: dict[str, float] = {}
    """The highest limits that it ever had, by what they count."""
    had: dict[str, int] = {}
    """Tickets of the reservations that count, by reservation."""


class _Tiered(msgspec.Struct):
    """Seats that were held at a price for the first so many."""

    first: int
    quantity: int
    until: datetime | None
    """None: they are sold."""


class _Priced(NamedTuple):
    """What one ticket costs by the rules, and for how many seats its price was."""

    parts: Mapping[str, int]
    fees: Mapping[str, int]
    first: int | None


class PriceBook:
    """All codes and tiers."""

    def __init__(self) -> None:
        self._codes: dict[CodeKey, _Code] = {}
        self._tiers: dict[SectionKey, dict[str, _Tiered]] = {}

    # -- codes

    def code(self, fact: Fact) -> None:
        """A code was made, or has other limits."""
        data = fact.event.data
        code = self._codes.setdefault((data.concert_id or "", data.code or ""), _Code())
        if fact.event.type == "CodeCreated":
            code.percent, code.less, code.unlocks, code.is_known = data.percent, data.less, data.unlocks, True
        for name in ("maxUses", "maxTickets"):
            limit = float("inf") if data.limits is None else data.limits.get(name, float("inf"))
            code.most[name] = max(code.most.get(name, 0), limit)

    def reservation(self, reservation: Reservation) -> Iterator[Violation]:
        """A reservation is as it is now: a sold one counts for good, a held one until its end is stored."""
        name = (reservation.bill or {}).get("code")
        if name is None:
            return
        code = self._codes.setdefault((reservation.concert_id, name), _Code())
        if reservation.status in ("Held", "Sold") or reservation.answered == "sold":
            is_new = reservation.id not in code.had
            code.had[reservation.id] = reservation.quantity
            if is_new:
                yield from _over(code, f"code {name} of concert {reservation.concert_id}", reservation.order_id)
        else:
            code.had.pop(reservation.id, None)

    # -- bills

    def held(
        self, fact: Fact, told: ConcertTold | None, scheduled: Money | None, *, skew: timedelta, tiers: bool = True
    ) -> Iterator[Violation]:
        """Seats were held: does their bill follow from the rules of then? Those for late money keep theirs.

        `tiers`: events come in the order in which they happened, so that it can be counted who had which seats.
        """
        data = fact.event.data
        bill, by = data.bill, data.priced
        if bill is None or by is None or told is None or scheduled is None or told.scheduled is None:
            if bill is None and told is not None and _pricing(told, max(told.steps, default=0)) and not told.steps:
                yield _wrong(fact, "no-bill", "its concert has a price list, and it has no bill")
            return
        is_again = "." in (data.reservation_id or "")
        if not is_again and not -timedelta(seconds=1) <= by.at - fact.event.time <= skew + timedelta(seconds=1):
            yield _wrong(fact, "priced-at-another-time", f"it was priced as of {by.at}, and held at {fact.event.time}")
        price = (data.price or scheduled).amount
        pricing = _pricing(told, by.revision) or {}
        code = self._codes.get((data.concert_id or "", bill["code"])) if bill.get("code") else None
        if bill.get("code") and (code is None or not code.is_known):
            yield _wrong(fact, "code-of-nowhere", f"nobody made its code {bill['code']}")
            return
        firsts: list[int] = []
        free = bool(bill.get("complimentary"))
        rules = _Rules(pricing, code, data.section or "", price, by.at, by.taken, free)
        yield from _compared(fact, bill, rules, firsts)
        if firsts and tiers and not is_again:
            yield from self._tier(fact, min(firsts), by.at)

    def _tier(self, fact: Fact, first: int, at: datetime) -> Iterator[Violation]:
        data = fact.event.data
        seats = self._tiers.setdefault((data.concert_id or "", data.section or ""), {})
        seats[data.reservation_id or ""] = _Tiered(first, data.quantity or 0, data.expires_at)
        live = sum(
            each.quantity for each in seats.values() if each.first <= first and (each.until is None or at < each.until)
        )
        if live > first:
            yield _wrong(fact, "tier-oversold", f"with it {live} seats have a price that is for the first {first}")

    def seats(self, fact: Fact) -> None:
        """Seats were sold, released or given back."""
        data = fact.event.data
        seats = self._tiers.get((data.concert_id or "", data.section or ""), {})
        known = seats.get(data.reservation_id or "")
        if known is None or fact.event.repeated:
            return
        if fact.event.type == "SeatsSold":
            known.until = None
        elif fact.event.type == "SeatsReleased":
            del seats[data.reservation_id or ""]
        elif fact.event.type == "SeatsReturned":
            known.quantity -= data.tickets or 0


def _over(code: _Code, subject: str, order_id: str | None) -> Iterator[Violation]:
    counts = {"maxUses": len(code.had), "maxTickets": sum(code.had.values())}
    for name, count in counts.items():
        if count > code.most.get(name, float("inf")):
            yield Violation(
                invariant=Invariant.WITHIN_LIMITS,
                rule="code-over-its-limit",
                subject=subject,
                detail=f"it is used {len(code.had)} times for {sum(code.had.values())} tickets; "
                f"its {name} was {code.most[name]} at most",
                order_id=order_id,
            )


def _wrong(fact: Fact, rule: str, detail: str) -> Violation:
    return Violation(
        invariant=Invariant.ONE_LIVE_RESERVATION,
        rule=rule,
        subject=f"reservation {fact.event.data.reservation_id}",
        detail=detail,
        order_id=fact.event.data.order_id,
        evidence=(fact,),
    )


def _pricing(told: ConcertTold, revision: int) -> Mapping[str, Any] | None:
    """The concert's price list after this change of it."""
    scheduled = told.scheduled
    found = ((scheduled.event.data.particulars if scheduled is not None else None) or {}).get("pricing")
    for number in sorted(told.steps):
        fields = told.steps[number].event.data.fields
        if number <= revision and isinstance(fields, Mapping) and "pricing" in fields:
            found = fields["pricing"]
    return found


class _Rules(NamedTuple):
    pricing: Mapping[str, Any]
    code: _Code | None
    section: str
    price: int
    at: datetime
    taken: int
    free: bool = False
    """It is complimentary: the discount is all of the price."""

    def categories(self) -> list[Mapping[str, Any]]:
        """Those that there are."""
        return list(self.pricing.get("categories") or [{"id": "standard", "name": "Standard"}])

    def ticket(self, category: Mapping[str, Any]) -> _Priced | None:
        """One ticket of it; None: there is none to be had."""
        if category.get("hidden") and (self.code is None or self.code.unlocks != category["id"]):
            return None
        rows = [
            row
            for row in self.pricing.get("prices") or []
            if (row["section"], row["category"]) == (self.section, category["id"])
            and ("until" not in row or self.at < datetime.fromisoformat(row["until"]))
            and ("first" not in row or self.taken <= row["first"])
        ]
        if not rows and category["id"] != self.categories()[0]["id"]:
            return None
        price = rows[0]["amount"] if rows else self.price
        off = price if self.free else 0
        if self.code is not None and self.code.percent is not None:
            off = _rounded(price * _part(self.code.percent))
        elif self.code is not None and self.code.less is not None:
            off = min(price, self.code.less)
        fees = {fee["id"]: self.fee(fee, price - off) for fee in self._fees(per_order=False)}
        tax, total = self.taxed(price - off + sum(fees.values()))
        parts = {"price": price, "discount": off, "fee": sum(fees.values()), "tax": tax}
        parts |= {"net": total - tax, "total": total}
        return _Priced(parts, fees, rows[0].get("first") if rows else None)

    def _fees(self, *, per_order: bool) -> list[Mapping[str, Any]]:
        return [fee for fee in self.pricing.get("fees") or [] if bool(fee.get("perOrder")) is per_order]

    @staticmethod
    def fee(fee: Mapping[str, Any], cost: int) -> int:
        """What the fee is on this."""
        if not cost:
            return 0
        return fee["amount"] if "amount" in fee else _rounded(cost * _part(fee["percent"]))

    def of_order(self, cost: int) -> dict[str, int]:
        """The fees for the order as a whole."""
        return {fee["id"]: self.fee(fee, cost) for fee in self._fees(per_order=True)}

    def taxed(self, amount: int) -> tuple[int, int]:
        """The tax, and the amount with it."""
        tax = self.pricing.get("tax")
        if not tax:
            return 0, amount
        rate = _part(tax["percent"])
        if tax.get("included", True):
            return _rounded(amount * rate / (1 + rate)), amount
        return _rounded(amount * rate), amount + _rounded(amount * rate)


def _compared(fact: Fact, bill: Mapping[str, Any], rules: _Rules, firsts: list[int]) -> Iterator[Violation]:
    """The bill against the rules. `firsts` gets how many seats each price that it has was for."""
    known = {each["id"]: each for each in rules.categories()}
    sums = dict.fromkeys(_PARTS, 0)
    fees: dict[str, int] = {}
    for line in bill["lines"]:
        each = rules.ticket(known[line["category"]]) if line["category"] in known else None
        if each is None:
            yield _wrong(fact, "priced-otherwise", f"{line['category']} tickets were not to be had")
            return
        if each.first is not None:
            firsts.append(each.first)
        owed = {name: part * (1 if name == "price" else line["quantity"]) for name, part in each.parts.items()}
        said = {name: line.get(name, 0) for name in _PARTS}
        if said != owed:
            yield _wrong(
                fact, "priced-otherwise", f"its {line['category']} tickets are {said}, and by the rules {owed}"
            )
        for name in _PARTS:
            sums[name] += owed[name] * (line["quantity"] if name == "price" else 1)
        for id, fee in each.fees.items():
            fees[id] = fees.get(id, 0) + fee * line["quantity"]
    for id, fee in rules.of_order(sums["price"] - sums["discount"]).items():
        tax, total = rules.taxed(fee)
        fees[id] = fee
        sums["fee"] += fee
        sums["tax"] += tax
        sums["total"] += total
        sums["net"] += total - tax
    said = {name: bill.get(name, 0) for name in _PARTS if name != "price"}
    owed = {name: sums[name] for name in said}
    if said != owed:
        yield _wrong(fact, "priced-otherwise", f"its bill comes to {said}, and by the rules to {owed}")
    if {fee["id"]: fee["amount"] for fee in bill.get("fees", ())} != {id: fee for id, fee in fees.items() if fee}:
        yield _wrong(fact, "priced-otherwise", f"its fees are {bill.get('fees', ())}, and by the rules {fees}")
    if sum(line["quantity"] for line in bill["lines"]) != fact.event.data.quantity:
        yield _wrong(
            fact, "priced-otherwise", f"its bill is for another number than {fact.event.data.quantity} tickets"
        )


def _part(percent: float) -> Fraction:
    return Fraction(str(percent)) / 100


def _rounded(amount: Fraction | int) -> int:
    """Half up."""
    return int((Fraction(amount) + Fraction(1, 2)) // 1)
