"""The form of a price list: what of it stands in it, and what the API is told of what was typed. No I/O.

What is emptied is taken out: a category or fee without a name, a price without an amount. Of several prices for the
same seats the first that applies counts, so each has a place in their order, which may be typed anew.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from cludale.kernel.money import Money
from cludale.pages.desk import concert_form
from cludale.pages.desk.concert_form import Wrong
from cludale.pages.desk.views import Concert

CATEGORY, PRICE, FEE = "category", "price", "fee"
KINDS: Mapping[str, Sequence[str]] = {
    CATEGORY: ("id", "name", "hidden"),
    PRICE: ("place", "section", "category", "amount", "name", "until", "until-time", "first"),
    FEE: ("id", "name", "amount", "percent", "perOrder"),
}
"""What is listed, and the fields of a row of it: `price-0-amount`."""
MOST: Mapping[str, int] = {CATEGORY: 50, PRICE: 500, FEE: 10}
MORE: Mapping[str, int] = {CATEGORY: 2, PRICE: 4, FEE: 1}
MOST_FIELDS, MOST_BYTES = 5_000, 400_000
_LISTS = {"categories": CATEGORY, "prices": PRICE, "fees": FEE}
_AT = re.compile(r"pricing\.(\w+)\[(\d+)\](?:\.(\w+))?.*")
_PERCENT = re.compile(r"\d{1,3}(?:[.,]\d{1,3})?", re.ASCII)
_NO_WORD = re.compile(r"[^a-z0-9]+")

Rows = Mapping[str, list[dict[str, str]]]


class PriceListFields(NamedTuple):
    """A price list as the API is told it, and which row of the form each of its items is."""

    body: dict[str, Any]
    numbers: Mapping[str, Sequence[int]]


def shown(concert: Concert) -> dict[str, str]:
    """The price list as its form shows it, by field."""
    pricing: Mapping[str, Any] = concert.pricing or {}
    fields: dict[str, str] = {}
    lists = (
        (CATEGORY, [_plain(each) for each in pricing.get("categories", ())]),
        (PRICE, [_price(each, i, concert) for i, each in enumerate(pricing.get("prices", ()))]),
        (FEE, [_fee(each, concert) for each in pricing.get("fees", ())]),
    )
    for kind, rows in lists:
        fields[f"{kind}-rows"] = str(len(rows))
        for i, row in enumerate(rows):
            fields |= {f"{kind}-{i}-{name}": value for name, value in row.items() if value}
    tax = pricing.get("tax") or {}
    fields["tax-name"] = str(tax.get("name", ""))
    fields["tax-percent"] = number(tax["percent"]) if tax else ""
    if tax and not tax.get("included", True):
        fields["tax-added"] = "1"
    return fields


def rows(fields: Mapping[str, str], *, more: str = "") -> Rows:
    """The rows of the form as they were typed; with some that are empty where there are none, or `more` of a kind."""
    found: dict[str, list[dict[str, str]]] = {}
    for kind, names in KINDS.items():
        text = fields.get(f"{kind}-rows", "")
        count = min(int(text), MOST[kind]) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
        typed = [{name: fields.get(f"{kind}-{i}-{name}", "") for name in names} for i in range(count)]
        if more == kind or not typed:
            typed += [dict.fromkeys(names, "")] * MORE[kind]
        found[kind] = typed[: MOST[kind]]
    ids = _ids(found[CATEGORY])
    for row, id in zip(found[CATEGORY], ids, strict=True):
        if row["name"]:
            row["id"] = id
    return found


def told(concert: Concert, fields: Mapping[str, str]) -> PriceListFields:
    """The `pricing` of a change. Raises Wrong."""
    wrong: dict[str, str] = {}
    typed, currency = rows(fields), currency_of(concert)
    categories = [(i, row) for i, row in enumerate(typed[CATEGORY]) if row["name"]]
    prices = sorted(
        ((i, row) for i, row in enumerate(typed[PRICE]) if row["amount"]),
        key=lambda each: _place(each[1]["place"], f"{PRICE}-{each[0]}-place", wrong),
    )
    fees = [(i, row) for i, row in enumerate(typed[FEE]) if row["name"]]
    fee_ids = _ids([row for _, row in fees])
    body = {
        "categories": [{"id": row["id"], "name": row["name"], "hidden": bool(row["hidden"])} for _, row in categories],
        "prices": [_told_price(i, row, concert, currency, wrong) for i, row in prices],
        "fees": [_told_fee(i, row, id, currency, wrong) for (i, row), id in zip(fees, fee_ids, strict=True)],
        "tax": _told_tax(fields, wrong),
    }
    if wrong:
        raise Wrong(wrong)
    lists = ((CATEGORY, categories), (PRICE, prices), (FEE, fees))
    return PriceListFields(body, {kind: [i for i, _ in found] for kind, found in lists})


def at_fields(why: Mapping[str, str], numbers: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """The API's words by field of the form."""
    found: dict[str, str] = {}
    for field, text in why.items():
        match = _AT.fullmatch(field)
        kind = _LISTS.get(match[1], "") if match else ""
        if match and kind and int(match[2]) < len(numbers[kind]):
            part = match[3] or "amount"
            if part not in KINDS[kind] or part in ("id", "hidden"):
                part = "name"
            found.setdefault(f"{kind}-{numbers[kind][int(match[2])]}-{part}", text)
        elif field.startswith("pricing.tax."):
            found.setdefault(f"tax-{field.rpartition('.')[2]}", text)
        else:
            found.setdefault("", f"{field}: {text}" if field else text)
    return found


