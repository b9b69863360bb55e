"""What is kept of a buyer, and its erasure, for those who answer for personal data.

Whom it is about is in a form's body, never in an address.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from cludale.pages import forms
from cludale.pages.api import path
from cludale.pages.desk import asking
from cludale.pages.desk.asking import SURE
from cludale.pages.site import checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Staff
from cludale.web.responses import Response

PAGE, MOST_PAGES = 200, 20
"""Orders of the API's pages, and how many of these one request reads; then the person is asked to go on."""


class KeptOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is kept of a buyer with one order."""

    order_id: str
    concert_id: str
    user_id: str = ""
    created_at: datetime | None = None
    email: str | None = None
    phone: str | None = None
    name: str | None = None
    comment: str | None = None
    language: str | None = None
    refund_reasons: dict[str, str] = {}
    erased_at: datetime | None = None


class FoundOrders(msgspec.Struct, frozen=True):
    """A page of it."""

    items: tuple[KeptOrder, ...]
    next: str | None = None


class Privacy(StaffPages):
    """The page of privacy requests."""

    @page("GET", "/staff/privacy", "privacy")
    async def _show(self, staff: Staff) -> Response:
        return self._page(staff, {})

    def _page(self, staff: Staff, fields: Mapping[str, str], *, status: int = 200, **values: Any) -> Response:
        shown = {"kept": None, "erased": None, "is_all": True, "wrong": {}, **values}
        return staff.shown("desk/privacy.html", status=status, fields=fields, **shown)

    @page("POST", "/staff/privacy", "privacy")
    async def _find(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        kept, is_all, wrong = await self._look_up(staff, "export", fields)
        return self._page(staff, fields, status=422 if wrong else 200, kept=kept, is_all=is_all, wrong=wrong)

    @page("POST", "/staff/privacy/erase", "privacy")
    async def _erase(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        if SURE not in fields:
            kept, _, wrong = await self._look_up(staff, "export", fields)
            if wrong:
                return self._page(staff, fields, status=422, wrong=wrong)
            whom = fields.get("email") or fields.get("user", "")
            rows = (("buyer", whom), ("orders", str(len(kept))))
            return asking.confirm(staff, "erase", fields, rows=rows, back="/staff/privacy", tickets=0)
        erased, is_all, wrong = await self._look_up(staff, "erase", fields)
        return self._page(staff, {}, status=422 if wrong else 200, erased=erased, is_all=is_all, wrong=wrong)

    async def _look_up(
        self, staff: Staff, what: str, fields: Mapping[str, str]
    ) -> tuple[list[KeptOrder], bool, Mapping[str, str]]:
        """What is kept, or was erased; whether that is all; and what is wrong with what was typed."""
        asked: dict[str, Any] = {"limit": PAGE}
        asked |= {"email": fields["email"]} if fields.get("email") else {"userId": fields.get("user", "")}
        if fields.get("email") and fields.get("user"):
            return [], True, {"user": "either"}
        found: list[KeptOrder] = []
        for _ in range(MOST_PAGES):
            answer = await staff.ask("POST", path("orders", "-", "buyers", what), asked)
            if answer.status == 422:
                return (
                    [],
                    True,
                    {name.replace("userId", "user"): text for name, text in asking.why(answer.problem).items()},
                )
            page = checked(answer).read(FoundOrders)
            found += page.items
            if page.next is None:
                return found, True, {}
            asked["after"] = page.next
        return found, False, {}
