"""`cludale concerts`: put concerts on, and find them."""

import re
from typing import Annotated, Any

import typer

from cludale.kernel.currencies import minor_digits
from cludale_operations.cli.client import Client, Json, Url, segment
from cludale_operations.cli.screen import record, say, table

app = typer.Typer(no_args_is_help=True, help="Put concerts on, and find them.")

_PRICE = re.compile(r"^(\d+)(?:\.(\d+))? ?([A-Za-z]{3})$", re.ASCII)


def _price(text: str) -> dict[str, Any]:
    match = _PRICE.match(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no price; write 45.00EUR")
    whole, part, currency = match[1], match[2] or "", match[3].upper()
    digits = minor_digits(currency)
    if part and len(part) != digits:
        raise typer.BadParameter(f"{text!r}: {currency} has {digits or 'no'} digits after the point")
    return {"amount": int(whole + part.ljust(digits, "0")), "currency": currency}


def _section(text: str) -> dict[str, Any]:
    parts = text.split(":")
    if len(parts) not in (3, 4) or not parts[-2].isdecimal():
        raise typer.BadParameter(f"{text!r} is no section; write floor:400:65.00EUR or floor:Floor:400:65.00EUR")
    name = {"name": parts[1]} if len(parts) == 4 else {}
    return {"id": parts[0], **name, "totalSeats": int(parts[-2]), "price": _price(parts[-1])}


@app.command()
def add(
    artist: Annotated[str, typer.Argument(help="Who plays.")],
    date: Annotated[str, typer.Argument(help="When: 2027-06-05, or 2027-06-05T19:30:00+02:00.")],
    *,
    seats: Annotated[int | None, typer.Option(min=1, help="How many seats, where there are no sections.")] = None,
    price: Annotated[
        str | None, typer.Option(help="Of one seat: 45.00EUR. Without it, seats are free of charge.")
    ] = None,
    section: Annotated[
        list[str] | None, typer.Option(help="A section, instead: floor:400:65.00EUR. Give one for each.")
    ] = None,
    venue: Annotated[str | None, typer.Option(help="Where it takes place.")] = None,
    id: Annotated[str | None, typer.Option(help="The concert's id; without it one is made.")] = None,
    on_sale_at: Annotated[str | None, typer.Option(help="When the on-sale begins: 2027-01-10T09:00:00Z.")] = None,
    ends_at: Annotated[
        str | None, typer.Option(help="When it is over, if it goes on: its last day, or 2027-06-07T02:00:00+02:00.")
    ] = None,
    cancel_until: Annotated[
        str | None, typer.Option(help="From when on buyers can't cancel, if it is not when it begins.")
    ] = None,
    max_per_order: Annotated[int | None, typer.Option(min=1, help="The most seats in one order.")] = None,
    max_per_buyer: Annotated[
        int | None, typer.Option(min=1, help="The most tickets of one buyer, over all of their orders.")
    ] = None,
    unlisted: Annotated[bool, typer.Option("--unlisted", help="To be found by its id only, not by a search.")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Put a concert on.

    `cludale concerts add "The Paper Lanterns" 2027-06-05 --seats 1000 --price 45.00EUR`
    """
    if not section and seats is None:
        raise typer.BadParameter("give --seats, or a --section for each section")
    with Client(url) as client:
        concert = client.post(
            "/concerts",
            {
                "id": id,
                "artist": artist,
                "date": date,
                "venue": venue,
                "totalSeats": seats,
                "price": None if price is None else _price(price),
                "sections": [_section(each) for each in section] if section else None,
                "onSaleAt": on_sale_at,
                "endsAt": ends_at,
                "cancelUntil": cancel_until,
                "maxPerOrder": max_per_order,
                "maxPerBuyer": max_per_buyer,
                "listed": False if unlisted else None,
            },
        )
    record(concert, as_json=json)


@app.command()
def show(id: Annotated[str, typer.Argument(help="The concert's id.")], *, url: Url = None, json: Json = False) -> None:
    """Show a concert: its sections, its prices, how many seats are left."""
    with Client(url) as client:
        record(client.get(f"/concerts/{segment(id)}"), as_json=json)


@app.command("list")
def list_concerts(
    *,
    artist: Annotated[str | None, typer.Option(help="Text within the artist's name.")] = None,
    venue: Annotated[str | None, typer.Option(help="Text within the venue's name.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="The first date.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="The last date.")] = None,
    sort: Annotated[str, typer.Option(help="date, -date or artist.")] = "date",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    url: Url = None,
    json: Json = False,
) -> None:
    """List concerts and how many seats are left."""
    wanted = {"artist": artist, "venue": venue, "from": since, "to": until, "sort": sort}
    with Client(url) as client:
        concerts = list(client.items("/concerts", wanted, limit=limit))
    counts = {"availableSeats": "left", "heldSeats": "held", "soldSeats": "sold", "totalSeats": "of"}
    table(
        concerts,
        columns=("id", "artist", "date", "venue", *counts, "priceFrom"),
        titles={**counts, "priceFrom": "from"},
        wide=("artist", "venue"),
        as_json=json,
    )
    if not concerts and not json:
        say("Put one on with `cludale concerts add`.")
