"""`cludale audit`: the log of all events. Questions go to a running server; verify and replay read the data folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from cludale.services import NAMES
from cludale.wiring.settings import Settings
from cludale_operations.cli.client import OWN, Client, Json, Server, segment
from cludale_operations.cli.screen import NO, as_moment, note, print_json, record, say, table

if TYPE_CHECKING:
    from cludale_operations.cli.offline import ReplayOutcome

app = typer.Typer(
    no_args_is_help=True,
    help="Every event, chained by hashes: look, verify, rebuild, deliver again.",
)

_EVENTS = ("sequence", "timestamp", "eventType", "subject", "what")
Time = Annotated[str | None, typer.Option(help="A time: 2027-06-05T19:30:00Z.")]


@app.command()
def events(
    *,
    type: Annotated[str | None, typer.Option(help="Only these: OrderPaid, SeatsReserved, …")] = None,
    order: Annotated[str | None, typer.Option(help="Only of this order.")] = None,
    concert: Annotated[str | None, typer.Option(help="Only of this concert.")] = None,
    since: Time = None,
    until: Time = None,
    latest: Annotated[bool, typer.Option("--latest", help="The latest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many at most.")] = 50,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List events in the order in which they were recorded."""
    wanted = {"type": type, "orderId": order, "concertId": concert, "since": since, "until": until}
    wanted["sort"] = "-time" if latest else None
    found = client.items("/audit/events", wanted, limit=limit)
    if json:  # one a line, as they come: there may be millions
        for each in found:
            say(msgspec.json.encode(each).decode())
        return
    table([_brief(each) for each in found], columns=_EVENTS, wide=("what",), as_json=False)


