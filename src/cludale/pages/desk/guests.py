"""A concert's guest list: who is on it and who is in, put on by a form or by a file that is shown first, taken off.

Whom somebody looks for is in a form's body, never in an address.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from cludale.pages import forms
from cludale.pages.api import Problem, path
from cludale.pages.desk import asking
from cludale.pages.desk.asking import SURE
from cludale.pages.desk.typed_seats import SeatReader, body_of
from cludale.pages.desk.views import Concert
from cludale.pages.guest_files import NamedFile, has_seats, with_ids
from cludale.pages.seat_names import NoSuchSeats
from cludale.pages.site import Site, checked
from cludale.pages.staff.pages import StaffPages, page
from cludale.pages.staff.signing import Signing, Staff
from cludale.web.responses import Response

PAGE = 25
MOST_BYTES = 700_000
"""The largest form with a file; the file's text is a field of the form that follows."""
MOST_CSV = 200_000
_GUESTS = ("orders", "guests")
_FIELDS = ("name", "note", "email", "section")


class Guest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A guest who is on the list, or is to be put on it."""

    id: str | None
    name: str | None
    tickets: int
    note: str | None
    email: str | None
    section: str | None
    outcome: str = ""


class Guests(msgspec.Struct, frozen=True):
    """A page of them."""

    items: tuple[Guest, ...]
    next: str | None = None


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What came of all of them."""

    added: int
    there: int
    items: tuple[Guest, ...]


