"""`cludale invoices`: an organizer's invoices and credit notes, and how they are made."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from cludale.kernel.languages import LanguageCode
from cludale.services.orders.events import InvoiceKind
from cludale_operations.cli.client import OWN, Client, Json, Server, segment
from cludale_operations.cli.options import filling
from cludale_operations.cli.reports import Concert, To, format_of, save
from cludale_operations.cli.screen import fail, record, say, table

app = typer.Typer(no_args_is_help=True, help="List invoices and credit notes, print them, and say how they are made.")

MOST_ORDERS = 1_000_000
SAID_EVERY = 500

Invoice = Annotated[str, typer.Argument(help="The id of the invoice or credit note, not its number.")]
Year = Annotated[int | None, typer.Option(min=1, max=9999, help="Only of this year.")]
InvoiceTo = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD=TEXT",
        help="Whom the invoice is to, field by field: name, street, place, country=AT; also more, postcode, vatId.",
    ),
]
Kind = Annotated[InvoiceKind | None, typer.Option(help="Only invoices, or only credit notes.")]


def billing_address(given: Sequence[str]) -> dict[str, str]:
    """The postal address of `FIELD=TEXT`, each given once."""
    address: dict[str, str] = {}
    for each in given:
        field, is_said, text = each.partition("=")
        if not (field and is_said) or field in address:
            raise typer.BadParameter(
                f"{each!r} is no FIELD=TEXT, or its field is there twice", param_hint="--invoice-to"
            )
        address[field] = text.upper() if field == "country" else text
    return address


@app.command("list")
def list_invoices(
    *,
    year: Year = None,
    kind: Kind = None,
    concert: Concert = None,
    order: Annotated[str | None, typer.Option(help="Only of this order.")] = None,
    latest: Annotated[bool, typer.Option("--latest", help="The latest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List invoices and credit notes, as they were issued."""
    wanted = {
        "year": year,
        "kind": None if kind is None else kind.value,
        "concertId": concert,
        "orderId": order,
        "sort": "-issuedAt" if latest else "issuedAt",
    }
    found = list(client.items("/orders/invoices", wanted, limit=limit))
    columns = ("number", "kind", "date", "net", "tax", "total", "invoiceNumber", "orderId", "id")
    table(found, columns=columns, as_json=json)


@app.command()
def show(id: Invoice, *, client: Server = OWN, json: Json = False) -> None:
    """Show an invoice or a credit note, with its lines."""
    found: dict[str, Any] = client.get(f"/orders/invoices/{segment(id)}")
    if json:
        record(found, as_json=True)
        return
    record({name: value for name, value in found.items() if name not in ("lines", "taxes")}, as_json=False)
    table(found["lines"], columns=("name", "quantity", "taxPercent", "net", "tax", "total"), as_json=False)


@app.command()
def pdf(
    id: Invoice,
    to: Annotated[
        Path | None, typer.Option("--to", help="The file to write; ID.pdf without it.", dir_okay=False)
    ] = None,
    *,
    client: Server = OWN,
) -> None:
    """Write an invoice or a credit note to a file, to print or to send."""
    file = to or Path(f"{segment(id)}.pdf")
    content = client.download(f"/orders/invoices/{segment(id)}.pdf")
    try:
        file.write_bytes(content)
    except OSError as error:
        fail(f"{file} can't be written: {error}")
    say(f"written to {file}")


@app.command()
def export(to: To, *, year: Year = None, kind: Kind = None, concert: Concert = None, client: Server = OWN) -> None:
    """Write all of them to a file, a row for each rate of tax, without who the buyers are."""
    wanted = {
        "year": year,
        "kind": None if kind is None else kind.value,
        "concertId": concert,
        "format": format_of(to),
    }
    save(client, "/orders/invoices/export", wanted, to)


