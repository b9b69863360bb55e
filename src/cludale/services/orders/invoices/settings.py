"""What an organizer says of invoices: are there any, who issues them, how are they numbered. No I/O or clock."""

from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.refusals import Invalid, Refusal, RefusedForNow
from cludale.services.orders.events import InvoiceKind, InvoicingChanged
from cludale.services.orders.invoices.figures import StandardTax
from cludale.services.orders.invoices.numbering import head_of

INVOICE_NUMBERS = "INV-{year}-{number:5}"
CREDIT_NOTE_NUMBERS = "CN-{year}-{number:5}"
MOST_CHANGES = 1_000
"""How often one organizer may change the settings."""


class SettingsOutdated(Refusal):
    """They were changed since they were read."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"These settings were changed meanwhile: they are at revision {revision}.", revision=revision)


class TooManySettings(Refusal):
    """They were changed too often."""

    def __init__(self) -> None:
        super().__init__(f"These settings were changed {MOST_CHANGES} times, and no more is kept.", most=MOST_CHANGES)


class InvoicesOff(RefusedForNow):
    """The organizer has no invoices now."""

    def __init__(self) -> None:
        super().__init__("There are no invoices: turn them on first.")


class Span(msgspec.Struct, frozen=True, gc=False):
    """What was paid in this time is invoiced."""

    since: datetime
    until: datetime | None = None


class Issuer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """Who issues an invoice, as it stands on it."""

    name: str = ""
    address: str = ""
    """Line by line."""
    tax_id: str | None = None
    note: str | None = None
    """What stands below the sums."""


class Said(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """All that an organizer says."""

    is_on: bool = False
    issuer: Issuer = Issuer()
    invoice_numbers: str = INVOICE_NUMBERS
    credit_note_numbers: str = CREDIT_NOTE_NUMBERS
    tax_name: str | None = None
    tax_percent: float = 0.0
    """The tax that is in the price of tickets whose concert says nothing of taxes."""
    zone: str | None = None
    """The time zone of the days on invoices; None: each concert's own."""
    language: str | None = None
    """The language of documents for buyers whose own is not known."""


class InvoiceSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """The settings of an organizer."""

    organizer: str
    revision: int = 0
    said: Said = Said()
    spans: tuple[Span, ...] = ()
    spent: tuple[str, ...] = ()
    """What ever stood before a number, with its kind: another kind never has it."""
    changed_at: datetime | None = None
    changed_by: str | None = None

    @property
    def standard(self) -> StandardTax:
        """The tax of tickets whose concert says nothing of taxes."""
        return StandardTax(self.said.tax_name, self.said.tax_percent)

    def pattern(self, kind: InvoiceKind) -> str:
        """How numbers of this kind are written."""
        return self.said.invoice_numbers if kind is InvoiceKind.INVOICE else self.said.credit_note_numbers

    def covers(self, paid_at: datetime) -> bool:
        """Is what was paid then invoiced?"""
        return any(each.since <= paid_at and (each.until is None or paid_at < each.until) for each in self.spans)

    def may_cover(self, now: datetime, *, leeway: timedelta) -> bool:
        """May something be invoiced that is heard of now? `leeway`: how late that may be."""
        return any(each.until is None or now < each.until + leeway for each in self.spans)


class SettingsChange(NamedTuple):
    """A change, and who wants it."""

    organizer: str
    said: Said
    by: str
    revision: int | None = None
    """The one that whoever asks has seen."""


def change(
    known: InvoiceSettings | None, wanted: SettingsChange, *, now: datetime, since: datetime
) -> Decision[InvoiceSettings]:
    """Say it anew; turned on or off from `since` on. Raises SettingsOutdated, TooManySettings, Invalid."""
    before = known or InvoiceSettings(organizer=wanted.organizer)
    if wanted.revision is not None and wanted.revision != before.revision:
        raise SettingsOutdated(before.revision)
    said = wanted.said
    if before.said == said:
        return Decision(before)
    if before.revision >= MOST_CHANGES:
        raise TooManySettings
    if said.is_on:
        _check(said)
    fields = [each for each in Said.__struct_fields__ if getattr(before.said, each) != getattr(said, each)]
    after = replace(
        before,
        revision=before.revision + 1,
        said=said,
        spans=_spans(before, said, since),
        spent=_spent(before, said),
        changed_at=now,
        changed_by=wanted.by,
    )
    changed = InvoicingChanged(
        organizer=wanted.organizer,
        revision=after.revision,
        is_on=said.is_on,
        since=since,
        fields=tuple(each for each in fields if each != "is_on"),
        by=wanted.by,
    )
    return Decision(after, (changed,))


def _check(said: Said) -> None:
    missing = [(name, "is required for invoices") for name in ("name", "address") if not getattr(said.issuer, name)]
    if missing:
        raise Invalid(*missing)


def _spans(before: InvoiceSettings, said: Said, since: datetime) -> tuple[Span, ...]:
    if said.is_on is before.said.is_on:
        return before.spans
    if said.is_on:
        return (*before.spans, Span(since))
    return (*before.spans[:-1], replace(before.spans[-1], until=since))


def _spent(before: InvoiceSettings, said: Said) -> tuple[str, ...]:
    heads = {
        InvoiceKind.INVOICE: head_of(said.invoice_numbers),
        InvoiceKind.CREDIT_NOTE: head_of(said.credit_note_numbers),
    }
    if len(set(heads.values())) == 1:
        raise Invalid(("creditNoteNumbers", "has to begin otherwise than `invoiceNumbers`"))
    for kind, head in heads.items():
        other = InvoiceKind.CREDIT_NOTE if kind is InvoiceKind.INVOICE else InvoiceKind.INVOICE
        if f"{other}:{head}" in before.spent:
            name = "invoiceNumbers" if kind is InvoiceKind.INVOICE else "creditNoteNumbers"
            raise Invalid((name, f"{other}s have begun so already"))
    return tuple(dict.fromkeys((*before.spent, *(f"{kind}:{head}" for kind, head in heads.items()))))
