"""What a message says: each value that a template may name, in a language. No I/O, clock or HTTP.

Whatever a buyer or an organizer typed is one line of plain text: it becomes neither markup nor a header.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol
from unicodedata import bidirectional, category
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cludale.kernel import dates
from cludale.kernel.bills import Bill
from cludale.kernel.money import Money
from cludale.ports.contacts import Contact
from cludale.ports.programme import ConcertDetails
from cludale.services.notifications.domain import Notification
from cludale.services.notifications.events import NotificationKind
from cludale.services.orders.events import CancelReason, PartRefund

Values = Mapping[str, Any]
"""Name → text, number, truth, or a list of such mappings: what a template may name, and nothing else."""


class Speech(Protocol):
    """A language: its words, and how it writes money and times."""

    def gettext(self, text: str, /) -> str:
        """The words for `text`."""
        ...

    def ngettext(self, one: str, more: str, number: int, /) -> str:
        """The words for so many."""
        ...

    def money(self, amount: Money, /) -> str:
        """An amount."""
        ...

    def day(self, text: str, /) -> str:
        """A day, or that of a time in its own offset."""
        ...

    def hour(self, text: str, /) -> str:
        """The time of day in its own offset; empty where `text` is a day."""
        ...

    def zone(self, moment: datetime, zone: ZoneInfo | None, /) -> str:
        """The zone of a moment."""
        ...

    def when(self, moment: datetime, zone: ZoneInfo | None, /) -> str:
        """A moment with its zone."""
        ...


class _Plain:
    """English for the log: nothing is loaded for it, and it is cheap, for every order without an address is told so."""

    def gettext(self, text: str) -> str:
        return text

    def ngettext(self, one: str, more: str, number: int) -> str:
        return one if number == 1 else more

    def money(self, amount: Money) -> str:
        return str(amount)

    def day(self, text: str) -> str:
        return text[: len("2027-06-05")]

    def hour(self, text: str) -> str:
        return text[len("2027-06-05T") : len("2027-06-05T19:30")]

    def zone(self, moment: datetime, zone: ZoneInfo | None) -> str:
        return moment.isoformat()[-6:] if zone is None else zone.key

    def when(self, moment: datetime, zone: ZoneInfo | None) -> str:
        return (moment if zone is None else moment.astimezone(zone)).isoformat(timespec="minutes")


PLAIN: Speech = _Plain()


def N_(text: str) -> str:  # noqa: N802 - what the catalogues' tools look for
    """Marks words that are looked up later."""
    return text


_WHY: Mapping[CancelReason | None, str] = {
    CancelReason.BUYER: N_("as you asked"),
    CancelReason.ORGANIZER: N_("by the organizer"),
    CancelReason.DECLINED: N_("because the payment was declined and no other came in time"),
    CancelReason.PAYMENT_FAILED: N_("because the payment did not go through"),
    CancelReason.EXPIRED: N_("because it was not paid in time"),
    CancelReason.SOLD_OUT: N_("because there are not enough seats left"),
    CancelReason.NOT_ON_SALE: N_("because its tickets are not on sale yet"),
    CancelReason.CONCERT_OVER: N_("because the concert is over"),
    CancelReason.SALE_ENDED: N_("because the sale has ended"),
    CancelReason.CALLED_OFF: N_("because the concert is called off"),
    CancelReason.PRICE_TOO_HIGH: N_("because no seat is left at the price that you named"),
    CancelReason.OTHER_CURRENCY: N_("because its prices are in another currency than the one that you named"),
    CancelReason.NO_SUCH_CONCERT: N_("because there is no such concert"),
    CancelReason.NO_SUCH_SECTION: N_("because the concert has no such section"),
    CancelReason.OVER_THE_LIMIT: N_("because one order can't have so many tickets"),
    CancelReason.NO_SUCH_TICKETS: N_("because the concert has no such tickets, or no such code"),
    CancelReason.CODE_USED_UP: N_("because the discount code can't be used any more"),
    CancelReason.HELD_OTHERWISE: N_("because its key was used before, for another order"),
    CancelReason.UNREACHABLE: N_("because no seats could be had in time"),
    CancelReason.CART_INCOMPLETE: N_("because another part of the same purchase could not be had"),
}

_MONEY_CAME_TOO_LATE = N_("because there were no seats left when the money came")
_NEW_CODES = N_(
    "These tickets have new codes; those of before open the door no more. The new ones are on your order's page."
)
_CONFIRMING = (NotificationKind.CONFIRMATION, NotificationKind.COPY)
_WITH_PRICE = (*_CONFIRMING, NotificationKind.OFFER)
_KEPT_FORMATS = "\u200c\u200d"
"""Letters of some scripts, and some emoji, are joined by these."""
_LONGEST_LINE = 200
_FROM_RIGHT = ("R", "AL")
_ISOLATED = "\u2068{}\u2069"
"""So a name that is written from right to left turns nothing of what stands beside it."""


def summary(n: Notification, speech: Speech = PLAIN, concert: ConcertDetails | None = None) -> str:
    """What happened, in one line, for the log and for a text message."""
    order, say = {"order": n.named}, speech.gettext
    if n.part is not None:
        told = [say("A part of your order %(order)s was given back.") % order]
        return " ".join([*told, _given_back(n.part, speech), _what_is_left(n.part, speech)])
    if n.kind in _CONFIRMING:
        return " ".join(filter(None, [say("Order %(order)s is confirmed.") % order, *_have(n, speech, concert)]))
    if n.kind is NotificationKind.MOVED:
        told = [headline(n, speech), say("Order: %(order)s.") % order, *_have(n, speech, concert)]
        return " ".join(filter(None, [*told, say("Your tickets stay valid."), _way_out(n, speech)]))
    if n.kind is NotificationKind.RESEATED:
        told = [headline(n, speech), say("Order: %(order)s.") % order, *_have(n, speech, concert)]
        return " ".join(filter(None, [*told, *_new_codes(n, speech)]))
    if n.kind is NotificationKind.OFFER:
        told = [headline(n, speech), say("Order: %(order)s.") % order, *_have(n, speech, concert)]
        return " ".join(filter(None, [*told, _offered_until(n, speech, concert)]))
    told = [say("Order %(order)s is cancelled, %(why)s.") % (order | {"why": _why(n, speech)})]
    return " ".join([*told, *_have(n, speech, concert), _money_of_cancelled(n, speech)])


def text_message(n: Notification, concert: ConcertDetails | None, speech: Speech) -> str:
    """The words for a phone."""
    said = summary(n, speech, concert)
    if concert is None:
        return said
    if _is_date_open(n, concert):
        return f"{said} {title(concert)}." if n.kind is NotificationKind.MOVED else f"{said} {_postponed(speech)}"
    return f"{said} {title(concert)}, {when(concert.date, speech, concert)}."


def values(
    n: Notification,
    contact: Contact,
    concert: ConcertDetails | None,
    speech: Speech,
    *,
    language: str,
    sender: str,
    link: str,
    concerts: Mapping[str, ConcertDetails] | None = None,
) -> Values:
    """All that a template may name. What is not known, or does not apply, is empty, so `{% if … %}` finds it out.

    `sender`: what the buyer knows us as. `link`: the order's page, or empty. `concerts`: of the lines of a cart.
    """
    say, name = speech.gettext, line(contact.name or "")
    date = _date(n, concert)
    has_time = date is not None and "T" in date
    made = {
        "kind": (NotificationKind.CONFIRMATION if n.kind is NotificationKind.COPY else n.kind).value,
        "is_copy": n.kind is NotificationKind.COPY,
        "is_moved_open": n.kind is NotificationKind.MOVED and n.date is None,
        "is_date_open": _is_date_open(n, concert),
        "language": language,
        "sender": line(sender),
        "name": name,
        "colon": say(":"),
        "greeting": say("Hello %(name)s,") % {"name": name} if name else say("Hello,"),
        "headline": headline(n, speech),
        "order": n.named,
        "order_url": link,
        "link_text": say("See your order"),
        "footer": say("You get this message because this address was left with an order of tickets."),
        "concert": title(concert) if concert is not None else n.concert_id,
        "artist": line(concert.artist) if concert is not None else "",
        "when": "" if date is None else when(date, speech, concert),
        "day": "" if date is None else _parsed(date, speech.day),
        "time": _parsed(date, speech.hour) if date is not None and has_time else "",
        "doors": _doors(n, concert, speech),
        "zone": _parsed(date, lambda text: _zone(text, speech, concert)) if date is not None and has_time else "",
        "venue": line((concert.venue if concert is not None else None) or ""),
        "place": line((concert.place if concert is not None else None) or ""),
        "section": _section(n, concert),
        "seats": n.quantity - n.returned,
        "tickets": _tickets(n.quantity - n.returned, speech),
        "price": "" if n.lines else _price_each(n, speech),
        "total": speech.money(n.total) if n.total is not None else "",
        "is_free": _is_free(n),
        "paid": speech.money(n.paid) if n.paid is not None else "",
        "payment": n.payment_id or "",
        "refunded": speech.money(n.part.amount) if n.part is not None else "",
        "left": speech.money(n.part.left) if n.part is not None else "",
        "reason": _why(n, speech) if n.kind is NotificationKind.CANCELLATION else "",
        "note": line(n.note or ""),
        "can_cancel_until": "" if n.cancel_until is None else speech.when(n.cancel_until, _zone_of(concert)),
    }
    return made | {
        "subject": _subject(made, speech),
        "rows": _rows_of_cart(made, n, speech, concerts or {}) if n.lines else _rows(made, n, speech),
        "lines": _lines(n, concert, speech),
    }


NAMES = frozenset(
    {
        "kind", "is_copy", "is_moved_open", "is_date_open", "language", "sender", "name", "colon", "greeting",
        "headline", "order", "order_url", "link_text", "footer", "concert", "artist", "when", "day", "time", "doors",
        "zone", "venue", "place", "section", "seats", "tickets", "price", "total", "is_free", "paid", "payment",
        "refunded", "left", "reason", "note", "can_cancel_until", "subject", "rows", "lines",
    }
)  # fmt: skip
"""What `values` has."""
LISTS: Mapping[str, frozenset[str]] = {"rows": frozenset({"label", "value"}), "lines": frozenset()}
"""Those of them that are lists, with the names that each of their items has; none: it is a text."""


def headline(n: Notification, speech: Speech) -> str:
    """What happened, as one sentence."""
    say = speech.gettext
    if n.part is not None:
        return say("A part of your order was given back.")
    if n.kind in _CONFIRMING:
        return say("Your order is confirmed.")
    if n.kind is NotificationKind.MOVED:
        if n.date is None:
            return _postponed(speech)
        return say("The concert of your order is moved to %(when)s.") % {"when": when(n.date, speech, None)}
    if n.kind is NotificationKind.CANCELLATION:
        return say("Your order is cancelled, %(why)s.") % {"why": _why(n, speech)}
    is_moved = n.kind is NotificationKind.RESEATED
    return say("Your seats were changed.") if is_moved else say("You waited for tickets: now they are held for you.")


def when(written: str, speech: Speech, concert: ConcertDetails | None) -> str:
    """A concert's date for people, at its place: day, time and zone."""

    def whole(text: str) -> str:
        day = speech.day(text)
        return f"{day}, {speech.hour(text)} ({_zone(text, speech, concert)})" if "T" in text else day

    return _parsed(written, whole)


