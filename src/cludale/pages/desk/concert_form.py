"""The form of a concert: what of a concert stands in it, and what the API is told of what was typed. No I/O.

A time is two fields, a day and an hour, as it is read off the wall in the concert's zone; without an hour it is a day.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from cludale.kernel.currencies import minor_digits
from cludale.kernel.money import Money
from cludale.pages import forms
from cludale.pages.desk.views import Concert

TEXTS = ("artist", "title", "venue", "place", "description", "picture", "zone")
MOMENTS = ("date", "doorsAt", "endsAt", "onSaleAt", "offSaleAt", "cancelUntil")
NUMBERS = ("minPerOrder", "maxPerOrder", "maxPerBuyer", "offerMinutes")
FIXED = frozenset({"maxPerBuyer"})
"""Fields that a concert has for good."""
_FIELDS = frozenset({*TEXTS, *MOMENTS, *NUMBERS, "status"})
FIRST_ROWS, MORE_ROWS, MOST_ROWS = 3, 5, 100
_OFFSET = re.compile(r"[+-]\d\d:\d\d$|Z$")
_PRICE = re.compile(r"(\d{1,12})(?:[.,](\d+))?", re.ASCII)
_NO_WORD = re.compile(r"[^a-z0-9]+")


class Wrong(Exception):
    """What was typed can't be told to the API; `why` has a word for each field."""

    def __init__(self, why: Mapping[str, str]) -> None:
        super().__init__(", ".join(why))
        self.why = why


class SectionRow(NamedTuple):
    """A section in the form."""

    id: str
    name: str
    seats: str
    price: str
    zone: str = ""
    """The zone of the seating plan, where its seats have numbers; the section then has as many seats as the zone."""


def shown(concert: Concert) -> dict[str, str]:
    """What of a concert stands in its form, by field."""
    offset = _OFFSET.search(concert.date) if "T" in concert.date else None
    fields = {"offset": offset[0] if offset else "Z", "status": concert.status}
    for name in TEXTS:
        fields[name] = getattr(concert, name) or ""
    for name in NUMBERS:
        value = getattr(concert, _snake(name))
        fields[name] = "" if value is None else str(value)
    for name in MOMENTS:
        value = getattr(concert, _snake(name))
        text = local(value, concert.zone) if isinstance(value, datetime) else value or ""
        fields[name], fields[f"{name}-time"] = text[:10], text[11:16]
    return fields


def rows_of(concert: Concert) -> list[SectionRow]:
    """Its sections, as they stand in the form."""
    return [
        SectionRow(each.id, each.name, str(each.total_seats), plain(each.price), each.zone or "")
        for each in concert.sections
    ]


def copied(concert: Concert) -> dict[str, str]:
    """The form of another concert that is like this one, at a time that is not known yet."""
    fields = shown(concert)
    for name in MOMENTS:
        fields[name] = fields[f"{name}-time"] = ""
    for name in ("date-time", "doorsAt-time"):
        fields[name] = shown(concert)[name]
    fields["plan"] = concert.seat_plan or ""
    return {**fields, "status": "draft", "currency": concert.sections[0].price.currency if concert.sections else "EUR"}


def rows(fields: Mapping[str, str]) -> list[SectionRow]:
    """The rows of a form, as they were typed."""
    count = min(forms.whole(fields.get("rows", "")) or 0, MOST_ROWS)
    return [
        SectionRow(*(fields.get(f"section-{i}-{part}", "") for part in ("id", "name", "seats", "price", "zone")))
        for i in range(count)
    ]


def new(fields: Mapping[str, str]) -> tuple[dict[str, Any], list[int]]:
    """The body of `POST /concerts`, and which row of the form each of its sections is. Raises Wrong."""
    wrong: dict[str, str] = {}
    body = _body_of(fields, [*TEXTS, *MOMENTS, *NUMBERS], wrong)
    body = {name: value for name, value in body.items() if value is not None}
    body["artist"] = fields.get("artist", "")
    body.setdefault("date", "")
    body["status"] = fields.get("status") or "draft"
    if fields.get("id"):
        body["id"] = fields["id"]
    if fields.get("plan"):
        body["seatPlan"] = fields["plan"]
    typed, currency = rows(fields), fields.get("currency", "").upper() or "EUR"
    numbers = [i for i, row in enumerate(typed) if row.name or row.seats or row.price]
    if not numbers:
        wrong["section-0-seats"] = "needed"
    body["sections"], ids = [], set[str]()
    for i in numbers:
        row = typed[i]
        id = _new_id(row, i, ids)
        ids.add(id)
        section: dict[str, Any] = {"id": id}
        if row.zone and "seatPlan" in body:
            section["zone"] = row.zone
        else:
            section["totalSeats"] = _number(f"section-{i}-seats", row.seats, wrong)
        if row.name:
            section["name"] = row.name
        section["price"] = {
            "amount": _price(f"section-{i}-price", row.price or "0", currency, wrong),
            "currency": currency,
        }
        body["sections"].append(section)
    if wrong:
        raise Wrong(wrong)
    return body, numbers


