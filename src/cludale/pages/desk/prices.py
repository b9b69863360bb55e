"""A concert's price list in a form: categories, prices and tiers, fees, tax."""

from collections.abc import Mapping

from cludale.pages import forms
from cludale.pages.api import Problem, path
from cludale.pages.desk import asking, price_form
from cludale.pages.desk.asking import TaggedConcert
from cludale.pages.desk.concert_form import Wrong
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response


class Prices(StaffPages):
    """The page of a price list."""

    @page("GET", "/staff/concerts/{concert_id}/prices", "catalogue")
    async def _show(self, staff: Staff) -> Response:
        seen = await asking.concert(staff, staff.visit.segment)
        return self._form(staff, seen, price_form.shown(seen.concert))

    def _form(
        self,
        staff: Staff,
        seen: TaggedConcert,
        fields: Mapping[str, str],
        wrong: Mapping[str, str] = {},
        *,
        more: str = "",
        is_late: bool = False,
    ) -> Response:
        rows = price_form.rows(fields, more=more)
        return asking.tagged(
            staff,
            "desk/prices.html",
            seen,
            fields,
            wrong=wrong,
            is_late=is_late,
            rows=rows,
            currency=price_form.currency_of(seen.concert),
            categories=[(row["id"], row["name"]) for row in rows[price_form.CATEGORY] if row["name"]],
        )

    @page("POST", "/staff/concerts/{concert_id}/prices", "catalogue", most_bytes=price_form.MOST_BYTES)
    async def _change(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request, most=price_form.MOST_FIELDS, most_bytes=price_form.MOST_BYTES)
        seen = await asking.concert(staff, staff.visit.segment)
        if fields.get("more") in price_form.KINDS:
            return self._form(staff, TaggedConcert(seen.concert, fields.get("tag", "")), fields, more=fields["more"])
        if fields.get("tag") != seen.tag:
            return self._form(staff, seen, fields, is_late=True)
        try:
            told = price_form.told(seen.concert, fields)
        except Wrong as wrong:
            return self._form(staff, seen, fields, wrong.why)
        if told.body != price_form.told(seen.concert, price_form.shown(seen.concert)).body:
            sent = await asking.send(
                staff,
                "PATCH",
                path("concerts", seen.concert.id),
                {"pricing": told.body},
                tag=seen.tag,
                at=lambda problem: _at_fields(problem, told),
            )
            if sent.is_late:
                return self._form(staff, await asking.concert(staff, seen.concert.id), fields, is_late=True)
            if sent.wrong:
                return self._form(staff, seen, fields, sent.wrong)
        return staff.see(f"/staff/concerts/{seen.concert.id}")


def _at_fields(problem: Problem, told: price_form.PriceListFields) -> dict[str, str]:
    return price_form.at_fields(asking.why(problem), told.numbers)