def _parsed(written: str, say: Any) -> str:
    try:
        if len(written) <= len("2027-06-05"):
            date.fromisoformat(written)
        else:
            written = datetime.fromisoformat(written).isoformat()  # with seconds
        text: str = say(written)
    except ValueError:
        return line(written)
    return text


def _zone(written: str, speech: Speech, concert: ConcertDetails | None) -> str:
    return speech.zone(datetime.fromisoformat(written), _zone_of(concert))


def _zone_of(concert: ConcertDetails | None) -> ZoneInfo | None:
    try:
        return None if concert is None or concert.zone is None else ZoneInfo(concert.zone)
    except (ZoneInfoNotFoundError, ValueError):
        return None


def line(typed: str) -> str:
    """What somebody typed, as one line: without controls, and without what would turn the line round.

    If it has letters that are written from right to left, it stands between marks that keep those to themselves.
    """
    kept = plain_line(typed)
    if kept.isascii():
        return kept
    return _ISOLATED.format(kept) if any(bidirectional(each) in _FROM_RIGHT for each in kept) else kept


def plain_line(typed: str) -> str:
    """The text on one line, without control characters."""
    if typed.isascii() and typed.isprintable():  # most are; each character costs a look into Unicode's tables
        return " ".join(typed.split())[:_LONGEST_LINE]
    kept = "".join(
        " " if category(each) in ("Cc", "Zl", "Zp", "Zs") else each
        for each in typed
        if category(each) not in ("Cs", "Cf") or each in _KEPT_FORMATS
    )
    return " ".join(kept.split())[:_LONGEST_LINE]


