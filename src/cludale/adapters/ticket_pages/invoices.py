"""Makes the PDF of an invoice or a credit note, in one of four languages. Pure but for the fonts."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import typst

from cludale.adapters.ticket_pages.printing import FAMILIES, STANDARD, compiler, with_known
from cludale.kernel.money import Money
from cludale.ports.invoice_pages import InvoicePage, InvoiceRow
from cludale.runtime.languages import Language

WORDS: Final = {
    "en": {
        "vat_id": "VAT ID", "erased": "Who the buyer was is erased.",
        "invoice": "Invoice", "credit": "Credit note", "of": "For invoice", "date": "Date", "order": "Order",
        "number": "Number", "tax_id": "Tax number", "to": "To", "item": "Item", "quantity": "Quantity", "net": "Net",
        "tax": "Tax", "total": "Total", "refund": "Refund", "credited": "Credited", "paid": "Paid",
    },
    "de": {
        "vat_id": "USt-IdNr.", "erased": "Wer gekauft hat, ist gelöscht.",
        "invoice": "Rechnung", "credit": "Gutschrift", "of": "Zu Rechnung", "date": "Datum", "order": "Bestellung",
        "number": "Nummer", "tax_id": "Steuernummer", "to": "An", "item": "Posten", "quantity": "Menge", "net": "Netto",
        "tax": "Steuer", "total": "Gesamt", "refund": "Erstattung", "credited": "Gutgeschrieben", "paid": "Bezahlt",
    },
    "fr": {
        "vat_id": "N° de TVA", "erased": "Qui a acheté est effacé.",
        "invoice": "Facture", "credit": "Avoir", "of": "Sur la facture", "date": "Date", "order": "Commande",
        "number": "Numéro", "tax_id": "Numéro fiscal", "to": "À", "item": "Article", "quantity": "Quantité",
        "net": "HT", "tax": "Taxe", "total": "Total", "refund": "Remboursement", "credited": "Crédité",
        "paid": "Payé",
    },
    "es": {
        "vat_id": "NIF-IVA", "erased": "Quién compró está borrado.",
        "invoice": "Factura", "credit": "Nota de crédito", "of": "De la factura", "date": "Fecha", "order": "Pedido",
        "number": "Número", "tax_id": "Número fiscal", "to": "Para", "item": "Concepto", "quantity": "Cantidad",
        "net": "Neto", "tax": "Impuesto", "total": "Total", "refund": "Reembolso", "credited": "Abonado",
        "paid": "Pagado",
    },
}  # fmt: skip
"""The few words that stand on every invoice."""

TEMPLATE = r"""
#let given = json(bytes(sys.inputs.invoice))
#let say = given.words
#set document(
  title: given.title,
  date: datetime(
    year: given.issued.at(0), month: given.issued.at(1), day: given.issued.at(2),
    hour: given.issued.at(3), minute: given.issued.at(4), second: given.issued.at(5),
  ),
)
#set text(font: given.fonts, size: 10pt, lang: given.language, fallback: false)
#set page(paper: "a4", margin: 20mm)
#let gray(body) = text(size: 8pt, fill: rgb("#555555"), body)
#let lines(all) = all.join(linebreak())
#strong(given.issuer.at(0)) \
#lines(given.issuer.slice(1))
#v(8mm)
#if given.buyer.len() > 0 [
  #gray(say.to) \
  #lines(given.buyer)
  #v(6mm)
]
#heading(level: 1, text(size: 20pt, given.heading))
#v(2mm)
#for (label, value) in given.facts [#gray(label) #h(2mm) #value \ ]
#v(4mm)
#if given.concert != "" [#strong(given.concert) \ ]
#table(
  columns: (1fr, auto, auto, auto, auto),
  align: (left, right, right, right, right),
  stroke: (x: none, y: 0.4pt + rgb("#bbbbbb")),
  inset: 5pt,
  table.header(..given.head.map(strong)),
  ..given.rows.flatten(),
)
#v(2mm)
#table(
  columns: (1fr, auto, auto, auto),
  align: (left, right, right, right),
  stroke: none,
  inset: 4pt,
  table.header(..given.rates_head.map(strong)),
  ..given.rates.flatten(),
)
#v(2mm)
#align(right, text(size: 13pt, strong(given.sum)))
#if given.note != none [
  #v(8mm)
  #lines(given.note)
]
"""


def pdf(page: InvoicePage) -> bytes:
    """A tagged document (PDF/UA-1)."""
    given = _page_values(page)
    try:
        return _compiled(page, given)
    except typst.TypstError as error:
        if "could not be displayed" not in str(error):
            raise
        return _compiled(page, _drawable(given))


def _compiled(page: InvoicePage, given: dict[str, Any]) -> bytes:
    made = compiler().compile(
        input=TEMPLATE.encode(),
        format="pdf",
        sys_inputs={"invoice": json.dumps({**given, "fonts": FAMILIES})},
        pdf_standards=[STANDARD],
        timestamp=page.issued_at.replace(microsecond=0),
    )
    if not isinstance(made, bytes):
        raise TypeError("typst made no document")
    return made


@cache
def _language(code: str) -> Language:
    return Language(code, Path())


def _page_values(page: InvoicePage) -> dict[str, Any]:
    say, language = WORDS[page.language], _language(page.language)

    def money(units: int) -> str:
        return language.money(Money(units, page.currency))

    def rate(row: InvoiceRow) -> str:
        return f"{row.name or say['tax']} {language.percent(row.percent)}"

    heading = f"{say['credit'] if page.is_credit else say['invoice']} {page.number}"
    facts = [(say["date"], language.day(page.date)), (say["order"], page.order_id)]
    if page.invoice_number is not None:
        facts.insert(0, (say["of"], page.invoice_number))
    if page.tax_id is not None:
        facts.append((say["tax_id"], page.tax_id))
    taxed = [row for row in page.rates if row.percent]
    return {
        "title": heading,
        "heading": heading,
        "language": page.language,
        "words": say,
        "issued": list(page.issued_at.timetuple()[:6]),
        "issuer": [page.issuer, *page.address.splitlines()],
        "buyer": _buyer(page, language, say),
        "facts": facts,
        "concert": ", ".join(filter(None, (page.concert, _day(language, page.concert_date)))),
        "head": [say["item"], say["quantity"], say["net"], say["tax"], say["total"]],
        "rows": [
            [row.name or say["refund"], str(row.quantity), money(row.net), money(row.tax), money(row.total)]
            for row in page.rows
        ],
        "rates_head": [say["tax"], say["net"], say["tax"], say["total"]] if taxed else [],
        "rates": [[rate(row), money(row.net), money(row.tax), money(row.total)] for row in taxed],
        "sum": f"{say['credited'] if page.is_credit else say['paid']}: {money(page.total)}",
        "note": None if page.note is None else page.note.splitlines(),
    }


def _buyer(page: InvoicePage, language: Language, say: Mapping[str, str]) -> list[str]:
    if page.is_erased:
        return [say["erased"]]
    country = () if page.country is None else (language.country(page.country),)
    vat_id = () if page.vat_id is None else (f"{say['vat_id']} {page.vat_id}",)
    return [*page.buyer, *country, *vat_id]


def _day(language: Language, text: str) -> str:
    return ", ".join(filter(None, (language.day(text), language.hour(text)))) if text else ""


def _drawable(value: Any) -> Any:
    """The same, its letters that no font has replaced."""
    if isinstance(value, str):
        return with_known(value)
    if isinstance(value, list | tuple):
        return [_drawable(each) for each in value]
    if isinstance(value, dict):
        return {key: _drawable(each) for key, each in value.items()}
    return value
