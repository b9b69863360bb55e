"""`cludale reports`: what was sold, and what it brought."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from cludale_operations.cli.client import OWN, Client, Json, Parameters, Server, segment
from cludale_operations.cli.options import filling
from cludale_operations.cli.screen import fail, note, print_json, record, say, table

app = typer.Typer(no_args_is_help=True, help="Add up what was sold, and have it sent by mail.")

To = Annotated[Path, typer.Argument(help="The file to write: it ends in .csv or .xlsx.", dir_okay=False)]
Concert = Annotated[str | None, typer.Option(help="Only of this concert.")]
File = Annotated[Path | None, typer.Option("--to", help="Write it to this file, .csv or .xlsx.", dir_okay=False)]

PROGRESS_SECONDS = 1.0


class Which(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"concert": "concertId"}):
    """Which orders, as the API is asked."""

    concert: Concert = None
    section: Annotated[str | None, typer.Option(help="Only of this section.")] = None
    since: Annotated[
        str | None, typer.Option(help="Placed then or later: 2027-06-05T19:30:00Z, or a day where the concert is.")
    ] = None
    until: Annotated[str | None, typer.Option(help="Placed before this time or day.")] = None


@app.command()
@filling(Which)
def sales(
    *,
    by: Annotated[
        str, typer.Option(help="By what: concert, day, section, channel, category, code; several with commas.")
    ] = "concert,day",
    options: Which,
    to: File = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Add up orders, tickets and money, by concert, day, section, channel, category or code.

    An order counts on the day on which it was placed, in its concert's time zone, with all that became of it since.
    """
    report = _report("sales", {"by": by, **msgspec.to_builtins(options)}, to, client)
    if report is None:
        return
    if json:
        print_json(report)
        return
    named = ["concertId" if each == "concert" else each for each in by.split(",")]
    _table(report["items"], named)
    if len(report["items"]) > 1:
        say("\nIn all")
        _table(report["totals"], [])


@app.command()
@filling(Which)
def till(
    *,
    options: Which,
    to: File = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Add up what was taken and given back at the box office, by concert, seller, day and method."""
    report = _report("till", msgspec.to_builtins(options), to, client)
    if report is None:
        return
    columns = ("concertId", "seller", "day", "method", "sales", "taken", "givenBack", "net")
    table(report["items"], columns=columns, as_json=json)


def _report(name: str, wanted: Parameters, to: Path | None, client: Client) -> Any:
    """The report; None if it was written to a file instead."""
    if to is None:
        return client.long(f"/orders/reports/{name}", wanted)
    save(client, f"/orders/reports/{name}", {**wanted, "format": format_of(to)}, to)
    return None


def _table(rows: list[dict[str, Any]], named: list[str]) -> None:
    columns = (*named, "orders", "cancelled", "tickets", "ticketsBack", "taken", "refunded", "refundsOpen", "net")
    table(rows, columns=columns, as_json=False)


def format_of(file: Path) -> str:
    """`csv` or `xlsx`, as the name ends; ends the program with one line for anything else."""
    ending = file.suffix.lower().removeprefix(".")
    if ending not in ("csv", "xlsx"):
        fail(f"{str(file)!r} is to end in .csv or .xlsx")
    return ending


def save(client: Client, path: str, parameters: Parameters, to: Path) -> None:
    """Write what a route answers with to a file, which is there once it is whole; says how far it is."""
    part = to.with_name(f".{to.name}.part")
    size, lines, said, began = 0, 0, 0.0, time.monotonic()
    is_text = parameters.get("format") == "csv"
    note("asked for; a workbook comes when its last row is written" if not is_text else "asked for")
    try:
        with part.open("wb") as file:
            for chunk in client.streamed(path, parameters):
                file.write(chunk)
                size += len(chunk)
                lines += chunk.count(b"\r\n")
                if time.monotonic() - said >= PROGRESS_SECONDS:
                    said = time.monotonic()
                    note(_progress(size, lines if is_text else 0, said - began))
        part.replace(to)
    except OSError as error:
        fail(f"{to} can't be written: {error}")
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    say(f"written to {to}: {_progress(size, lines if is_text else 0, time.monotonic() - began)}")


def _progress(size: int, lines: int, seconds: float) -> str:
    rows = f"{max(0, lines - 1):,} rows, " if lines else ""
    return f"{rows}{size / 2**20:,.1f} MiB in {seconds:.0f} s"


class Schedule(msgspec.Struct, frozen=True, kw_only=True, rename={"concert": "concertId"}):
    """What is sent by mail, and when, as the API is told."""

    report: Annotated[str, typer.Option(help="sales or orders.")] = "sales"
    every: Annotated[str, typer.Option(help="daily, weekly or monthly.")] = "daily"
    at: Annotated[str, typer.Option(help="The time on the wall there.")] = "08:00"
    zone: Annotated[str, typer.Option(help="The time zone: Europe/Berlin.")]
    weekday: Annotated[int | None, typer.Option(min=1, max=7, help="Of a weekly one: Monday is 1.")] = None
    day: Annotated[int | None, typer.Option(min=1, max=31, help="Of a monthly one; its last, if it is shorter.")] = None
    covers: Annotated[str, typer.Option(help="period: what came since the one before; or all.")] = "period"
    format: Annotated[str, typer.Option(help="csv or xlsx.")] = "csv"
    concert: Concert = None
    by: Annotated[
        str | None, typer.Option(help="Of sales: concert, day, section, channel, category, code; several with commas.")
    ] = None
    columns: Annotated[str | None, typer.Option(help="Of orders: which columns, separated by commas.")] = None


@app.command()
@filling(Schedule)
def schedule(
    to: Annotated[str, typer.Argument(help="The e-mail address that it goes to.")],
    *,
    options: Schedule,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Have a report sent by mail, each day, week or month. Never with what says who the buyers are."""
    lists = {"by": _listed(options.by), "columns": _listed(options.columns)}
    record(client.post("/orders/reports/schedules", {"to": to, **msgspec.to_builtins(options), **lists}), as_json=json)


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [each.strip() for each in text.split(",")]


@app.command()
def schedules(*, client: Server = OWN, json: Json = False) -> None:
    """List what is sent by mail, to whom, when next, and what went wrong last."""
    found = client.get("/orders/reports/schedules")["items"]
    columns = (
        "id",
        "report",
        "concertId",
        "to",
        "every",
        "at",
        "zone",
        "format",
        "nextAt",
        "sent",
        "sentAt",
        "problem",
    )
    table(found, columns=columns, as_json=json)


@app.command()
def unschedule(
    id: Annotated[str, typer.Argument(help="The schedule's id.")], *, client: Server = OWN, json: Json = False
) -> None:
    """Send a report no more; its links lead nowhere, and its address is erased."""
    record(client.post(f"/orders/reports/schedules/{segment(id)}/end", None), as_json=json)