def title(concert: ConcertDetails) -> str:
    """What the concert is called."""
    return line(concert.title or concert.artist)


def _date(n: Notification, concert: ConcertDetails | None) -> str | None:
    """What a message says of a move was true when it was decided, whatever the concert has become since."""
    if n.kind is NotificationKind.MOVED:
        return n.date
    return None if concert is None or _is_date_open(n, concert) else concert.date


def _is_date_open(n: Notification, concert: ConcertDetails | None) -> bool:
    """Is the new date not known yet? What is cancelled is told with the date that it had."""
    if n.kind is NotificationKind.MOVED:
        return n.date is None
    return concert is not None and concert.is_postponed and n.kind is not NotificationKind.CANCELLATION


def _postponed(speech: Speech) -> str:
    return speech.gettext("The concert of your order is postponed; its new date is not known yet.")


def _doors(n: Notification, concert: ConcertDetails | None, speech: Speech) -> str:
    """When the doors open, with the day where that is another than the concert's; empty where that is not known."""
    is_off = n.kind is NotificationKind.CANCELLATION or _date(n, concert) != (concert and concert.date)
    if is_off or concert is None or concert.doors_at is None:
        return ""
    begins = dates.local_day(concert.date)

    def said(text: str) -> str:
        day = "" if dates.local_day(text) == begins else speech.day(text)
        return ", ".join(filter(None, (day, speech.hour(text))))

    return _parsed(concert.doors_at, said)