def currency_of(concert: Concert) -> str:
    """Of all its prices."""
    return concert.sections[0].price.currency if concert.sections else "EUR"


def number(value: float) -> str:
    """A percentage as it stands in a form: 19 or 8.875."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _plain(category: Mapping[str, Any]) -> dict[str, str]:
    return {"id": category["id"], "name": category["name"], "hidden": "1" if category.get("hidden") else ""}


def _price(row: Mapping[str, Any], i: int, concert: Concert) -> dict[str, str]:
    until = row.get("until")
    text = concert_form.local(datetime.fromisoformat(until), concert.zone) if until else ""
    return {
        "place": str(i + 1),
        "section": row["section"],
        "category": row["category"],
        "amount": concert_form.plain(Money(row["amount"], currency_of(concert))),
        "name": row.get("name") or "",
        "until": text[:10],
        "until-time": text[11:16],
        "first": str(row.get("first") or ""),
    }


def _fee(fee: Mapping[str, Any], concert: Concert) -> dict[str, str]:
    amount, rate = fee.get("amount"), fee.get("percent")
    return {
        "id": fee["id"],
        "name": fee["name"],
        "amount": "" if amount is None else concert_form.plain(Money(amount, currency_of(concert))),
        "percent": "" if rate is None else number(rate),
        "perOrder": "1" if fee.get("perOrder") else "",
    }


def _told_price(
    i: int, row: Mapping[str, str], concert: Concert, currency: str, wrong: dict[str, str]
) -> dict[str, Any]:
    at = f"{PRICE}-{i}"
    price: dict[str, Any] = {"section": row["section"], "category": row["category"]}
    wrong |= {f"{at}-{name}": "needed" for name, value in price.items() if not value}
    price["amount"] = _amount(f"{at}-amount", row["amount"], currency, wrong)
    if row["name"]:
        price["name"] = row["name"]
    if row["until"]:
        zoned = {"zone": concert.zone or "", "offset": "Z"}
        price["until"] = concert_form.moment(row["until"], row["until-time"], zoned)
    elif row["until-time"]:
        wrong[f"{at}-until"] = "needed"
    if row["first"]:
        if row["first"].isascii() and row["first"].isdecimal() and len(row["first"]) < 10:
            price["first"] = int(row["first"])
        else:
            wrong[f"{at}-first"] = "number"
    return price


def _told_fee(i: int, row: Mapping[str, str], id: str, currency: str, wrong: dict[str, str]) -> dict[str, Any]:
    at = f"{FEE}-{i}"
    fee: dict[str, Any] = {"id": id, "name": row["name"]}
    if row["perOrder"]:
        fee["perOrder"] = True
    if row["amount"] and row["percent"]:
        wrong[f"{at}-percent"] = "either"
    elif row["percent"]:
        fee["percent"] = percent(f"{at}-percent", row["percent"], wrong)
    elif row["amount"]:
        fee["amount"] = _amount(f"{at}-amount", row["amount"], currency, wrong)
    else:
        wrong[f"{at}-amount"] = "needed"
    return fee


def _told_tax(fields: Mapping[str, str], wrong: dict[str, str]) -> dict[str, Any] | None:
    name, rate = fields.get("tax-name", ""), fields.get("tax-percent", "")
    if not name and not rate:
        return None
    for field, text in (("tax-name", name), ("tax-percent", rate)):
        if not text:
            wrong[field] = "needed"
    return {
        "name": name,
        "percent": percent("tax-percent", rate or "0", wrong),
        "included": "tax-added" not in fields,
    }


def _amount(field: str, text: str, currency: str, wrong: dict[str, str]) -> int:
    try:
        return concert_form.minor(text, currency)
    except ValueError:
        wrong[field] = "price"
        return 0


def percent(field: str, text: str, wrong: dict[str, str]) -> float:
    """A percentage as people type it, `19` or `8,875`; `wrong` is told of a field that has something else."""
    if _PERCENT.fullmatch(text):
        return float(text.replace(",", "."))
    wrong[field] = "percent"
    return 0.0


def _place(text: str, field: str, wrong: dict[str, str]) -> int:
    if not text:
        return 10**6
    if text.isascii() and text.isdecimal() and len(text) < 5:
        return int(text)
    wrong[field] = "number"
    return 0


def _ids(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Ids of rows: their own, else one by their name that no other has."""
    taken = {row["id"] for row in rows if row["id"]}
    ids: list[str] = []
    for i, row in enumerate(rows):
        id = row["id"]
        if not id:
            name = unicodedata.normalize("NFKD", row["name"]).encode("ascii", "ignore").decode().lower()
            id = _NO_WORD.sub("-", name).strip("-")[:40] or f"row-{i + 1}"
            id = f"{id}-{i + 1}" if id in taken else id
            taken.add(id)
        ids.append(id)
    return ids