@app.command()
def order(
    id: Annotated[str, typer.Argument(help="The order's id.")],
    *,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Tell an order's story: causes before effects."""
    story = client.get(f"/audit/orders/{segment(id)}")["items"]
    if json:
        print_json(story)
    else:
        table(
            [_brief(each) for each in story],
            columns=("timestamp", "source", "eventType", "what"),
            wide=("what",),
            as_json=False,
        )


@app.command()
def sale(
    concert: Annotated[str, typer.Argument(help="The concert's id.")],
    *,
    at: Annotated[str | None, typer.Option(help="The moment: 2027-06-05T19:30:00Z; without it, now.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Show a concert's sale as it stood: seats, orders and money, as the log tells them."""
    # a large sale is read in parts, each of two seconds
    while not (found := client.get(f"/audit/concerts/{segment(concert)}", {"at": at} if at else None))["complete"]:
        note(f"{found['events']} events read …")
    if json:
        print_json(found)
        return
    shown = {name: found[name] for name in ("at", "orders", "taken", "refunded", "events")}
    record(shown, as_json=False)
    table(found["sections"], columns=("id", "name", "totalSeats", "soldSeats", "heldSeats"), as_json=False)


@app.command()
def verify(
    *,
    data: Annotated[Path | None, typer.Option(help="The data folder. Without it, what the settings name.")] = None,
    url: Annotated[str | None, typer.Option(help="Ask this server instead of reading its store.")] = None,
    exported: Annotated[Path | None, typer.Option(help="Read the files of an export instead, in this folder.")] = None,
    head: Annotated[str | None, typer.Option(help="A head noted earlier: is it in the chain, and where?")] = None,
    json: Json = False,
) -> None:
    """Check the chain of hashes, beside a running server or without one, or in files that were exported.

    Exit status 1 if it is broken, or has not the head that was noted.
    """
    if url is not None:
        with Client(url) as client:
            verdict: dict[str, Any] = client.get("/audit/verify", {"head": head} if head else None)
    elif exported is not None:
        from cludale_operations.cli import offline

        verdict = offline.verify_export(exported, head=head)
    else:
        from cludale_operations.cli import offline

        with _progress() as progress:
            task = progress.add_task("verifying", total=None)
            verdict = offline.verify(
                _cosmos(data) or _place(data),
                lambda done, of: progress.update(task, completed=done, total=of),
                head=head,
            )
    if json:
        print_json(verdict)
    else:
        _tell(verdict)
    if not verdict["ok"]:
        raise typer.Exit(NO)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where the files go, or those of an earlier export are.")],
    *,
    data: Annotated[Path | None, typer.Option(help="The data folder. Without it, what the settings name.")] = None,
    json: Json = False,
) -> None:
    """Write what the log has more than the folder, as new files: to be kept in storage that nobody can change.

    The last file is enough to go on from. Read them again with `verify --exported`. Exit status 1 if the log is broken.
    """
    from cludale_operations.cli import offline

    outcome = offline.export(_cosmos(data) or _place(data), folder)
    if json:
        print_json(outcome._asdict())
    else:
        say(f"{outcome.files} new files. The export goes to entry {outcome.events}, head {outcome.head}")


@app.command()
def replay(
    services: Annotated[
        list[str] | None,
        typer.Argument(help=f"{', '.join(each for each in NAMES if each != 'audit')}; without any, all of them."),
    ] = None,
    *,
    until: Annotated[
        str | None, typer.Option(help="Rebuild the state as it was at this time, without comparing.")
    ] = None,
    show: Annotated[
        list[str] | None, typer.Option(help="Show what is rebuilt of this order, concert, payment … by its id.")
    ] = None,
    into: Annotated[Path | None, typer.Option(help="Keep what is rebuilt in this new file.")] = None,
    data: Annotated[Path | None, typer.Option(help="The data folder. Without it, what the settings name.")] = None,
    json: Json = False,
) -> None:
    """Rebuild state from the log into an empty store, and compare it with the live one.

    Nothing is published, paid or sent. Exit status 1 if there is a difference.
    """
    from cludale_operations.cli import offline

    moment = None if until is None else as_moment(until)
    with _progress() as progress:
        task = progress.add_task("folding events", total=None)
        outcome = offline.replay(
            _place(data),
            services or None,
            until=moment,
            into=into,
            show=show or (),
            progress=lambda done, of: progress.update(task, completed=done, total=of),
        )
    if json:
        print_json(
            {
                "events": outcome.events,
                "rebuilt": outcome.rebuilt,
                "compared": outcome.compared,
                "differences": [each._asdict() for each in outcome.differences],
                "shown": [each._asdict() for each in outcome.shown],
            }
        )
    else:
        _show_rebuilt(outcome, show or ())
        if not outcome.compared:
            hint = "" if into or show else " Look at one with --show ID, or keep it with --into FILE."
            say(f"\nThat is how it stood at {until}.{hint}")
    if outcome.differences:
        raise typer.Exit(NO)


def _show_rebuilt(outcome: "ReplayOutcome", ids: Sequence[str]) -> None:
    """What was rebuilt, with the records of these ids, and what of it differs from the live store."""
    say(f"{outcome.events} events folded.")
    rows = [{"kind": kind, "records": count} for kind, count in outcome.rebuilt.items()]
    table(rows, columns=("kind", "records"), as_json=False)
    for each in outcome.shown:
        say(f"\n{each.service}/{each.kind} {each.id}")
        record(msgspec.to_builtins(each.fields), as_json=False)
    if ids and not outcome.shown:
        say(f"\nThere was no {' and no '.join(ids)}.")
    if outcome.differences:
        say("\nDIFFERENT from the live store:")
        rows = [each._asdict() for each in outcome.differences]
        columns = ("service", "kind", "id", "field", "live", "rebuilt")
        table(rows, columns=columns, wide=("live", "rebuilt"), as_json=False)
    elif outcome.compared:
        say("\nThe same as the live store.")


@app.command()
def redeliver(
    event_ids: Annotated[list[str], typer.Argument(help="Ids of events.")],
    *,
    to: Annotated[list[str] | None, typer.Option(help="To this service; without it, to all that hear them.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Deliver events again. Services know what they have handled, so nothing is applied twice."""
    answer = client.post("/audit/replay", {"eventIds": event_ids, "to": to or None})
    table(answer["items"], columns=("eventType", "eventId", "service", "answer"), as_json=json)


def _tell(verdict: dict[str, Any]) -> None:
    """A verdict in words."""
    broken, noted = verdict["broken"], verdict.get("noted")
    if broken is None:
        say(f"The chain holds: {verdict['events']} events, head {verdict['head']}")
    else:
        say(f"BROKEN at entry {broken['sequence']}: {broken['what']}")
    if verdict.get("late"):
        say(f"{verdict['late']} entries are marked late: their causes had not come in time.")
    if verdict.get("waiting"):
        say(f"{verdict['waiting']} events wait outside the log for their causes.")
    if noted is not None and noted["sequence"] is None:
        say(f"NOT IN THE CHAIN: no entry has the hash {noted['head']}. This is another log, or it was changed.")
    elif noted is not None:
        say(f"The head that was noted is in the chain: entry {noted['sequence']}.")


_TOLD = frozenset({"orderId", "concertId", "reservationId", "paymentId", "notificationId", "sections"})
"""Fields of payloads that say no more than the subject does, or too much for a table; --json has them."""


def _brief(event: dict[str, Any]) -> dict[str, Any]:
    """An event for a table: what happened, without the ids that are all alike."""
    what = {name: value for name, value in event["payload"].items() if name not in _TOLD}
    return {**event, "what": what}


def _cosmos(data: Path | None) -> Settings | None:
    """The settings, if no folder was named and they name a Cosmos DB account."""
    settings = Settings.from_env(os.environ)
    return settings if data is None and settings.cosmos_endpoint is not None else None


def _place(data: Path | None) -> Path | str:
    """The folder that was named, else the database in the settings, else the folder there."""
    if data is not None:
        return data
    settings = Settings.from_env(os.environ)
    return settings.database_url or settings.data_dir


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