def _section(n: Notification, concert: ConcertDetails | None) -> str:
    if not n.section:
        return ""
    name = concert.sections.get(n.section) if concert is not None else None
    # a refund of an earlier version has all seats here, whether or not they are left
    seats = None if n.part is not None else n.seats_said
    return line(f"{name or n.section}: {seats}" if seats else name or n.section)


def _subject(made: Values, speech: Speech) -> str:
    say = speech.gettext
    what = ", ".join(filter(None, (made["concert"], made["day"], made["time"])))
    if made["kind"] == NotificationKind.MOVED:
        return (say("Postponed: %(what)s") if made["is_moved_open"] else say("Moved: %(what)s")) % {"what": what}
    if made["kind"] == NotificationKind.RESEATED:
        return say("New seats: %(what)s") % {"what": what}
    if made["kind"] == NotificationKind.REFUND:
        return say("Refund: %(what)s") % {"what": what}
    if made["kind"] == NotificationKind.CONFIRMATION:
        return say("Your tickets: %(what)s") % {"what": what}
    if made["kind"] == NotificationKind.OFFER:
        return say("Held for you: %(what)s") % {"what": what}
    return say("Cancelled: %(what)s") % {"what": what}


def _rows(made: Values, n: Notification, speech: Speech) -> list[Mapping[str, str]]:
    """The facts, each with what it is called."""
    say = speech.gettext
    place = made["place"]
    rows = [(say("Concert"), made["concert"])]
    if made["when"] or made["is_date_open"]:
        rows.append((say("When"), made["when"] or say("not known yet")))
    if made["doors"]:
        rows.append((say("Doors"), made["doors"]))
    if made["venue"]:
        rows.append((say("Where"), f"{made['venue']}, {place}" if place else made["venue"]))
    if made["section"]:
        rows.append((say("Section"), made["section"]))
    seats = str(made["seats"])
    if n.returned:
        seats = say("%(left)s of %(all)s; the others were given back") % {"left": seats, "all": n.quantity}
    rows.append((say("Seats"), seats))
    if n.kind in _WITH_PRICE and n.total is not None:
        rows += _price(made, n, speech)
    if n.part is not None:
        back = f"{made['refunded']} ({line(n.seats_back)})" if n.seats_back else made["refunded"]
        rows += [(say("Given back"), back), (say("Left"), made["left"])]
    rows.append((say("Order number"), made["order"]))
    return [{"label": label, "value": value} for label, value in rows]


