"""What is kept of the person behind an order, sealed. Its life: kept, changed, then erased. No I/O or clock."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from unicodedata import combining, normalize

import msgspec

from cludale.kernel.decision import Decision
from cludale.kernel.mailbox import is_plain, mailbox
from cludale.ports.contacts import Contact
from cludale.ports.programme import ConcertDetails
from cludale.ports.seals import Sealed
from cludale.services.orders.billing_address import BillingAddress
from cludale.services.orders.events import ContactErased, ErasureReason

OVER_EVERYWHERE = timedelta(days=1, hours=12)
"""After the beginning of a day in UTC, that day is over wherever it may be."""

_encode = msgspec.json.Encoder().encode


class Particulars(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What names the person behind an order, as it is sealed; each may be missing."""

    email: str | None = None
    phone: str | None = None
    name: str | None = None
    comment: str | None = None
    """The organizer's own, which may name anybody."""
    reasons: Mapping[str, str] = {}
    """Why part refunds were made, by their numbers: the organizer's own words, too. None where there were none."""
    language: str | None = None
    """Which the buyer reads. None, too, in what was written before this field existed."""
    why_free: str | None = None
    """Why the order costs nothing, where it is complimentary: the organizer's own words, too."""
    billing: BillingAddress | None = None
    """Whom it is invoiced to. None, too, in what was written before this field existed."""

    @property
    def contact(self) -> Contact:
        """Where the buyer wants to be told, and how they are spoken to."""
        return Contact(self.email, self.phone, self.name, self.language)

    @property
    def has_contact(self) -> bool:
        """Is there any such place?"""
        return self.email is not None or self.phone is not None


NOTHING = Particulars()

_decode = msgspec.json.Decoder(Particulars).decode


def invoiced_of(order_id: str) -> str:
    """What the name on an invoice is sealed for."""
    return f"{order_id}/invoice"


class Personal(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """The particulars of one order, and the key that they are under; or that they are gone."""

    order_id: str
    concert_id: str
    created_at: datetime
    due_at: datetime | None = None
    """The day of the concert as far as it is known: at first when the order was placed; while retention looks at it,
    the end of that lease. None: there is nothing to erase. The days for which it is kept come on top."""
    email: str | None = None
    """The keyed hash of the e-mail address, folded."""
    sealed: Sealed | None = None
    """None: erased."""
    erased_at: datetime | None = None
    reason: ErasureReason | None = None
    invoiced: Sealed | None = None
    """Who stands on the order's invoice and credit notes (`Invoiced`), whatever is changed later. None where there are
    none, and in what was written before this field existed."""


class Invoiced(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The buyer as an invoice names them, as it is sealed."""

    name: str | None = None
    email: str | None = None
    language: str | None = None
    billing: BillingAddress | None = None
    """None, too, in what was written before this field existed."""


class InvoicedEmail(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """Finds an order by the e-mail address on its invoice, where its buyer has another one by now."""

    order_id: str
    email: str | None = None
    """The keyed hash of the one on the invoice, folded; None: there is no such one any more."""


class Upkeep(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Up to where a walk through all records has come to its end."""

    id: str
    done_at: datetime


def folded(email: str) -> str:
    """One form for all ways to write an e-mail address: lower case, NFC, the domain in ASCII. Never to send to."""
    if is_plain(email):
        return email.casefold()
    try:
        local, domain = mailbox(email)
    except ValueError:
        return normalize("NFC", email).casefold()
    return f"{normalize('NFC', local).casefold()}@{domain}"


def packed(particulars: Particulars) -> bytes:
    """Particulars as they are sealed."""
    return _encode(particulars)


def unpacked(data: bytes) -> Particulars:
    """The particulars that were sealed."""
    return _decode(data)


def words(text: str) -> tuple[str, ...]:
    """The words of a name, however they are written: without accents, capitals and what stands between them."""
    plain = "".join(each for each in normalize("NFKD", text.casefold()) if not combining(each))
    return tuple("".join(each if each.isalnum() else " " for each in plain.casefold()).split())


def is_named(particulars: Particulars, sought: Sequence[str]) -> bool:
    """Does a word of the name begin with each of these words (see `words`)?"""
    if particulars.name is None:
        return False
    named = words(particulars.name)
    return all(any(word.startswith(each) for word in named) for each in sought)


def packed_invoiced(invoiced: Invoiced) -> bytes:
    """Its bytes, ready to be sealed."""
    return _encode(invoiced)


def unpacked_invoiced(data: bytes) -> Invoiced:
    """What was sealed."""
    return msgspec.json.decode(data, type=Invoiced)


def keep(order_id: str, concert_id: str, sealed: Sealed, *, email: str | None, created_at: datetime) -> Personal:
    """A new one. `email` is the hash."""
    return Personal(
        order_id=order_id,
        concert_id=concert_id,
        created_at=created_at,
        due_at=created_at,
        email=email,
        sealed=sealed,
    )


def erase(personal: Personal, reason: ErasureReason, *, at: datetime) -> Decision[Personal]:
    """Drop the key, and all that was under it; again changes nothing."""
    if personal.sealed is None:
        return Decision(personal)
    erased = Personal(
        order_id=personal.order_id,
        concert_id=personal.concert_id,
        created_at=personal.created_at,
        erased_at=at,
        reason=reason,
    )
    event = ContactErased(order_id=personal.order_id, concert_id=personal.concert_id, reason=reason)
    return Decision(erased, (event,), at=at)


def erase_nothing(
    order_id: str, concert_id: str, reason: ErasureReason, *, created_at: datetime, at: datetime
) -> Decision[Personal]:
    """Of an order whose buyer left nothing: what others keep of it goes, and nothing is put there any more."""
    erased = Personal(order_id=order_id, concert_id=concert_id, created_at=created_at, erased_at=at, reason=reason)
    return Decision(erased, (ContactErased(order_id=order_id, concert_id=concert_id, reason=reason),), at=at)


def claim(personal: Personal, *, now: datetime, until: datetime) -> Personal:
    """Retention looks at it, if it is due: nobody else does before `until`."""
    if personal.due_at is None or personal.due_at > now:
        return personal
    return msgspec.structs.replace(personal, due_at=until)


def with_sealed(personal: Personal, sealed: Sealed, *, email: str | None) -> Personal:
    """With other particulars, or the same under another master key. `email` is the hash."""
    return msgspec.structs.replace(personal, sealed=sealed, email=email)


def look_again(personal: Personal, *, due_at: datetime) -> Personal:
    """Retention looks at it again at `due_at`."""
    return personal if personal.sealed is None else msgspec.structs.replace(personal, due_at=due_at)


def over_at(concert: ConcertDetails) -> datetime:
    """When the last day of the concert is over, wherever it is."""
    last = date.fromisoformat((concert.ends_at or concert.date)[:10])
    try:
        return datetime(last.year, last.month, last.day, tzinfo=UTC) + OVER_EVERYWHERE
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
