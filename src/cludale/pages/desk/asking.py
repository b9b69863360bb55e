"""What the desk's pages have in common: reading a concert or an order, and asking whether something is meant."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cludale.pages.api import Problem, path
from cludale.pages.desk.views import Concert, Order
from cludale.pages.forms import FIELD
from cludale.pages.site import Missing, Site, checked
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response

SURE = "sure"
"""The field of a form that was shown once more, and is meant: its idempotency key."""
LARGE_FIELDS, LARGE_BYTES = 1_500, 120_000
"""Of the forms of concerts, which have a row for each section."""


class Seen(NamedTuple):
    """A concert, and the tag that a change of it wants."""

    concert: Concert
    tag: str


async def concert(staff: Staff, id: str) -> Seen:
    """A concert of who is signed in. Raises Missing for anybody else's."""
    answer = checked(await staff.ask("GET", path("concerts", id)))
    found = answer.read(Concert)
    if not is_own(staff, found):
        raise Missing
    return Seen(found, answer.tag or "")


def is_own(staff: Staff, concert: Concert) -> bool:
    """Is it one of theirs?"""
    own = staff.session
    return concert.organizer == own.organizer and own.concert_id in (None, concert.id)


async def order(staff: Staff, id: str) -> Order:
    """An order of who is signed in. Raises Missing for anybody else's."""
    return checked(await staff.ask("GET", path("orders", id))).read(Order)


def shown(site: Site, staff: Staff, template: str, *, status: int = 200, **values: Any) -> Response:
    """A page of the desk."""
    return site.private(staff.visit, template, status=status, staff=staff, own=staff.session, **values)


def confirm(
    site: Site,
    staff: Staff,
    what: str,
    fields: Mapping[str, str],
    *,
    rows: Sequence[tuple[str, str]] = (),
    back: str,
    **values: Any,
) -> Response:
    """Is it meant? The form is shown once more, with a key that makes it happen once, however often it is sent.

    `what` names the question (`desk/confirm.html`), `rows` what it is about, by the names that the page has for them.
    """
    kept = {name: value for name, value in fields.items() if name not in (SURE, FIELD)}
    sure = secrets.token_urlsafe(18)
    return shown(site, staff, "desk/confirm.html", what=what, fields=kept, sure=sure, rows=rows, back=back, **values)


def why(problem: Problem) -> dict[str, str]:
    """A refusal's words by field; those of none under an empty name."""
    errors = problem.values.get("errors")
    if not isinstance(errors, list) or not errors:
        return {"": problem.detail}
    return {str(each.get("field", "")): str(each.get("message", "")) for each in errors if isinstance(each, dict)}