def _rows_of_cart(
    made: Values, n: Notification, speech: Speech, concerts: Mapping[str, ConcertDetails]
) -> list[Mapping[str, str]]:
    """The facts of each order of a cart, and what all of them cost."""
    say = speech.gettext
    rows: list[tuple[str, str]] = []
    for each in n.each_order:
        concert = concerts.get(each.concert_id)
        rows.append((say("Concert"), each.concert_id if concert is None else title(concert)))
        if concert is not None:
            is_open = _is_date_open(each, concert)
            rows.append((say("When"), say("not known yet") if is_open else when(concert.date, speech, concert)))
            rows += [(say("Doors"), doors)] if (doors := _doors(each, concert, speech)) else []
            where = ", ".join(line(text) for text in (concert.venue, concert.place) if text)
            rows += [(say("Where"), where)] if where else []
        rows += [(say("Section"), _section(each, concert)), (say("Seats"), str(each.quantity))]
        if each.total is not None:
            rows.append((say("Price"), say("free of charge") if _is_free(each) else speech.money(each.total)))
        rows.append((say("Order number"), each.order_id))
    rows.append((say("Total"), say("free of charge") if made["is_free"] else made["total"]))
    return [{"label": label, "value": value} for label, value in rows]


def _price(made: Values, n: Notification, speech: Speech) -> list[tuple[str, str]]:
    say = speech.gettext
    if made["is_free"]:
        return [(say("Price"), say("free of charge"))]
    if n.bill is not None:
        return _bill(n.bill, speech)
    return [(say("Price"), made["price"]), (say("Total"), made["total"])]


def _bill(bill: Bill, speech: Speech) -> list[tuple[str, str]]:
    """The lines of a bill, and what was taken off and added."""
    say = speech.gettext

    def money(amount: int) -> str:
        return speech.money(Money(amount, bill.currency))

    rows = []
    for each in bill.lines:
        price = say("%(price)s each") % {"price": money(each.price)}
        rows.append((say("Price"), f"{each.quantity} {line(each.name)}, {price}"))
    if bill.discount:
        rows.append((say("Discount"), f"-{money(bill.discount)}"))
    rows += [(say("Fee"), f"{line(fee.name)}, {money(fee.amount)}") for fee in bill.fees]
    if bill.tax_name is not None and not bill.tax_included:
        rows.append((say("Tax"), f"{line(bill.tax_name)}, {money(bill.tax)}"))
    rows.append((say("Total"), money(bill.total)))
    if bill.tax_name is not None and bill.tax_included:
        rows.append((say("Tax included"), f"{line(bill.tax_name)}, {money(bill.tax)}"))
    return rows


def _lines(n: Notification, concert: ConcertDetails | None, speech: Speech) -> list[str]:
    """What else is to be said, a sentence or two each."""
    say = speech.gettext
    noted = [] if n.note is None else [say("The organizer says: %(note)s") % {"note": line(n.note)}]
    if n.part is not None:
        lines = [_given_back(n.part, speech), _what_is_left(n.part, speech)]
    elif n.kind in _CONFIRMING:
        lines = [_receipt(n, concert, speech), say("Please keep this message; the code on each ticket opens the door.")]
        if _is_date_open(n, concert):
            lines.insert(0, _postponed(speech))
    elif n.kind is NotificationKind.MOVED:
        lines = [*noted, say("Your tickets stay valid."), _way_out(n, speech, concert)]
    elif n.kind is NotificationKind.RESEATED:
        lines = [*noted, *_new_codes(n, speech)]
    elif n.kind is NotificationKind.OFFER:
        lines = [_offered_until(n, speech, concert)]
    else:
        lines = [*noted, _money_of_cancelled(n, speech)]
        if n.payment_id is not None:
            lines.append(say("Payment: %(payment)s") % {"payment": n.payment_id})
    return [each for each in lines if each]


def _way_out(n: Notification, speech: Speech, concert: ConcertDetails | None = None) -> str:
    if n.cancel_until is None:
        return ""
    until = speech.when(n.cancel_until, _zone_of(concert))
    return speech.gettext("If you can't come, you can cancel your order until %(until)s, and get your money back.") % {
        "until": until
    }


def _new_codes(n: Notification, speech: Speech) -> list[str]:
    say = speech.gettext
    had = [] if n.seats_were is None else [say("Before, you had: %(seats)s.") % {"seats": line(n.seats_were)}]
    return [*had, say(_NEW_CODES)]


def _offered_until(n: Notification, speech: Speech, concert: ConcertDetails | None) -> str:
    if n.until is None:
        return ""
    until = speech.when(n.until, _zone_of(concert))
    said = speech.gettext("Pay on the page of your order by %(until)s, or the next who waits gets them.")
    return said % {"until": until}


