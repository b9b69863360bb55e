"""The postal address for an invoice, as a form of the shop and of the desk, alone or in a checkout.

What it may be, the API says.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from unicodedata import combining, normalize

import msgspec

from cludale.kernel.countries import COUNTRIES
from cludale.pages.api import Problem
from cludale.pages.languages import language

FIELDS = ("name", "street", "more", "postcode", "place", "country", "vatId")
NEEDED = ("name", "street", "place", "country")
WANTED = "invoice"
"""The field of a checkout that says that an address is to be on the invoice."""
_FIELD = "billingAddress"


class BillingAddress(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whom an order is invoiced to."""

    name: str
    street: str
    more: str | None = None
    postcode: str | None = None
    place: str
    country: str
    vat_id: str | None = None

    @property
    def fields(self) -> dict[str, str]:
        """As its form shows it."""
        said = msgspec.to_builtins(self)
        return {name: said[name] or "" for name in FIELDS}


@lru_cache
def countries(code: str) -> Sequence[tuple[str, str]]:
    """All countries as a language names them, in its order but for accents: code, name."""
    named = [(each, language(code).country(each)) for each in COUNTRIES]
    return tuple(sorted(named, key=lambda each: _plain(each[1])))


def _plain(text: str) -> str:
    return "".join(each for each in normalize("NFKD", text.casefold()) if not combining(each))


def body_of(fields: Mapping[str, str], before: str = "") -> tuple[dict[str, Any], dict[str, str]]:
    """The body of `PATCH /orders/{id}`, and what is wrong with what was typed, by field. `before` is what the names of
    the form's fields begin with.
    """
    wrong = {f"{before}{name}": "needed" for name in NEEDED if not fields.get(f"{before}{name}")}
    return {_FIELD: {name: typed for name in FIELDS if (typed := fields.get(f"{before}{name}"))}}, wrong


def wanted_of(fields: Mapping[str, str], before: str = "") -> tuple[dict[str, Any], dict[str, str]]:
    """The same of a form that sells: nothing, unless somebody said that they want it."""
    return body_of(fields, before) if WANTED in fields else ({}, {})


def refused(problem: Problem, before: str = "") -> dict[str, str]:
    """What the API refuses of the address in an order, by the form's fields."""
    at = f"{_FIELD}."
    return {before + field.removeprefix(at): text for field, text in problem.errors if field.startswith(at)}


def at_fields(problem: Problem) -> dict[str, str]:
    """What the API refuses, by the form's fields; what is about none of them under an empty name."""
    named = {field.rpartition(".")[2]: text for field, text in problem.errors}
    return {name if name in FIELDS else "": text for name, text in named.items()} or {"": problem.detail}
