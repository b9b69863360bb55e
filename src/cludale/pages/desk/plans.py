"""What an organizer decides about a concert: made, copied, changed, other seats and prices, moved, called off."""

from collections.abc import Callable, Mapping, Sequence

from cludale.pages import forms
from cludale.pages.api import Problem, path
from cludale.pages.desk import asking, concert_form
from cludale.pages.desk.asking import SURE, TaggedConcert
from cludale.pages.desk.concert_form import FIRST_ROWS, MORE_ROWS, MOST_ROWS, SectionRow, Wrong
from cludale.pages.desk.seat_plans import rows_with
from cludale.pages.desk.views import Concert
from cludale.pages.desk.zones import ZONES
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response

NEXT: Mapping[str, Sequence[str]] = {
    "draft": ("draft", "listed", "unlisted"),
    "listed": ("listed", "unlisted"),
    "unlisted": ("unlisted", "listed"),
    "postponed": ("postponed", "listed"),
}
"""What a status may be changed to in the form; moving and calling off have pages of their own."""

_POSTPONE = "desk/postpone.html"


class Plans(StaffPages):
    """The forms of a concert."""

    # Made and copied

    @page("GET", "/staff/new-concert", "catalogue")
    async def _new(self, staff: Staff) -> Response:
        like = staff.visit.query.get("like")
        if like is None:
            fields = {"status": "draft", "currency": "EUR", "zone": staff.visit.query.get("zone", "")}
            if plan := staff.visit.query.get("plan"):
                return self._making(staff, {**fields, "plan": plan}, await rows_with(staff, plan))
            return self._making(staff, fields, [SectionRow("", "", "", "")] * FIRST_ROWS)
        concert, _ = await asking.concert(staff, like)
        rows = concert_form.rows_of(concert)
        return self._making(staff, {**concert_form.copied(concert), "like": concert.id}, rows)

    def _making(
        self, staff: Staff, fields: Mapping[str, str], rows: Sequence[SectionRow], wrong: Mapping[str, str] = {}
    ) -> Response:
        sure = fields.get(SURE) or forms.new_seed()
        return asking.form(
            staff,
            "desk/new.html",
            fields,
            wrong,
            rows=rows,
            sure=sure,
            zones=ZONES,
            statuses=NEXT["draft"],
            concert=None,
        )

    @page("POST", "/staff/new-concert", "catalogue", most_bytes=asking.LARGE_BYTES)
    async def _make(self, staff: Staff) -> Response:
        fields = asking.large(staff)
        rows = concert_form.rows(fields)
        if "more" in fields:
            return self._making(staff, fields, [*rows, *[SectionRow("", "", "", "")] * MORE_ROWS][:MOST_ROWS])
        try:
            body, numbers = concert_form.new(fields)
        except Wrong as wrong:
            return self._making(staff, fields, rows, wrong.why)
        if fields.get("like"):
            source, _ = await asking.concert(staff, fields["like"])
            if source.pricing is not None and fields.get("pricing"):
                body["pricing"] = source.pricing
        sent = await asking.send(
            staff, "POST", path("concerts"), body, sure=fields.get(SURE, ""), at=_at_fields(numbers)
        )
        if sent.wrong:
            if sent.answer.problem.name == "idempotency-key-reused":  # it is another concert by now: another decision
                fields = {**fields, SURE: ""}
            return self._making(staff, fields, rows, sent.wrong)
        return staff.see(f"/staff/concerts/{sent.answer.read(Concert).id}")

    # Changed

    @page("GET", "/staff/concerts/{concert_id}/change", "catalogue")
    async def _show_change(self, staff: Staff) -> Response:
        seen = await asking.concert(staff, staff.visit.segment)
        return self._changing(staff, seen, concert_form.shown(seen.concert))

    def _changing(
        self,
        staff: Staff,
        seen: TaggedConcert,
        fields: Mapping[str, str],
        *,
        wrong: Mapping[str, str] = {},
        other: Mapping[str, str] | None = None,
    ) -> Response:
        """`other`: what somebody else has changed meanwhile, or may have."""
        return asking.tagged(
            staff,
            "desk/change.html",
            seen,
            {**concert_form.shown(seen.concert), **fields},
            wrong=wrong,
            is_late=other is not None,
            other=other,
            zones=ZONES,
            statuses=NEXT.get(seen.concert.status, (seen.concert.status,)),
        )

    @page("POST", "/staff/concerts/{concert_id}/change", "catalogue", most_bytes=asking.LARGE_BYTES)
    async def _change(self, staff: Staff) -> Response:
        fields, seen = asking.large(staff), await asking.concert(staff, staff.visit.segment)
        concert = seen.concert
        if fields.get("tag") != seen.tag:
            return self._changing(staff, seen, fields, other=concert_form.differing(concert, fields))
        try:
            body = concert_form.changes(concert, fields)
        except Wrong as wrong:
            return self._changing(staff, seen, fields, wrong=wrong.why)
        if body:
            sent = await asking.send(staff, "PATCH", path("concerts", concert.id), body, tag=seen.tag, at=_at_fields())
            if sent.is_late:
                seen = await asking.concert(staff, concert.id)
                return self._changing(staff, seen, fields, other=concert_form.differing(seen.concert, fields))
            if sent.wrong:
                return self._changing(staff, seen, fields, wrong=sent.wrong)
        return staff.see(f"/staff/concerts/{concert.id}")

    # Seats and prices

    @page("GET", "/staff/concerts/{concert_id}/seats", "catalogue")
    async def _show_seats(self, staff: Staff) -> Response:
        return self._seats(staff, await asking.concert(staff, staff.visit.segment), {})

    def _seats(
        self,
        staff: Staff,
        seen: TaggedConcert,
        fields: Mapping[str, str],
        *,
        wrong: Mapping[str, str] = {},
        is_late: bool = False,
    ) -> Response:
        rows = [
            (
                each,
                fields.get(f"section-{i}-seats", str(each.total_seats)),
                fields.get(f"section-{i}-price", concert_form.plain(each.price)),
            )
            for i, each in enumerate(seen.concert.sections)
        ]
        return asking.tagged(staff, "desk/seats.html", seen, fields, wrong=wrong, is_late=is_late, rows=rows)

    @page("POST", "/staff/concerts/{concert_id}/seats", "catalogue", most_bytes=asking.LARGE_BYTES)
    async def _change_seats(self, staff: Staff) -> Response:
        fields, seen = asking.large(staff), await asking.concert(staff, staff.visit.segment)
        if fields.get("tag") != seen.tag:
            return self._seats(staff, seen, fields, is_late=True)
        try:
            changed = concert_form.seat_changes(seen.concert, fields)
        except Wrong as wrong:
            return self._seats(staff, seen, fields, wrong=wrong.why)
        if changed:
            numbers = [
                i for i, each in enumerate(seen.concert.sections) if any(each.id == one["id"] for one in changed)
            ]
            sent = await asking.send(
                staff,
                "PATCH",
                path("concerts", seen.concert.id),
                {"sections": changed},
                tag=seen.tag,
                at=_at_fields(numbers),
            )
            if sent.wrong:
                # Sections are changed one by one: those before the one that refused are changed.
                seen = await asking.concert(staff, seen.concert.id)
                why = {} if sent.is_late else sent.wrong
                return self._seats(staff, seen, fields, wrong=why, is_late=sent.is_late)
        return staff.see(f"/staff/concerts/{seen.concert.id}")

    # Moved

    @page("GET", "/staff/concerts/{concert_id}/postpone", "catalogue")
    async def _show_postpone(self, staff: Staff) -> Response:
        return asking.tagged(staff, _POSTPONE, await asking.concert(staff, staff.visit.segment), {})

    @page("POST", "/staff/concerts/{concert_id}/postpone", "catalogue")
    async def _postpone(self, staff: Staff) -> Response:
        fields, seen = asking.large(staff), await asking.concert(staff, staff.visit.segment)
        concert = seen.concert
        if fields.get("tag") != seen.tag:  # a form that is sent twice moves it once
            return asking.tagged(staff, _POSTPONE, seen, fields, is_late=True)
        body = concert_form.moved(concert, fields)
        if not fields.get("reason"):
            return asking.tagged(staff, _POSTPONE, seen, fields, wrong={"reason": "needed"})
        if not body.get("date") and not body.get("cancelUntil"):
            return asking.tagged(staff, _POSTPONE, seen, fields, wrong={"cancelUntil": "needed"})
        at = f"/staff/concerts/{concert.id}"
        if SURE not in fields:
            day = (f"{fields.get('date', '')} {fields.get('date-time', '')}").strip()
            rows = (("concert", concert.name), ("date", day or "-"), ("reason", fields["reason"]))
            return asking.confirm(
                staff, "postpone", fields, rows=rows, back=f"{at}/postpone", tickets=concert.sold_seats
            )
        sent = await asking.send(staff, "POST", path("concerts", concert.id, "postpone"), body)
        if sent.wrong:
            return asking.tagged(staff, _POSTPONE, seen, fields, wrong=sent.wrong)
        return staff.see(at)

    # Called off

    @page("GET", "/staff/concerts/{concert_id}/call-off", "refund")
    async def _show_call_off(self, staff: Staff) -> Response:
        return self._calling_off(staff, (await asking.concert(staff, staff.visit.segment)).concert, {})

    def _calling_off(
        self, staff: Staff, concert: Concert, fields: Mapping[str, str], wrong: Mapping[str, str] = {}
    ) -> Response:
        return asking.form(staff, "desk/call-off.html", fields, wrong, concert=concert)

    @page("POST", "/staff/concerts/{concert_id}/call-off", "refund")
    async def _call_off(self, staff: Staff) -> Response:
        fields, (concert, _) = asking.large(staff), await asking.concert(staff, staff.visit.segment)
        at = f"/staff/concerts/{concert.id}"
        if not fields.get("reason"):
            return self._calling_off(staff, concert, fields, {"reason": "needed"})
        if SURE not in fields:
            rows = (("concert", concert.name), ("date", concert.date[:10]), ("reason", fields["reason"]))
            return asking.confirm(
                staff, "call-off", fields, rows=rows, back=f"{at}/call-off", tickets=concert.sold_seats
            )
        sent = await asking.send(staff, "POST", path("concerts", concert.id, "cancel"), {"reason": fields["reason"]})
        if sent.wrong:
            return self._calling_off(staff, concert, fields, sent.wrong)
        return staff.see(at)


def _at_fields(numbers: Sequence[int] = ()) -> Callable[[Problem], Mapping[str, str]]:
    """Puts a refusal's words beside the form's fields; `numbers`: the row of each section of the body."""

    def at(problem: Problem) -> Mapping[str, str]:
        why = asking.why(problem)
        return concert_form.at_fields([{"field": field, "message": text} for field, text in why.items()], numbers)

    return at
