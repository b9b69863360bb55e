"""An order's seats are moved to others, or swapped with another order's: a form with seats by their names.

Asked for twice, as all that is done about an order.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from cludale.pages import forms
from cludale.pages.api import Problem, path
from cludale.pages.desk import asking
from cludale.pages.desk.asking import SURE
from cludale.pages.desk.typed_seats import SeatReader, ids_of, not_among
from cludale.pages.desk.views import Order
from cludale.pages.numbered import MOST_TYPED
from cludale.pages.seat_names import SeatNameFault
from cludale.pages.site import Missing, Site
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Signing, Staff
from cludale.web.responses import Response

_AT = {"first.order": "", "first.seats": "seats", "second.order": "other", "second.seats": "theirs"}
"""Where a swap's refusals stand in the form."""

MEANT = "meant"
"""The field of the second form that has what the API is to be told."""


class Moving(StaffPages):
    """The form by which seats are moved."""

    def __init__(self, site: Site, signing: Signing, seats: SeatReader) -> None:
        super().__init__(site, signing)
        self._seats = seats

    @page("GET", "/staff/orders/{order_id}/move", "sell")
    async def _show(self, staff: Staff) -> Response:
        return self._form(staff, await self._order(staff), {})

    def _form(self, staff: Staff, order: Order, fields: Mapping[str, str], wrong: Mapping[str, str] = {}) -> Response:
        return asking.form(staff, "desk/move.html", fields, wrong, order=order, most=MOST_TYPED)

    async def _order(self, staff: Staff) -> Order:
        """The order, if its seats have numbers. Raises Missing."""
        order = await asking.order(staff, staff.visit.segment)
        if not order.seats:
            raise Missing
        return order

    @page("POST", "/staff/orders/{order_id}/move", "sell")
    async def _move(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        order = await self._order(staff)
        # Sent twice it says the same twice, though the order has other seats by then: names are looked up once.
        body = _meant(fields)
        if body is None:
            wrong: dict[str, str] = {}
            body = await self._body(staff, order, fields, wrong)
            if wrong:
                return self._form(staff, order, fields, wrong)
            names = ("seats", "to", "other", "theirs", "reason")
            rows = [("order", order.id), *((name, fields[name]) for name in names if fields.get(name))]
            kept = {**fields, MEANT: msgspec.json.encode(body).decode()}
            at = f"/staff/orders/{order.id}/move"
            return asking.confirm(staff, "move", kept, rows=rows, back=at)
        what = "swap" if "second" in body else "move"
        at = path("concerts", order.concert_id, "seats", what)
        sent = await asking.send(staff, "POST", at, body, sure=fields[SURE], at=_at_fields)
        if sent.wrong:
            return self._form(staff, order, fields, sent.wrong)
        return staff.see(f"/staff/orders/{order.id}?done=move")

    async def _body(
        self, staff: Staff, order: Order, fields: Mapping[str, str], wrong: dict[str, str]
    ) -> dict[str, Any]:
        """What the API is told; `wrong` is told what was typed wrong."""
        said: dict[str, Any] = {"reason": fields.get("reason", ""), "evenIfAdmitted": "admitted" in fields}
        if not said["reason"]:
            wrong["reason"] = "needed"
        first: dict[str, Any] = {"order": order.id}
        if fields.get("seats"):
            first["seats"] = await self._ids_typed(staff, order, fields["seats"], "seats", wrong)
        if not fields.get("other"):
            if fields.get("to"):
                numbered = await self._seats.of_concert(staff, order.concert_id)
                first["to"] = ids_of(numbered, order.section, fields["to"], "to", wrong)
            return first | said
        if fields.get("to"):
            wrong["to"] = "either"
        second: dict[str, Any] = {"order": fields["other"]}
        if fields.get("theirs"):
            second["seats"] = await self._theirs(staff, fields, wrong)
        return {"first": first, "second": second} | said

    async def _ids_typed(self, staff: Staff, order: Order, text: str, field: str, wrong: dict[str, str]) -> list[str]:
        """The ids of those of its seats that are typed; `wrong` is told of others."""
        numbered = await self._seats.of_concert(staff, order.concert_id)
        ids = ids_of(numbered, order.section, text, field, wrong)
        lost = not_among(numbered, ids, {each.id for each in order.seats})
        if lost is not None:
            wrong[field] = f"not-theirs {lost}"
        return ids

    async def _theirs(self, staff: Staff, fields: Mapping[str, str], wrong: dict[str, str]) -> list[str]:
        try:
            other = await asking.order(staff, fields["other"])
            if not other.seats:
                wrong["other"] = SeatNameFault.NO_NUMBERS
                return []
            return await self._ids_typed(staff, other, fields["theirs"], "theirs", wrong)
        except Missing:
            wrong["other"] = "no-order"
            return []


def _meant(fields: Mapping[str, str]) -> dict[str, Any] | None:
    """What the form that was shown once more asks for; None: it was not, or says nothing of the kind."""
    if SURE not in fields:
        return None
    try:
        return msgspec.json.decode(fields.get(MEANT, ""), type=dict[str, Any])
    except msgspec.MsgspecError:
        return None


def _at_fields(problem: Problem) -> dict[str, str]:
    found = {field.partition("[")[0]: text for field, text in asking.why(problem).items()}
    return {_AT.get(field, "" if field == "order" else field): text for field, text in found.items()}