@app.command()
def make(
    orders: Annotated[list[str] | None, typer.Argument(help="Orders by their ids; or --concert.")] = None,
    *,
    concert: Annotated[str | None, typer.Option(help="All paid orders of this concert.")] = None,
    since: Annotated[str | None, typer.Option(help="With --concert: placed at this time or later.")] = None,
    until: Annotated[str | None, typer.Option(help="With --concert: placed before this time.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Have orders invoiced that were paid before invoices were turned on.

    Each gets the next number and today's date. Cut off and begun anew, it goes on; an order that has its invoice keeps
    it. What costs nothing has none.
    """
    if bool(orders) is (concert is not None):
        fail("name orders, or a concert with --concert")
    if concert is None and (since or until):
        fail("--since and --until go with --concert")
    counts = {"asked": 0, "had": 0, "nothing": 0}
    for order in orders or _paid(client, concert, since, until):
        found = client.post(f"/orders/{segment(order)}/invoices", None) if order else None
        counts["nothing" if found is None else "had" if found["items"] else "asked"] += 1
        if not json and sum(counts.values()) % SAID_EVERY == 0:
            say(_progress(counts))
    if json:
        record(counts, as_json=True)
    else:
        say(_progress(counts))


def _paid(client: Client, concert: str | None, since: str | None, until: str | None) -> Iterator[str | None]:
    """The orders that are paid; None for one that cost nothing."""
    wanted = {"concertId": concert, "status": "Paid", "since": since, "until": until}
    for order in client.items("/orders", wanted, limit=MOST_ORDERS):
        yield order["id"] if order["total"] and order["total"]["amount"] else None


def _progress(counts: dict[str, int]) -> str:
    return f"{counts['asked']} are being invoiced, {counts['had']} were, {counts['nothing']} cost nothing"


class Address(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whom an order is invoiced to, as the API has it."""

    name: Annotated[str, typer.Option(help="A company, or a person.")]
    street: Annotated[str, typer.Option(help="Street and number.")]
    more: Annotated[str | None, typer.Option(help="What else stands there: a floor, a department.")] = None
    postcode: Annotated[str | None, typer.Option(help="The postcode, where there is one.")] = None
    place: Annotated[str, typer.Option(help="The place.")]
    country: Annotated[str, typer.Option(help="Two letters: DE, FR, US.")]
    vat_id: Annotated[str | None, typer.Option(help="The buyer's VAT id.")] = None


@app.command()
@filling(Address)
def address(
    order: Annotated[str, typer.Argument(help="The id of the order.")],
    *,
    options: Address,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Say whom an order is invoiced to; an invoice that is made already has the address from then on."""
    given = {**msgspec.to_builtins(options), "country": options.country.upper()}
    body = {"billingAddress": {field: value for field, value in given.items() if value}}
    found = client.patch(f"/orders/{segment(order)}", body)
    record(found if json else {"id": found["id"], **found["billingAddress"]}, as_json=json)


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How an organizer's invoices are made, as the API has it."""

    on: Annotated[bool | None, typer.Option("--on/--off", help="Does who pays get an invoice?")] = None
    name: Annotated[str | None, typer.Option(help="Who issues them.")] = None
    address: Annotated[str | None, typer.Option(help=r"Their address; \n begins a line.")] = None
    tax_id: Annotated[str | None, typer.Option(help="Their tax number.")] = None
    note: Annotated[str | None, typer.Option(help=r"What stands below the sums; \n begins a line.")] = None
    invoice_numbers: Annotated[str | None, typer.Option(help="As in 'INV-{year}-{number:5}'.")] = None
    credit_note_numbers: Annotated[str | None, typer.Option(help="As in 'CN-{year}-{number:5}'.")] = None
    tax_name: Annotated[str | None, typer.Option(help="Of the tax in prices of concerts without taxes.")] = None
    tax_percent: Annotated[float | None, typer.Option(min=0, max=100, help="Its rate.")] = None
    zone: Annotated[str | None, typer.Option(help="Whose days stand on them: Europe/Berlin.")] = None
    language: Annotated[LanguageCode | None, typer.Option(help="Of buyers of whom it isn't known which they read.")] = (
        None
    )


@app.command()
@filling(Settings)
def settings(*, options: Settings, client: Server = OWN, json: Json = False) -> None:
    """Show how invoices are made, or change what is given; the rest stays. '' takes a text away."""
    given: dict[str, Any] = msgspec.to_builtins(options)
    given |= {name: _lines(given[name]) for name in ("address", "note") if name in given}
    changes = {field: value or None if isinstance(value, str) else value for field, value in given.items()}
    known = client.get("/orders/invoices/settings")
    if changes:
        kept = {field: known[field] for field in (*Settings.__struct_encode_fields__, "revision")}
        known = client.put("/orders/invoices/settings", {**kept, **changes})
    record(known, as_json=json)


def _lines(text: str) -> str:
    return text.replace(r"\n", "\n")