def changes(concert: Concert, fields: Mapping[str, str]) -> dict[str, Any]:
    """The body of `PATCH /concerts/{id}`: what was typed otherwise than it stands. Raises Wrong."""
    before = shown(concert)
    other = {name for name, value in fields.items() if name in before and value != before[name]}
    names = [name for name in (*TEXTS, *MOMENTS, *NUMBERS) if name in other and name not in FIXED]
    # A time of another zone, or by other rules, is another time: what is written there has to be said again.
    zoned = ("date", "doorsAt", "endsAt") if "zone" in other or "clocks" in fields else ()
    names += [
        each for each in MOMENTS if each not in names and (f"{each}-time" in other or (each in zoned and before[each]))
    ]
    wrong: dict[str, str] = {}
    body = _body_of({**before, **fields}, names, wrong)
    if "status" in other:
        body["status"] = fields["status"]
    if wrong:
        raise Wrong(wrong)
    return body


def differing(concert: Concert, fields: Mapping[str, str]) -> dict[str, str]:
    """What stands now, by field, where something else was typed."""
    now = shown(concert)
    different: dict[str, str] = {}
    for name, value in now.items():
        base = name.removesuffix("-time")
        if name in fields and fields[name] != value and base not in FIXED:
            different[base] = f"{now[base]} {now[f'{base}-time']}".strip() if base in MOMENTS else now[base]
    return different


def seat_changes(concert: Concert, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """The `sections` of a change: those whose seats or price were typed otherwise than they stand. Raises Wrong."""
    wrong: dict[str, str] = {}
    changed: list[dict[str, Any]] = []
    for i, section in enumerate(concert.sections):
        seats, price = fields.get(f"section-{i}-seats"), fields.get(f"section-{i}-price")
        one: dict[str, Any] = {"id": section.id}
        if seats is not None and seats != str(section.total_seats):
            one["totalSeats"] = _number(f"section-{i}-seats", seats, wrong)
        if price is not None and price != plain(section.price):
            currency = section.price.currency
            amount = _price(f"section-{i}-price", price, currency, wrong)
            one["price"] = {"amount": amount, "currency": currency}
        if len(one) > 1:
            changed.append(one)
    if wrong:
        raise Wrong(wrong)
    return changed


def moved(concert: Concert, fields: Mapping[str, str]) -> dict[str, Any]:
    """The body of `POST /concerts/{id}/postpone`."""
    before = shown(concert)
    zoned = {**fields, "zone": before["zone"], "offset": before["offset"]}
    names = ("date", "doorsAt", "endsAt", "cancelUntil")
    said = {name: moment(fields.get(name, ""), fields.get(f"{name}-time", ""), zoned) for name in names}
    return {"reason": fields.get("reason", ""), **{name: text for name, text in said.items() if text is not None}}


def at_fields(errors: Sequence[Mapping[str, str]], numbers: Sequence[int] = ()) -> dict[str, str]:
    """The API's words by field of the form; `numbers`: the row of each section of the body."""
    found: dict[str, str] = {}
    for each in errors:
        field, message = str(each.get("field", "")), str(each.get("message", ""))
        match = re.fullmatch(r"sections\[(\d+)\]\.(\w+).*", field)
        if match and int(match[1]) < len(numbers):
            part = {"totalSeats": "seats", "price": "price"}.get(match[2], "name")
            field = f"section-{numbers[int(match[1])]}-{part}"
        if field not in _FIELDS and not field.startswith("section-"):
            field, message = "", f"{field}: {message}" if field else message
        found.setdefault(field, message)
    return found


def minor(text: str, currency: str) -> int:
    """An amount as people type it, `45`, `45.5` or `45,50`, in minor units. Raises ValueError."""
    match, digits = _PRICE.fullmatch(text.strip()), minor_digits(currency)
    part = "" if match is None else match[2] or ""
    if match is None or len(part) > digits:
        raise ValueError(text)
    return int(match[1] + part.ljust(digits, "0"))


def plain(money: Money) -> str:
    """An amount as it stands in a form: `45.00`."""
    return str(money).partition(" ")[0]


def _body_of(fields: Mapping[str, str], names: Sequence[str], wrong: dict[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name in names:
        text = fields.get(name, "")
        if name in NUMBERS:
            body[name] = _number(name, text, wrong) if text else None
        elif name in MOMENTS:
            body[name] = moment(text, fields.get(f"{name}-time", ""), fields)
        else:
            body[name] = text.replace("\r\n", "\n") or None
    return body


def moment(day: str, hour: str, fields: Mapping[str, str]) -> str | None:
    """A time as the API takes it, as it was typed: in the `zone` of the fields, else at their `offset`."""
    if not hour:
        return day or None
    return f"{day}T{hour}" + ("" if fields.get("zone") else f":00{fields.get('offset') or 'Z'}")


def _number(field: str, text: str, wrong: dict[str, str]) -> int:
    number = forms.whole(text)
    if number is None:
        wrong[field] = "number" if text else "needed"
    return number or 0


def _price(field: str, text: str, currency: str, wrong: dict[str, str]) -> int:
    try:
        return minor(text, currency)
    except ValueError:
        wrong[field] = "price"
        return 0


def _new_id(row: SectionRow, i: int, taken: set[str]) -> str:
    plain_name = unicodedata.normalize("NFKD", row.name).encode("ascii", "ignore").decode().lower()
    id = row.id or _NO_WORD.sub("-", plain_name).strip("-")[:48] or f"section-{i + 1}"
    return f"{id}-{i + 1}" if id in taken else id


def local(moment: datetime, zone: str | None) -> str:
    """A time as the wall shows it there, `2099-06-05T19:30…`."""
    if zone is None:
        return moment.isoformat(timespec="minutes")
    return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes")


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", name)