def _price_each(n: Notification, speech: Speech) -> str:
    if n.total is None or _is_free(n):
        return ""
    each = Money(n.total.amount // n.quantity, n.total.currency) if n.quantity else n.total
    return speech.gettext("%(price)s each") % {"price": speech.money(each)}


def _receipt(n: Notification, concert: ConcertDetails | None, speech: Speech) -> str:
    say = speech.gettext
    if _is_free(n) or n.total is None:
        return say("Nothing was charged.")
    if n.payment_id is None or n.paid_at is None or n.paid is None:
        return say("Receipt: %(total)s was paid.") % {"total": speech.money(n.total)}
    receipt = say("Receipt: %(paid)s was paid on %(when)s, payment %(payment)s.") % {
        "paid": speech.money(n.paid),
        "when": speech.when(n.paid_at, _zone_of(concert)),
        "payment": n.payment_id,
    }
    return " ".join(filter(None, [receipt, _refunded(n, speech)]))


def _refunded(n: Notification, speech: Speech) -> str:
    if not n.refunded:
        return ""
    return speech.gettext("%(refunded)s of it went back, or is on its way.") % {"refunded": speech.money(n.refunded)}


def _given_back(part: PartRefund, speech: Speech) -> str:
    amount = {"amount": speech.money(part.amount), "number": part.tickets}
    if not part.tickets:
        return speech.gettext("%(amount)s went back to you.") % amount
    return (
        speech.ngettext(
            "%(amount)s went back to you for %(number)s ticket.",
            "%(amount)s went back to you for %(number)s tickets.",
            part.tickets,
        )
        % amount
    )


def _what_is_left(part: PartRefund, speech: Speech) -> str:
    return speech.ngettext(
        "You have %(number)s ticket left, for which %(amount)s stay paid.",
        "You have %(number)s tickets left, for which %(amount)s stay paid.",
        part.held,
    ) % {"number": part.held, "amount": speech.money(part.left)}


def _why(n: Notification, speech: Speech) -> str:
    if n.reason is CancelReason.EXPIRED and n.payment_id is not None:
        return speech.gettext(_MONEY_CAME_TOO_LATE)
    return speech.gettext(_WHY[n.reason]) if n.reason is not None else speech.gettext("by the organizer")


def _money_of_cancelled(n: Notification, speech: Speech) -> str:
    """What becomes of the money. Nothing is promised that may still turn out otherwise."""
    say = speech.gettext
    if _is_free(n):
        return say("It was free of charge, and nothing was charged.")
    if n.was_paid or n.payment_id is not None:
        return _goes_back(n, speech)
    if n.total is None:
        return say("Nothing was charged.")
    if n.reason is CancelReason.DECLINED:
        return say("Nothing was charged. If money is taken for it all the same, all of it goes back to you.")
    return say("If money was taken for it, all of it goes back to you.")


def _goes_back(n: Notification, speech: Speech) -> str:
    say, returned = speech.gettext, n.paid or n.total
    if returned is None:
        return say("What you paid goes back to you.")
    if not n.refunded:
        return say("The %(paid)s that you paid goes back to you.") % {"paid": speech.money(returned)}
    left = Money(returned.amount - n.refunded.amount, returned.currency)
    return say("%(before)s of the %(paid)s that you paid went back before; the other %(left)s go back to you now.") % {
        "before": speech.money(n.refunded),
        "paid": speech.money(returned),
        "left": speech.money(left),
    }


def _have(n: Notification, speech: Speech, concert: ConcertDetails | None) -> Sequence[str]:
    """Seats and money, in short."""
    section = _section(n, concert)
    told = [_tickets(n.quantity - n.returned, speech) + (f" ({section})" if section else "")]
    if concert is None:
        told[0] += f", {n.concert_id}"
    if n.kind in _CONFIRMING or (n.kind in _WITH_PRICE and n.total is not None):
        free = speech.gettext("free of charge")
        told.append(free if _is_free(n) or n.total is None else speech.money(n.total))
    return [f"{': '.join(told)}.", _refunded(n, speech) if n.kind in _CONFIRMING else ""]


def order_and_tickets(n: Notification, speech: Speech) -> str:
    """Which order it is, and how many tickets it has: for the calendar. Not where: seats may change later."""
    order = speech.gettext("Order: %(order)s.") % {"order": n.order_id}
    return f"{order} {_tickets(n.quantity - n.returned, speech)}."


def _tickets(number: int, speech: Speech) -> str:
    return speech.ngettext("%(number)s ticket", "%(number)s tickets", number) % {"number": number}


def _is_free(n: Notification) -> bool:
    return n.total is not None and n.total.amount == 0
