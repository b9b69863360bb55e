"""What a buyer reads, as text and as a page. No I/O, clock or HTTP.

Whatever a buyer or an organizer typed is one line of plain text: it becomes neither markup nor a header.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from html import escape
from typing import NamedTuple
from unicodedata import category

from cludale.kernel.bills import Bill
from cludale.kernel.money import Money
from cludale.ports.messengers import Attachment, Message
from cludale.ports.programme import ConcertDetails
from cludale.services.notifications.calendar import calendar
from cludale.services.notifications.domain import Notification
from cludale.services.notifications.events import NotificationKind
from cludale.services.orders.events import CancelReason, PartRefund

_WHY: Mapping[CancelReason | None, str] = {
    CancelReason.BUYER: "as you asked",
    CancelReason.ORGANIZER: "by the organizer",
    CancelReason.DECLINED: "because the payment was declined and no other came in time",
    CancelReason.PAYMENT_FAILED: "because the payment did not go through",
    CancelReason.EXPIRED: "because it was not paid in time",
    CancelReason.SOLD_OUT: "because there are not enough seats left",
    CancelReason.NOT_ON_SALE: "because its tickets are not on sale yet",
    CancelReason.CONCERT_OVER: "because the concert is over",
    CancelReason.SALE_ENDED: "because the sale has ended",
    CancelReason.CALLED_OFF: "because the concert is called off",
    CancelReason.PRICE_TOO_HIGH: "because no seat is left at the price that you named",
    CancelReason.OTHER_CURRENCY: "because its prices are in another currency than the one that you named",
    CancelReason.NO_SUCH_CONCERT: "because there is no such concert",
    CancelReason.NO_SUCH_SECTION: "because the concert has no such section",
    CancelReason.OVER_THE_LIMIT: "because one order can't have so many tickets",
    CancelReason.NO_SUCH_TICKETS: "because the concert has no such tickets, or no such code",
    CancelReason.CODE_USED_UP: "because the discount code can't be used any more",
    CancelReason.HELD_OTHERWISE: "because its key was used before, for another order",
    CancelReason.UNREACHABLE: "because no seats could be had in time",
}

_MONEY_CAME_TOO_LATE = "because there were no seats left when the money came"
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CONFIRMING = (NotificationKind.CONFIRMATION, NotificationKind.COPY)
_KEPT_FORMATS = "\u200c\u200d"
"""Letters of some scripts, and some emoji, are joined by these."""
_LONGEST_LINE = 200


class _Row(NamedTuple):
    label: str
    value: str


def summary(n: Notification) -> str:
    """What happened, in one line, for the log and for a text message."""
    if n.part is not None:
        return f"Order {n.order_id}: {_given_back(n.part)} {_what_is_left(n.part)}"
    if n.kind in _CONFIRMING:
        paid = "free of charge" if _is_free(n) else f"{n.total} paid"
        return f"Order {n.order_id} is confirmed: {_seats(n)}, {paid}.{_refunded(n)}"
    if n.kind is NotificationKind.MOVED:
        moved = f"The concert of order {n.order_id} is {_moved_to(n)}"
        return f"{moved}: {_seats(n)}. Your tickets stay valid. {_way_out(n)}"
    return f"Order {n.order_id} is cancelled, {_why(n)}: {_seats(n)}. {_money_of_cancelled(n)}"


def text_message(n: Notification, to: str, concert: ConcertDetails | None) -> Message:
    """The message for a phone."""
    known = f" {_line(concert.artist)}, {when(concert.date)}." if concert is not None else ""
    return Message(n.id, to, _subject(n, concert), f"{summary(n)}{known}")


def message(n: Notification, to: str, concert: ConcertDetails | None) -> Message:
    """The e-mail; it has the same id and words each time it is sent. Without `concert`, it names the concert's id."""
    attachments: tuple[Attachment, ...] = ()
    if n.part is not None:
        opening = "a part of your order was given back."
        rows = [*_concert(n, concert), _Row("Given back", str(n.part.amount)), _Row("Left", str(n.part.left))]
        closing = [_given_back(n.part), _what_is_left(n.part)]
    elif n.kind in _CONFIRMING:
        opening = "your order is confirmed."
        rows = [*_concert(n, concert), *_price(n)]
        entry = None if concert is None else calendar(n, concert)
        if entry is not None:
            attachments = (Attachment("concert.ics", "text", "calendar", entry, {"method": "PUBLISH"}),)
        closing = [_receipt(n), "Please keep this message; the order number opens the door."]
    elif n.kind is NotificationKind.MOVED:
        opening = f"the concert of your order is {_moved_to(n)}."
        rows = _concert(n, concert)
        closing = [*_noted(n), "Your tickets stay valid.", _way_out(n)]
    else:
        opening = f"your order is cancelled, {_why(n)}."
        rows = _concert(n, concert)
        closing = [*_noted(n), _money_of_cancelled(n)]
        if n.payment_id is not None:
            closing.append(f"Payment: {n.payment_id}")
    rows.append(_Row("Order number", n.order_id))
    text, page = _text(opening, rows, closing), _page(opening, rows, closing)
    return Message(n.id, to, _subject(n, concert), text, page, attachments)


