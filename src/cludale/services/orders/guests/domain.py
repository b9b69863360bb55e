"""A concert's guest list: who gets complimentary tickets in their own name. Reads its files. No I/O, clock or HTTP.

A guest is an order: complimentary, with the guest's name among what is kept sealed of its buyer. What is kept beside
says only that it is one, so that a list can be read without reading all orders of the concert.
"""

import csv
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.refusals import Invalid, RefusedForNow
from cludale.kernel.tills import Till, TillMethod
from cludale.services.orders.order import OrderRequest
from cludale.services.orders.privacy.domain import Particulars
from cludale.web.fields import Email, Text
from cludale.web.seats import SeatIds, Wheelchairs, seats_wanted

MOST_GUESTS = 500
"""Of one request."""
MOST_TICKETS = 20
"""Of one guest."""
COLUMNS = ("name", "tickets", "note", "email", "section", "block", "seats", "wheelchairs")
_COUNTS = {"tickets": f"a whole number from 1 to {MOST_TICKETS}", "wheelchairs": "a whole number"}
_BLOCK = "out of this block of seats that are held back"
WHY = "Guest list"
"""Why the tickets of guests are complimentary."""
_MOST_WRONG = 20
"""How many faults of a request are named."""


class Guest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """That an order is a guest's. Who it is, its particulars say."""

    order_id: str
    concert_id: str
    created_at: datetime
    place: str | None = None
    """Which place on the list they have, which nobody has twice: the partition of their order. None: it is the id of
    their order, as with all that were put on before this field existed."""


class GuestsRefused(RefusedForNow):
    """Some of these guests can't be put on, so nobody is; `errors` say which, and why."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        listed = [{"field": where, "message": why} for where, why in errors[:_MOST_WRONG]]
        shown = "; ".join(f"{where}: {why}" for where, why in errors[:_MOST_WRONG])
        more = f"; and {len(errors) - _MOST_WRONG} more" if len(errors) > _MOST_WRONG else ""
        super().__init__(f"Nobody is put on the list. {shown}{more}", errors=listed, refused=len(errors))


class NewGuest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Somebody who is to be on the list."""

    name: Text
    tickets: Annotated[int, Meta(ge=1, le=MOST_TICKETS, description="how many")] = 1
    note: Annotated[Text, Meta(description="for the organizer only")] | None = None
    email: Annotated[Email, Meta(description="where the tickets are sent, if anywhere")] | None = None
    section: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    block: Annotated[str, Meta(min_length=1, max_length=64, description=_BLOCK)] | UnsetType = UNSET
    seats: SeatIds | UnsetType = UNSET
    wheelchairs: Wheelchairs | UnsetType = UNSET

    @property
    def told(self) -> str:
        """All that is said of them: who is on a list twice by this is the same guest."""
        told = (self.name, str(self.tickets), self.note or "", self.email or "", self.section or "")
        more = () if self.block is UNSET else (self.block,)
        if self.seats is not UNSET:
            more = (*more, *self.seats)
        return "\x1f".join((*told, *more))

    def request(self, concert_id: str, seller: str) -> OrderRequest:
        """The order that makes them a guest."""
        return OrderRequest(
            concert_id=concert_id,
            user_id="guest",
            quantity=seats_wanted(self.tickets, self.seats, self.wheelchairs),
            section=self.section,
            payment_method=TillMethod.COMPLIMENTARY.value,
            email=self.email,
            name=self.name,
            till=Till(method=TillMethod.COMPLIMENTARY, seller=seller, any_time=True, block=self.block or None),
            why_free=WHY,
            note=self.note,
            seats=() if self.seats is UNSET else tuple(self.seats),
            wheelchairs=0 if self.wheelchairs is UNSET else self.wheelchairs,
        )


class GuestLine(NamedTuple):
    """Somebody who is to be on the list, and where that is said."""

    where: str
    """`csv line 4`, `guests[2]`."""
    guest: NewGuest


def from_csv(text: str) -> list[GuestLine]:
    """The guests in a file with a line of column names. Raises Invalid, which names the lines that are wrong."""
    lines = csv.reader(text.removeprefix("\ufeff").splitlines(), delimiter=_delimiter(text), strict=True)
    found: list[GuestLine] = []
    wrong: list[tuple[str, str]] = []
    head: Sequence[str] | None = None
    try:
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if head is None:
                head = _head(cells)
                continue
            if len(found) >= MOST_GUESTS:
                raise Invalid(("csv", f"has more than {MOST_GUESTS} guests: import it in parts"))
            try:
                found.append(GuestLine(f"csv line {lines.line_num}", _guest(head, cells)))
            except ValueError as error:
                wrong.append((f"csv line {lines.line_num}", str(error)))
    except csv.Error as error:
        wrong.append((f"csv line {lines.line_num}", str(error)))
    if wrong:
        raise Invalid(*wrong[:_MOST_WRONG])
    if not found:
        raise Invalid(("csv", f"has no guests: a line of column names ({', '.join(COLUMNS)}), then a line for each"))
    return found


def check_seats(lines: Sequence[GuestLine]) -> None:
    """Raises Invalid where two of them want one seat, which names both."""
    wanted: dict[str, str] = {}
    wrong: list[tuple[str, str]] = []
    for line in lines:
        for seat in () if line.guest.seats is UNSET else line.guest.seats:
            if seat in wanted:
                what = "file" if line.where.startswith("csv") else "request"
                before = wanted[seat].removeprefix("csv ")
                also = "this guest has it already" if wanted[seat] == line.where else f"{before} has it, too"
                wrong.append((f"{line.where} seats", f"{seat} is wanted twice in this {what}: {also}"))
            wanted.setdefault(seat, line.where)
    if wrong:
        raise Invalid(*wrong[:_MOST_WRONG])


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return ";" if first.count(";") > first.count(",") else ","


def _head(cells: Sequence[str]) -> Sequence[str]:
    """The names of the columns. Raises Invalid."""
    head = [cell.strip().casefold() for cell in cells]
    unknown = [name for name in head if name not in COLUMNS]
    if unknown or "name" not in head or len(set(head)) < len(head):
        said = f"there is no column {unknown[0]!r}" if unknown else "`name` is needed, and each column once"
        raise Invalid(("csv line 1", f"{said}; these are: {', '.join(COLUMNS)}"))
    return head


def _guest(head: Sequence[str], cells: Sequence[str]) -> NewGuest:
    """The guest of a line. Raises ValueError."""
    if len(cells) != len(head):
        raise ValueError(f"has {len(cells)} cells, and there are {len(head)} columns")
    said: dict[str, object] = {name: cell.strip() for name, cell in zip(head, cells, strict=True) if cell.strip()}
    if "name" not in said:
        raise ValueError("name: is missing")
    for count, what in _COUNTS.items():
        if count in said:
            number = str(said[count])
            if not (number.isascii() and number.isdecimal() and len(number) <= 4):
                raise ValueError(f"{count}: must be {what}")
            said[count] = int(number)
    if "seats" in said:
        ids = [id.strip() for id in str(said["seats"]).split(";") if id.strip()]
        said |= {"seats": ids, "tickets": said.get("tickets", len(ids))}
    try:
        return msgspec.convert(said, NewGuest)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        raise ValueError(f"{where.rstrip('`')}: {what}") from None


def matches(left: Particulars, text: str) -> bool:
    """Is this in the guest's name, note or e-mail address, in any case?"""
    folded = text.casefold()
    return any(folded in each.casefold() for each in (left.name, left.comment, left.email) if each is not None)
