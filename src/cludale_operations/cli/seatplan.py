"""`cludale seatplan`: check, convert and draw seating plans, in files of your own. Nothing is asked of a server."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from cludale.services.concerts.seating import pretix, table
from cludale.services.concerts.seating.drawing import svg
from cludale.services.concerts.seating.plans import Plan, UnusablePlan, category_and_flags
from cludale_operations.cli.client import Json
from cludale_operations.cli.screen import NO, fail, note, print_json, say
from cludale_operations.cli.screen import table as print_table

app = typer.Typer(no_args_is_help=True, help="Check, convert and draw seating plans: pretix's JSON, or CSV.")

File = Annotated[Path, typer.Argument(help="The plan: `.csv` (section, row, seat, x, y, category, flags) or `.json`.")]
FAULTS_SHOWN = 20


def read(path: Path) -> Plan:
    """The plan in this file. Ends with what is wrong, if something is."""
    try:
        data = path.read_bytes()
    except OSError as error:
        fail(f"{path} can't be read: {error.strerror}")
    try:
        return table.read(data, name=path.stem) if path.suffix.lower() == ".csv" else pretix.read(data)
    except UnusablePlan as unusable:
        for fault in unusable.faults[:FAULTS_SHOWN]:
            note(str(fault))
        if len(unusable.faults) > FAULTS_SHOWN:
            note(f"and {len(unusable.faults) - FAULTS_SHOWN:,} more")
        fail(f"{path} is no plan that can be used: {len(unusable.faults):,} faults", NO)


@app.command()
def check(file: File, *, json: Json = False) -> None:
    """Look a plan over whole: each fault with its place; a plan without any is counted, zone by zone."""
    plan = read(file)
    zones: list[dict[str, Any]] = []
    for zone in plan.zones:
        seats = [seat for row in zone.rows for seat in row.seats]
        kinds = Counter(str(flag.name).lower() for seat in seats for flag in category_and_flags(seat.category)[1])
        zones.append(
            {
                "zone": zone.name,
                "rows": len(zone.rows),
                "seats": len(seats),
                "wheelchair": kinds["wheelchair"],
                "companion": kinds["companion"],
                "restrictedView": kinds["restricted_view"],
            }
        )
    if json:
        print_json({"name": plan.name, "zones": zones})
        return
    print_table(zones, columns=("zone", "rows", "seats", "wheelchair", "companion", "restrictedView"), as_json=False)
    say(f"{plan.name}: {sum(zone['seats'] for zone in zones):,} seats, nothing wrong")


@app.command()
def convert(file: File, to: Annotated[Path, typer.Argument(help="The new file: `.csv` or `.json`.")]) -> None:
    """Write a plan in the other form. CSV has no areas, colours and names of plans: they are left out."""
    plan = read(file)
    keep(to, plan)
    say(f"{to} is written")


@app.command()
def show(file: File, *, out: Annotated[Path, typer.Option(help="Write the drawing here.")] = Path("plan.svg")) -> None:
    """Draw a plan as SVG, which a browser shows: each seat says what it is when the pointer is on it."""
    _write(out, svg(read(file)).encode())
    say(f"{out} is written; open it in a browser")


def keep(to: Path, plan: Plan) -> None:
    """Write a plan as JSON or, if the file is called so, CSV."""
    _write(to, table.write(plan) if to.suffix.lower() == ".csv" else pretix.write(plan))


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        fail(f"{path} can't be written: {error.strerror}")