def when(written: str) -> str:
    """A concert's date for people, at its place: `Saturday, 5 June 2027, 19:30 (UTC+02:00)`."""
    try:
        if len(written) <= len("2027-06-05"):
            return _day(date.fromisoformat(written))
        moment = datetime.fromisoformat(written)
    except ValueError:
        return _line(written)
    return _moment(moment)


def _moment(moment: datetime) -> str:
    offset = moment.utcoffset()
    zone = "" if offset is None else f" ({_offset(offset)})"
    return f"{_day(moment.date())}, {moment:%H:%M}{zone}"


def _day(day: date) -> str:
    return f"{_DAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year}"


def _offset(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}" if minutes else "UTC"


def _line(typed: str) -> str:
    """What somebody typed, as one line: without controls, and without what would turn the line round."""
    kept = "".join(
        " " if category(each) in ("Cc", "Zl", "Zp", "Zs") else each
        for each in typed
        if category(each) not in ("Cs", "Cf") or each in _KEPT_FORMATS
    )
    return " ".join(kept.split())[:_LONGEST_LINE]


def _moved_to(n: Notification) -> str:
    return "postponed; its new date is not known yet" if n.date is None else f"moved to {when(n.date)}"


def _noted(n: Notification) -> list[str]:
    return [] if n.note is None else [f"The organizer says: {_line(n.note)}"]


def _way_out(n: Notification) -> str:
    if n.cancel_until is None:
        return ""
    return f"If you can't come, you can cancel your order until {_moment(n.cancel_until)}, and get your money back."


def _subject(n: Notification, concert: ConcertDetails | None) -> str:
    what = (
        f"{_line(concert.title or concert.artist)}, {when(concert.date)}"
        if concert is not None
        else f"order {n.order_id}"
    )
    if n.kind is NotificationKind.MOVED:
        return f"Postponed: {what}" if n.date is None else f"Moved: {what}"
    if n.part is not None:
        return f"Refund: {what}"
    return f"Your tickets: {what}" if n.kind in _CONFIRMING else f"Cancelled: {what}"


def _concert(n: Notification, concert: ConcertDetails | None) -> list[_Row]:
    rows = []
    if concert is None:
        rows.append(_Row("Concert", n.concert_id))
    else:
        # What a message says of a move was true when it was decided, whatever the concert has become since.
        date = concert.date if n.kind is not NotificationKind.MOVED else n.date
        rows.append(_Row("Concert", _line(concert.title or concert.artist)))
        rows.append(_Row("When", "not known yet" if date is None else when(date)))
        if concert.venue:
            rows.append(_Row("Where", _line(f"{concert.venue}, {concert.place}" if concert.place else concert.venue)))
    if n.section:
        name = concert.sections.get(n.section) if concert is not None else None
        rows.append(_Row("Section", _line(name or n.section)))
    of = f" of {n.quantity}; the others were given back" if n.returned else ""
    rows.append(_Row("Seats", f"{n.quantity - n.returned}{of}"))
    return rows


