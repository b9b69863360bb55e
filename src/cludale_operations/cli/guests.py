"""`cludale guests`: who is on a concert's guest list."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cludale_operations.cli.client import OWN, Client, Json, Server, segment
from cludale_operations.cli.screen import fail, record, say, table

if TYPE_CHECKING:
    from cludale.pages.seat_names import NoSuchSeats

app = typer.Typer(no_args_is_help=True, help="Put guests on a concert's list, list them, take them off.")

Concert = Annotated[str, typer.Argument(help="The concert's id.")]
MOST_BYTES = 500_000
_COLUMNS = ("id", "name", "tickets", "section", "note", "email", "status")


@app.command()
def add(
    concert: Concert,
    name: Annotated[str, typer.Argument(help="The guest's name.")],
    *,
    tickets: Annotated[int | None, typer.Option(min=1, help="How many. Default: 1, or one for each --seat.")] = None,
    seat: Annotated[
        list[str] | None, typer.Option(help="The id of a numbered seat; give one for each. Default: the best together.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="A note; only organizers see it.")] = None,
    email: Annotated[str | None, typer.Option(help="Where the tickets are sent, if anywhere.")] = None,
    section: Annotated[str | None, typer.Option(help="Where. Default: the cheapest with room.")] = None,
    block: Annotated[str | None, typer.Option(help="Out of this block of seats that are held back.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Put a guest on a concert's list: complimentary tickets in their name."""
    count = tickets or len(seat or ()) or 1
    given: dict[str, object] = {"name": name, "tickets": count, "note": note, "email": email, "section": section}
    given |= {"block": block, "seats": seat or None}
    guest = {field: value for field, value in given.items() if value is not None}
    _shown(client.post("/orders/guests", {"concertId": concert, "guests": [guest]}), as_json=json)


@app.command("import")
def import_guests(
    concert: Concert,
    file: Annotated[
        Path, typer.Argument(help="A CSV file: name, tickets, note, email, section, block, seats.", dir_okay=False)
    ],
    *,
    preview: Annotated[bool, typer.Option("--preview", help="Only say what would become of each.")] = False,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Put all guests of a file on a concert's list.

    Its first line names the columns: `name`, and as many of `tickets`, `note`, `email`, `section`, `block`,
    `seats` as you like. Numbered seats are named by row and number, `C 12-14; D 3`, or by their ids with `;` between.
    All of them are put on, or nobody: it says which lines can't be, and why. Imported again, also after it was cut
    off, it adds only who is not on the list yet.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            fail(f"{file} is larger than {MOST_BYTES:,} bytes: import it in parts")
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} can't be read: {error}")
    body = {"concertId": concert, "csv": _with_ids(client, concert, text), "preview": preview}
    found = client.post("/orders/guests", body)
    if preview and not json:
        table(found["items"], columns=("name", "tickets", "section", "note", "email", "outcome"), as_json=False)
    _shown(found, as_json=json)


def _with_ids(client: Client, concert: str, text: str) -> str:
    """The file with the ids of the seats that are named in it; ends the program with one line if some are none."""
    from cludale.pages.guest_files import has_seats, with_ids

    if not has_seats(text):
        return text
    import msgspec

    from cludale.pages.numbered import Numbered, SeenSeats
    from cludale.pages.shop.halls import Plan

    at, numbered = f"/concerts/{segment(concert)}/seats", None
    if (seen := client.get_if_there(at)) is not None:
        plan = client.get(f"{at}/plan", {"digest": seen["plan"]})
        numbered = Numbered.of(msgspec.convert(seen, SeenSeats), msgspec.convert(plan, Plan))
    file = with_ids(text, numbered)
    if file.faults:
        fail("; ".join(f"csv line {line}: seats: {_why(no)}" for line, no in file.faults[:20]))
    return file.text


def _why(no: "NoSuchSeats") -> str:
    from cludale.pages.seat_names import SeatNameFault

    said = {
        SeatNameFault.NONE: "names no seats",
        SeatNameFault.NO_SEAT: f"there is no seat {no.place}",
        SeatNameFault.NO_ROW: f"{no.place!r} begins with no row",
        SeatNameFault.UNCLEAR: f"{no.place!r} can be seats of two rows: write a semicolon before a new row",
        SeatNameFault.NO_NUMBERS: "seats have no numbers there",
    }
    return said[no.fault]


def _shown(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        record(found, as_json=True)
    else:
        say(f"{found['added']} added, {found['there']} were there")


@app.command("list")
def list_guests(
    concert: Concert,
    *,
    search: Annotated[str | None, typer.Option(help="Only with this in name, note or e-mail address.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many at most.")] = 1_000,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List a concert's guests."""
    found = list(client.items("/orders/guests", {"concertId": concert, "search": search}, limit=limit))
    table(found, columns=_COLUMNS, as_json=json)


@app.command()
def remove(
    id: Annotated[str, typer.Argument(help="The guest's id, as the list has it.")],
    *,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Take a guest off the list: their tickets are void."""
    record(client.post(f"/orders/guests/{segment(id)}/remove", None), as_json=json)
