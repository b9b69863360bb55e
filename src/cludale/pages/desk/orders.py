"""Orders: looked for, and one with its story across all services.

An e-mail address or what else somebody typed about a buyer is sent in a form's body: addresses of pages stand in logs.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

from cludale.kernel.carts import cart_of
from cludale.kernel.times import parse_date, rfc3339
from cludale.pages import forms
from cludale.pages.api import path
from cludale.pages.desk import asking, story
from cludale.pages.desk.invoices import Invoices
from cludale.pages.desk.views import Cart, Concert, Order, Orders, Story
from cludale.pages.site import checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response

STATUSES = ("Pending", "Reserved", "Paid", "Cancelled")
PAGE = 50
MOST_PAGES = 6
"""The most pages of the API that are read for one search: some have nothing that fits. Then the person is asked to
go on."""
NAMES = {"email": "email", "name": "name", "idPrefix": "id", "concertId": "concert", "since": "since", "until": "until"}
"""The fields of the form by what the API calls them."""
LAST = datetime(9999, 12, 30, tzinfo=UTC)
PRIVATE = ("email", "name")
FIELDS = (*PRIVATE, "id", "status", "concert", "since", "until", "sort")


class _Asked(NamedTuple):
    """What is looked for, as the API is asked, and what of it can't be meant."""

    query: Mapping[str, str | int | None]
    wrong: Mapping[str, str]


class OrderPages(StaffPages):
    """The search, and the page of an order."""

    @page("GET", "/staff/orders", "read")
    async def _find(self, staff: Staff) -> Response:
        fields = {name: staff.visit.query.get(name, "") for name in FIELDS if name not in PRIVATE}
        return await self._found(staff, fields, staff.visit.query.get("after"))

    @page("POST", "/staff/orders", "read")
    async def _find_by_form(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        if not any(fields.get(name) for name in PRIVATE):
            asked = {name: fields.get(name) or None for name in (*FIELDS, "after")}
            return staff.see(f"/staff/orders{path(**asked)}")
        return await self._found(staff, fields, fields.get("after") or None)

    async def _found(self, staff: Staff, fields: Mapping[str, str], after: str | None) -> Response:
        asked, wrong = _asked(fields)
        found: list[Order] = []
        following: str | None = None
        if not wrong:
            following = after
            for _ in range(MOST_PAGES):
                answer = await staff.ask("GET", path("orders", **asked, after=following, limit=PAGE))
                if answer.status == 422:
                    wrong = {NAMES.get(each, ""): text for each, text in asking.why(answer.problem).items()}
                    break
                page = checked(answer).read(Orders)
                found += page.items
                following = page.next
                if following is None or len(found) >= PAGE // 2:
                    break
        following = None if wrong else following
        return staff.shown(
            "desk/orders.html",
            status=422 if wrong else 200,
            orders=found,
            concerts=await asking.concerts(staff, (each.concert_id for each in found)),
            fields=fields,
            wrong=wrong,
            statuses=STATUSES,
            following=following,
            is_first=after is None,
            narrows=any(fields.get(name) for name in FIELDS if name != "sort"),
            is_private=any(fields.get(name) for name in PRIVATE),
            onward=path(**{**{n: fields.get(n) or None for n in FIELDS if n not in PRIVATE}, "after": following}),
        )

    @page("GET", "/staff/orders/{order_id}", "read")
    async def _show(self, staff: Staff) -> Response:
        order = await asking.order(staff, staff.visit.segment)
        told = await staff.ask("GET", path("audit", "orders", order.id))
        events = told.read(Story).items if told.status == 200 else ()
        concert = (await asking.concerts(staff, (order.concert_id,))).get(order.concert_id)
        billed = await staff.ask("GET", path("orders", order.id, "invoices"))
        return staff.shown(
            "desk/order.html",
            order=order,
            concert="" if concert is None else concert.name,
            section=order.section if concert is None else concert.called(order.section),
            invoices=billed.read(Invoices).items if billed.status == 200 else (),
            together=await self._together(staff, order),
            story=[story.told(each) for each in events[: story.MOST]],
            more=max(0, len(events) - story.MOST),
            done=staff.visit.query.get("done", ""),
            failed=staff.visit.query.get("failed", ""),
        )

    async def _together(self, staff: Staff, order: Order) -> list[tuple[str, str]]:
        """The other orders of its cart, if it is a line of one: their ids, and what they are for."""
        cart_id = cart_of(order.id)
        if cart_id is None:
            return []
        answer = await staff.ask("GET", path("orders", "carts", cart_id))
        lines = answer.read(Cart).lines if answer.status == 200 else ()
        others = [each for each in lines if each.id != order.id]
        concerts = await asking.concerts(staff, (each.concert_id for each in others))
        return [(each.id, _about(each, concerts.get(each.concert_id))) for each in others]


def _about(order: Order, concert: Concert | None) -> str:
    name, section = order.concert_id, order.section
    if concert is not None:
        name, section = concert.name, concert.called(order.section)
    return f"{name}, {section}" if section else name


def _asked(fields: Mapping[str, str]) -> _Asked:
    wrong: dict[str, str] = {}
    since, until = _day("since", fields, wrong), _day("until", fields, wrong)
    query = {
        "email": fields.get("email") or None,
        "name": fields.get("name") or None,
        "idPrefix": fields.get("id") or None,
        "status": fields["status"] if fields.get("status") in STATUSES else None,
        "concertId": fields.get("concert") or None,
        "since": None if since is None else rfc3339(since),
        "until": None if until is None else rfc3339(min(until, LAST) + timedelta(days=1)),
        "sort": "createdAt" if fields.get("sort") == "first" else "-createdAt",
    }
    return _Asked(query, wrong)


def _day(name: str, fields: Mapping[str, str], wrong: dict[str, str]) -> datetime | None:
    text = fields.get(name)
    if not text:
        return None
    try:
        return datetime.combine(parse_date(text), time(), UTC)
    except ValueError:
        wrong[name] = "day"
        return None