class Ticket(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A ticket at the door."""

    status: str
    admitted_at: datetime | None


class Tickets(msgspec.Struct, frozen=True):
    """A guest's."""

    items: tuple[Ticket, ...]


class Came(NamedTuple):
    """How many of a guest's tickets let somebody in, and when the last one did."""

    tickets: int
    last_at: datetime | None


class GuestPages(StaffPages):
    """The pages of guest lists."""

    def __init__(self, site: Site, signing: Signing, seats: SeatReader) -> None:
        super().__init__(site, signing)
        self._seats = seats

    # Who is on it

    @page("GET", "/staff/concerts/{concert_id}/guests")
    async def _show(self, staff: Staff) -> Response:
        if not staff.may("read"):
            staff.need("sell")
        concert, _ = await asking.concert(staff, staff.visit.segment)
        return await self._page(staff, concert, {}, after=staff.visit.query.get("after"))

    @page("POST", "/staff/concerts/{concert_id}/guests", "read")
    async def _find(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        concert, _ = await asking.concert(staff, staff.visit.segment)
        after = fields.get("after") or None
        return await self._page(staff, concert, {}, search=fields.get("search", "")[:200], after=after)

    async def _page(
        self,
        staff: Staff,
        concert: Concert,
        fields: Mapping[str, str],
        wrong: Mapping[str, str] = {},
        *,
        search: str = "",
        after: str | None = None,
        came_of: Added | None = None,
        faults: Sequence[tuple[int, NoSuchSeats]] = (),
    ) -> Response:
        found, came = Guests(()), dict[str | None, Came]()
        if staff.may("read"):
            asked = path(*_GUESTS, concertId=concert.id, search=search or None, after=after, limit=PAGE)
            found = checked(await staff.ask("GET", asked)).read(Guests)
            ids = [each.id or "" for each in found.items]
            came = dict(zip(ids, await asyncio.gather(*(self._who_is_in(staff, id) for id in ids)), strict=True))
        numbered = await self._seats.of(staff, concert) if staff.may("sell") else None
        return asking.form(
            staff,
            "desk/guests.html",
            fields,
            wrong,
            concert=concert,
            free=[] if numbered is None else numbered.free(),
            guests=found.items,
            came=came,
            search=search,
            following=found.next,
            is_first=after is None,
            came_of=came_of,
            faults=faults,
            gone=staff.visit.query.get("gone", ""),
        )

    async def _who_is_in(self, staff: Staff, order: str) -> Came:
        """Who of them is in; nobody, while they have no tickets yet."""
        answer = await staff.ask("GET", path("tickets", order=order))
        items = answer.read(Tickets).items if answer.status == 200 else ()
        times = [each.admitted_at for each in items if each.admitted_at is not None]
        return Came(len(times), max(times, default=None))

    # Put on

    @page("POST", "/staff/concerts/{concert_id}/guests-new", "sell")
    async def _add(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        concert, _ = await asking.concert(staff, staff.visit.segment)
        wrong: dict[str, str] = {} if fields.get("name") else {"name": "needed"}
        guest: dict[str, Any] = {name: fields[name] for name in _FIELDS if fields.get(name)}
        numbered = await self._seats.of(staff, concert) if fields.get("seats") else None
        named = body_of(numbered, fields.get("seats", ""), fields.get("section", ""), wrong)
        guest |= named
        guest["tickets"] = asking.count(fields, "tickets", wrong) or len(guest.get("seats", ())) or 1
        if named and len(guest["seats"]) != guest["tickets"]:
            wrong["seats"] = "other-count"
        if wrong:
            return await self._page(staff, concert, fields, wrong)
        sent = await self._send_guests(staff, concert, {"guests": [guest]})
        if sent.wrong:
            return await self._page(staff, concert, fields, sent.wrong)
        return await self._page(staff, concert, {}, came_of=sent.answer.read(Added))

    @page("POST", "/staff/concerts/{concert_id}/guests-file", "sell", most_bytes=MOST_BYTES)
    async def _take_file(self, staff: Staff) -> Response:
        """A file is shown with what would become of each of its guests; sent on from there, they are put on."""
        fields, files = forms.read_files(staff.visit.request, most_bytes=MOST_BYTES)
        concert, _ = await asking.concert(staff, staff.visit.segment)
        text, wrong = _text(fields, files)
        if wrong:
            return await self._page(staff, concert, fields, wrong)
        is_sure, file = SURE in fields, NamedFile(text)
        if has_seats(text):
            file = await asyncio.to_thread(with_ids, text, await self._seats.of(staff, concert))
            if file.faults:
                return await self._page(staff, concert, {"csv": text}, {"csv": "seats"}, faults=file.faults)
        sent = await self._send_guests(staff, concert, {"csv": file.text, "preview": not is_sure})
        if sent.wrong:
            wrong = {field: file.by_name(why) for field, why in sent.wrong.items()}
            return await self._page(staff, concert, {"csv": text}, wrong)
        found = sent.answer.read(Added)
        if is_sure:
            return await self._page(staff, concert, {}, came_of=found)
        return staff.shown(
            "desk/guests-file.html",
            concert=concert,
            found=found,
            text=text,
            short=seats_short(concert, found.items, file.taken),
            seats=file.seats if any(file.seats) else (),
        )

    async def _send_guests(self, staff: Staff, concert: Concert, body: Mapping[str, Any]) -> asking.Sent:
        asked = {"concertId": concert.id, **body}
        return await asking.send(staff, "POST", path(*_GUESTS), asked, at=_at_fields)

    # Taken off

    @page("GET", "/staff/guests/{order_id}/remove", "sell")
    async def _ask_remove(self, staff: Staff) -> Response:
        order = await asking.order(staff, staff.visit.segment)
        rows = (("name", order.name or "-"), ("tickets", str(order.held)))
        fields, back = {"concert": order.concert_id}, f"/staff/concerts/{order.concert_id}/guests"
        return asking.confirm(staff, "remove-guest", fields, rows=rows, back=back)

    @page("POST", "/staff/guests/{order_id}/remove", "sell")
    async def _remove(self, staff: Staff) -> Response:
        fields = forms.read(staff.visit.request)
        if SURE not in fields:
            return await self._ask_remove(staff)
        checked(await staff.ask("POST", path(*_GUESTS, staff.visit.segment, "remove")))
        concert = fields.get("concert", "")
        return staff.see(f"{path('staff', 'concerts', concert, 'guests', gone=1)}")


def seats_short(concert: Concert, guests: Sequence[Guest], taken: Sequence[str] = ()) -> dict[int, str]:
    """Which of the new guests would get no seats now: their place in the list, from 0, and the names of the seats or of
    the section that is full.

    A guest without a section gets what all sections have left. `taken`: which of each guest's own seats can't be had.
    """
    left = {each.id: each.available_seats for each in concert.sections}
    names = {each.id: each.name or each.id for each in concert.sections}
    short: dict[int, str] = {}
    for i, guest in enumerate(guests):
        if guest.outcome != "added":
            continue
        if i < len(taken) and taken[i]:
            short[i] = taken[i]
            continue
        free = [guest.section] if guest.section else list(left)
        place = next((id for id in free if left.get(id, 0) >= guest.tickets), None)
        if place is None:
            short[i] = names.get(guest.section or "", guest.section or "")
        else:
            left[place] -= guest.tickets
    return short


def _text(fields: Mapping[str, str], files: Mapping[str, bytes]) -> tuple[str, dict[str, str]]:
    """The text of the file, or that was typed, and what is wrong with it."""
    try:
        text = files["file"].decode("utf-8-sig") if "file" in files else fields.get("csv", "")
    except UnicodeDecodeError:
        return "", {"csv": "utf-8"}
    if not text.strip():
        return "", {"csv": "needed"}
    return (text, {}) if len(text.encode()) <= MOST_CSV else ("", {"csv": "too-large"})


def _at_fields(problem: Problem) -> dict[str, str]:
    """Lines of a file that are wrong are all told in one place."""
    found = asking.why(problem)
    lines = [f"{field.removeprefix('csv ')}: {text}" for field, text in found.items() if field.startswith("csv")]
    if lines:
        return {"csv": "; ".join(lines)}
    names = {field.rpartition(".")[2].partition("[")[0]: text for field, text in found.items()}
    return {field if field in (*_FIELDS, "tickets", "seats") else "": text for field, text in names.items()}