def _price(n: Notification) -> list[_Row]:
    if n.total is None:
        return []
    if _is_free(n):
        return [_Row("Price", "free of charge")]
    if n.bill is not None:
        return _bill(n.bill)
    each = Money(n.total.amount // n.quantity, n.total.currency) if n.quantity else n.total
    return [_Row("Price", f"{each} each"), _Row("Total", str(n.total))]


def _bill(bill: Bill) -> list[_Row]:
    """The lines of a bill, and what was taken off and added."""

    def money(amount: int) -> str:
        return str(Money(amount, bill.currency))

    rows = [_Row("Price", f"{line.quantity} {_line(line.name)}, {money(line.price)} each") for line in bill.lines]
    if bill.discount:
        rows.append(_Row("Discount", f"-{money(bill.discount)}"))
    rows += [_Row("Fee", f"{_line(fee.name)}, {money(fee.amount)}") for fee in bill.fees]
    if bill.tax_name is not None and not bill.tax_included:
        rows.append(_Row("Tax", f"{_line(bill.tax_name)}, {money(bill.tax)}"))
    rows.append(_Row("Total", money(bill.total)))
    if bill.tax_name is not None and bill.tax_included:
        rows.append(_Row("Tax", f"{_line(bill.tax_name)}, {money(bill.tax)} of the total"))
    return rows


def _receipt(n: Notification) -> str:
    if _is_free(n):
        return "Nothing was charged."
    if n.payment_id is None or n.paid_at is None:
        return f"Receipt: {n.total} was paid."
    return f"Receipt: {n.paid} was paid on {_moment(n.paid_at)}, payment {n.payment_id}.{_refunded(n)}"


def _refunded(n: Notification) -> str:
    return f" {n.refunded} of it went back, or is on its way." if n.refunded else ""


def _given_back(part: PartRefund) -> str:
    tickets = f" for {part.tickets} ticket{'' if part.tickets == 1 else 's'}" if part.tickets else ""
    return f"{part.amount} went back to you{tickets}."


def _what_is_left(part: PartRefund) -> str:
    return f"You have {part.held} ticket{'' if part.held == 1 else 's'} left, for which {part.left} stay paid."


def _why(n: Notification) -> str:
    if n.reason is CancelReason.EXPIRED and n.payment_id is not None:
        return _MONEY_CAME_TOO_LATE
    return "" if n.reason is None else _WHY[n.reason]


def _money_of_cancelled(n: Notification) -> str:
    """What becomes of the money. Nothing is promised that may still turn out otherwise."""
    if _is_free(n):
        return "It was free of charge, and nothing was charged."
    if n.was_paid or n.payment_id is not None:
        returned = n.paid or n.total
        if returned and n.refunded:
            left = Money(returned.amount - n.refunded.amount, returned.currency)
            return (
                f"{n.refunded} of the {returned} that you paid went back before; the other {left} go back to you now."
            )
        return f"The {returned} that you paid goes back to you." if returned else "What you paid goes back to you."
    if n.total is None:
        return "Nothing was charged."
    if n.reason is CancelReason.DECLINED:
        return "Nothing was charged. If money is taken for it all the same, all of it goes back to you."
    return "If money was taken for it, all of it goes back to you."


def _seats(n: Notification) -> str:
    where = f" in section {n.section}" if n.section else ""
    left = n.quantity - n.returned
    return f"{left} ticket{'' if left == 1 else 's'}{where} for concert {n.concert_id}"


def _is_free(n: Notification) -> bool:
    return n.total is not None and n.total.amount == 0


def _text(opening: str, rows: Sequence[_Row], closing: Sequence[str]) -> str:
    width = max(len(row.label) for row in rows) + 1
    table = "\n".join(f"  {row.label + ':':<{width}} {row.value}" for row in rows)
    return f"Hello,\n\n{opening}\n\n{table}\n\n" + "\n".join(closing) + "\n"


def _page(opening: str, rows: Sequence[_Row], closing: Sequence[str]) -> str:
    table = "\n".join(f'<tr><th align="left">{escape(row.label)}</th><td>{escape(row.value)}</td></tr>' for row in rows)
    paragraphs = "\n".join(f"<p>{escape(each)}</p>" for each in closing)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Cludale Tickets</title></head><body>\n'
        f"<p>Hello,</p>\n<p>{escape(opening)}</p>\n<table>\n{table}\n</table>\n{paragraphs}\n</body></html>\n"
    )
