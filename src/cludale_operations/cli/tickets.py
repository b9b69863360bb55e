"""`cludale tickets`: look at tickets, print them, give them on; and the keys that their codes are signed with."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from cludale.adapters.system.keys import UnusableKey
from cludale.adapters.system.ticket_keys import replace_file, rotated, written
from cludale.kernel.times import rfc3339
from cludale.ports.ticket_keys import TicketKey
from cludale.services.tickets.codes import key_of
from cludale.services.tickets.events import UndoReason
from cludale.wiring.keys import ticket_keys
from cludale.wiring.settings import Settings
from cludale_operations.cli.client import OWN, Json, Server, segment
from cludale_operations.cli.offline_door import conflict
from cludale_operations.cli.screen import fail, note, record, say, table

app = typer.Typer(no_args_is_help=True, help="Look at tickets, print them, give them on; the keys that sign them.")
keys = typer.Typer(no_args_is_help=True, help="The keys that codes of tickets are signed with.")
app.add_typer(keys, name="keys")

Order = Annotated[str, typer.Argument(help="The order's id.")]
Ticket = Annotated[str, typer.Argument(help="The ticket's id.")]


@app.command("list")
def list_tickets(order: Order, *, client: Server = OWN, json: Json = False) -> None:
    """List an order's tickets."""
    found = client.get("/tickets", {"order": order})["items"]
    table(
        found,
        columns=("id", "number", "quantity", "section", "status", "transferred", "holder", "admittedAt"),
        as_json=json,
    )


@app.command("print")
def print_tickets(
    id: Annotated[str, typer.Argument(help="A ticket's id, or an order's for all of its tickets.")],
    to: Annotated[Path, typer.Option("--to", help="The file to write.", dir_okay=False)] = Path("tickets.pdf"),
    *,
    client: Server = OWN,
) -> None:
    """Write tickets to a PDF file."""
    to.write_bytes(client.download(f"/tickets/{segment(id)}.pdf"))
    say(f"written to {to}")


@app.command()
def transfer(
    id: Ticket,
    *,
    holder: Annotated[str | None, typer.Option(help="The new holder's name.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Give a ticket to somebody else: a new code, and the one before is void. Shows the new holder's token, once."""
    record(client.post(f"/tickets/{segment(id)}/transfer", {"holder": holder}), as_json=json)


@app.command()
def undo(
    id: Ticket,
    reason: Annotated[UndoReason, typer.Option(help="Why it did not count.")] = UndoReason.MISTAKE,
    *,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Undo a ticket's last admission: its code lets in again."""
    record(client.post(f"/tickets/{segment(id)}/undo", {"reason": reason.value}), as_json=json)


@app.command()
def counts(
    concert: Annotated[str, typer.Argument(help="The concert's id.")], *, client: Server = OWN, json: Json = False
) -> None:
    """Count who came and left, by door and minute."""
    found = client.get("/tickets/admissions", {"concertId": concert})
    if json:
        record(found, as_json=True)
        return
    table(found["minutes"], columns=("minute", "door", "came", "left"), as_json=False)
    say(f"{found['inside']} inside, {found['admitted']} of {found['tickets']} tickets were let in")


@app.command()
def conflicts(
    concert: Annotated[str, typer.Argument(help="The concert's id.")], *, client: Server = OWN, json: Json = False
) -> None:
    """List whom doors without network let in that should not have been: double entries with both places and times."""
    found = client.get("/tickets/admissions/conflicts", {"concertId": concert})["items"]
    if json:
        record(found, as_json=True)
        return
    for each in found:
        say(conflict(each))
    say(f"{len(found)} in all")


@app.command()
def inside(
    concert: Annotated[str, typer.Argument(help="The concert's id.")],
    to: Annotated[Path | None, typer.Option("--to", help="Write them to this CSV file.", dir_okay=False)] = None,
    *,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Say who is inside now, by section: the evacuation list. No names."""
    if to is not None:
        to.write_bytes(client.download(f"/tickets/inside.csv?concertId={segment(concert)}"))
        say(f"written to {to}")
        return
    found = client.get("/tickets/inside", {"concertId": concert})
    if json:
        record(found, as_json=True)
        return
    table(found["items"], columns=("section", "ticketId", "since", "door"), as_json=False)
    for each in found["sections"]:
        say(f"{each['inside']} inside {each['sectionName']}")
    say(f"{found['inside']} inside at {found['at']}")


@keys.command("list")
def list_keys(*, json: Json = False) -> None:
    """List the keys of the data folder, or of CLUDALE_TICKET_KEYS: the one that signs first. Never shows a secret."""
    now = datetime.now(UTC)
    table(
        [
            {
                "id": key.id,
                "stands": "signs" if key.ends_at is None else "good until its end" if key.is_good(now) else "ended",
                "endsAt": None if key.ends_at is None else rfc3339(key.ends_at),
            }
            for key in _keys(_settings())
        ],
        columns=("id", "stands", "endsAt"),
        as_json=json,
    )


@keys.command("rotate")
def rotate_keys(
    *,
    good_for_days: Annotated[
        int,
        typer.Option(
            min=0,
            max=3_660,
            help="How long tickets signed with the former key stay good; 0 if it has leaked: they are void at once, "
            "and are signed anew when they are next shown.",
        ),
    ] = 800,
) -> None:
    """Make a new key that signs from now on.

    In a data folder a running server takes it up within a second. Where CLUDALE_TICKET_KEYS is set, the new value is
    printed, to be put in its place: a secret.
    """
    settings, now = _settings(), datetime.now(UTC).replace(microsecond=0)
    after = rotated(_keys(settings), former_until=now + timedelta(days=good_for_days), now=now, key_of=key_of)
    if settings.ticket_keys is not None:
        note("CLUDALE_TICKET_KEYS has to be this from now on, in every process of tickets:")
        say(written(after))
        return
    try:
        replace_file(settings.data_dir / "tickets.key", after)
    except OSError as error:
        fail(f"the keys can't be written: {error}")
    say(f"{after[0].id} signs from now on; {after[1].id} is good until {rfc3339(after[1].ends_at or now)}")


def _settings() -> Settings:
    return Settings.from_env(os.environ)


def _keys(settings: Settings) -> Sequence[TicketKey]:
    try:
        return ticket_keys(settings).all()
    except (UnusableKey, OSError) as error:
        fail(str(error))
