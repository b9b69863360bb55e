"""What the desk's pages have in common: a concert or an order is read, and a form goes its one way.

A form is shown; what was typed is looked at; what can't be taken back is asked for once more; the API is told; and
what the API refuses stands in the form again, beside its field.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cludale.pages import forms
from cludale.pages.api import Answer, Problem, path
from cludale.pages.desk.views import Concert, Order
from cludale.pages.forms import FIELD
from cludale.pages.site import Missing, checked
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response

SURE = "sure"
"""The field of a form that was shown once more, and is meant: its idempotency key."""
LARGE_FIELDS, LARGE_BYTES = 1_500, 120_000
"""Limits of the forms about concerts, which have a row for each section."""
REFUSED = (409, 412, 422, 428)
"""Statuses of the API that a form has words for: what was typed can't be so, or not as things stand."""
LATE = 412
MOST_NAMED = 20
"""The most concerts that one page asks for by their ids; others stand there by these."""


class TaggedConcert(NamedTuple):
    """A concert, and the tag that a change of it wants."""

    concert: Concert
    tag: str


async def concert(staff: Staff, id: str) -> TaggedConcert:
    """A concert of who is signed in. Raises Missing for anybody else's."""
    answer = checked(await staff.ask("GET", path("concerts", id)))
    found = answer.read(Concert)
    if not is_own(staff, found):
        raise Missing
    return TaggedConcert(found, answer.tag or "")


async def concerts(staff: Staff, ids: Iterable[str]) -> Mapping[str, Concert]:
    """What a list names, by id: of the first MOST_NAMED, as far as there are any."""
    asked = list(dict.fromkeys(ids))[:MOST_NAMED]
    answers = await asyncio.gather(*(staff.ask("GET", path("concerts", id)) for id in asked))
    return {id: answer.read(Concert) for id, answer in zip(asked, answers, strict=True) if answer.status == 200}


async def no_concert(staff: Staff, id: str) -> dict[str, str]:
    """What is wrong with a field `concert` that says this: nothing, if it is empty or one of who is signed in."""
    try:
        if id:
            await concert(staff, id)
    except Missing:
        return {"concert": "no-concert"}
    return {}


def is_own(staff: Staff, concert: Concert) -> bool:
    """Is it one of theirs?"""
    own = staff.session
    return concert.organizer == own.organizer and own.concert_id in (None, concert.id)


async def order(staff: Staff, id: str) -> Order:
    """An order of who is signed in. Raises Missing for anybody else's."""
    return checked(await staff.ask("GET", path("orders", id))).read(Order)


def large(staff: Staff) -> dict[str, str]:
    """The fields of a form that has a row for each section. Raises FormRefused."""
    return forms.read(staff.visit.request, most=LARGE_FIELDS, most_bytes=LARGE_BYTES)


def form(
    staff: Staff,
    template: str,
    fields: Mapping[str, str],
    wrong: Mapping[str, str],
    *,
    is_late: bool = False,
    **values: Any,
) -> Response:
    """A form: for the first time, or again with what is wrong with it; `is_late`: somebody else was faster."""
    status = LATE if is_late else 422 if wrong else 200
    return staff.shown(template, status=status, fields=fields, wrong=wrong, is_late=is_late, **values)


def tagged(
    staff: Staff,
    template: str,
    seen: TaggedConcert,
    fields: Mapping[str, str],
    *,
    wrong: Mapping[str, str] = {},
    is_late: bool = False,
    **values: Any,
) -> Response:
    """A form that changes a concert as it was shown, which its tag says."""
    return form(staff, template, fields, wrong, is_late=is_late, concert=seen.concert, tag=seen.tag, **values)


class Sent(NamedTuple):
    """What the API said to a form."""

    answer: Answer
    wrong: Mapping[str, str]
    """What it refuses, by field; nothing: it is done."""

    @property
    def is_late(self) -> bool:
        """Was somebody else faster?"""
        return self.answer.status == LATE


async def send(
    staff: Staff,
    method: str,
    path: str,
    body: Any = None,
    *,
    sure: str = "",
    tag: str = "",
    at: Callable[[Problem], Mapping[str, str]] | None = None,
    refused: Sequence[int] = REFUSED,
) -> Sent:
    """Tell the API. `sure`: the key that makes it happen once; `tag`: of what the form showed.

    `at`: puts the words of a refusal beside the fields of the form, if these have other names than the API's. Raises
    Missing, Refused for other answers.
    """
    headers = ({"idempotency-key": sure[:64]} if sure else {}) | ({"if-match": tag} if tag else {})
    answer = await staff.ask(method, path, body, headers=headers)
    if answer.status in refused:
        return Sent(answer, (at or why)(answer.problem))
    return Sent(checked(answer), {})


def confirm(
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
    return staff.shown("desk/confirm.html", what=what, fields=kept, sure=sure, rows=rows, back=back, **values)


def count(fields: Mapping[str, str], name: str, wrong: dict[str, str], *, most_digits: int = 6) -> int:
    """A number that is counted, 0 where nothing was typed; `wrong` is told of a field that has something else."""
    number = forms.whole(fields.get(name) or "0", most_digits=most_digits)
    if number is None:
        wrong[name] = "number"
    return number or 0


def why(problem: Problem) -> dict[str, str]:
    """A refusal's words by field; those of none under an empty name."""
    return dict(problem.errors) or {"": problem.detail}
