"""`cludale concerts`: put concerts on, find them, change them, call them off."""

import json as jsons
import re
import time
from base64 import b64decode
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cludale.kernel import dates
from cludale.kernel.currencies import minor_digits
from cludale.services.concerts.seating import pretix
from cludale_operations.cli import moves, seatplan
from cludale_operations.cli.client import OWN, Client, Json, Server, segment
from cludale_operations.cli.options import filling
from cludale_operations.cli.screen import note, print_json, record, say, table

app = typer.Typer(no_args_is_help=True, help="Put concerts on, find them, change them, call them off.")

Id = Annotated[str, typer.Argument(help="The concert's id.")]
DoorsAt = Annotated[str | None, typer.Option(help="When the doors open.")]
EndsAt = Annotated[
    str | None, typer.Option(help="When it is over, if it goes on: its last day, or 2027-06-07T02:00:00+02:00.")
]
_NOTHING = "none"
_LOOK_SECONDS = 0.5
_PRICE = re.compile(r"^(\d+)(?:\.(\d+))? ?([A-Za-z]{3})$", re.ASCII)


class Details(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What `add` and `change` may say of a concert, as the API has it."""

    title: Annotated[str | None, typer.Option(help="What it is called, if not by its artist.")] = None
    venue: Annotated[str | None, typer.Option(help="Where it takes place.")] = None
    place: Annotated[str | None, typer.Option(help="The town or address of its venue.")] = None
    zone: Annotated[
        str | None, typer.Option(help="Its time zone, Europe/Berlin: then times may be written as they are there.")
    ] = None
    doors_at: DoorsAt = None
    ends_at: EndsAt = None
    on_sale_at: Annotated[str | None, typer.Option(help="When the on-sale begins: 2027-01-10T09:00:00Z.")] = None
    off_sale_at: Annotated[str | None, typer.Option(help="From when on nothing is sold.")] = None
    cancel_until: Annotated[
        str | None, typer.Option(help="From when on buyers can't cancel, if it is not when it begins.")
    ] = None
    max_per_order: Annotated[int | None, typer.Option(min=1, help="The most seats in one order.")] = None
    min_per_order: Annotated[int | None, typer.Option(min=1, help="The fewest seats in one order.")] = None
    offer_minutes: Annotated[
        int | None,
        typer.Option(min=1, max=10_080, help="How long seats are held for who waited for them, in minutes."),
    ] = None
    description: Annotated[str | None, typer.Option(help="What is told of it.")] = None
    picture: Annotated[str | None, typer.Option(help="An https URL.")] = None
    pricing: Annotated[
        str | None,
        typer.Option(
            help="A file with categories, prices, fees and tax, as JSON: the `pricing` of the API. `none`: no list."
        ),
    ] = None
    seat_plan: Annotated[
        Path | None,
        typer.Option(
            help="A seating plan, JSON or CSV, for sections like stalls:@Stalls:65.00EUR. "
            "In a change it is the whole plan anew: seats that somebody has stay."
        ),
    ] = None

    def body(self) -> dict[str, Any]:
        """What is said, with the files read."""
        said: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        if self.pricing is not None:
            said["pricing"] = None if self.pricing == _NOTHING else _json(Path(self.pricing))
        if self.seat_plan is not None:
            said["seatPlan"] = _seat_plan(self.seat_plan)
        return said


def _json(path: Path) -> Any:
    try:
        return jsons.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{str(path)!r} can't be read as JSON: {error}") from error


def counts(text: str) -> list[dict[str, Any]]:
    """`adult=2,child=1` as the API has it."""
    found = []
    for each in text.split(","):
        category, _, count = each.strip().partition("=")
        if not category or not re.fullmatch(r"\d{1,7}", count, re.ASCII):
            raise typer.BadParameter(f"{text!r}: write adult=2,child=1")
        found.append({"category": category, "quantity": int(count)})
    return found


def price_of(text: str) -> dict[str, Any]:
    """`45.00EUR` as the API has it."""
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
    is_numbered = len(parts) > 2 and parts[-2].startswith("@")
    if len(parts) not in (3, 4) or not (is_numbered or parts[-2].isdecimal()):
        raise typer.BadParameter(
            f"{text!r} is no section; write floor:400:65.00EUR or floor:Floor:400:65.00EUR, and "
            "stalls:@Stalls:65.00EUR for the zone Stalls of a seating plan"
        )
    name = {"name": parts[1]} if len(parts) == 4 else {}
    if is_numbered:
        return {"id": parts[0], **name, "zone": parts[-2][1:], "price": price_of(parts[-1])}
    return {"id": parts[0], **name, "totalSeats": int(parts[-2]), "price": price_of(parts[-1])}


def _seat_plan(path: Path) -> Any:
    """The plan in the file, as the API takes it; the server checks it."""
    try:
        return path.read_text(encoding="utf-8-sig") if path.suffix.lower() == ".csv" else _json(path)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path} can't be read: {error}") from error


@app.command()
@filling(Details)
def add(
    artist: Annotated[str, typer.Argument(help="Who plays.")],
    date: Annotated[str, typer.Argument(help="When: 2027-06-05, or 2027-06-05T19:30:00+02:00.")],
    *,
    id: Annotated[str | None, typer.Option(help="The concert's id; without it one is made.")] = None,
    seats: Annotated[int | None, typer.Option(min=1, help="How many seats, where there are no sections.")] = None,
    price: Annotated[
        str | None, typer.Option(help="Of one seat: 45.00EUR. Without it, seats are free of charge.")
    ] = None,
    section: Annotated[
        list[str] | None, typer.Option(help="A section, instead: floor:400:65.00EUR. Give one for each.")
    ] = None,
    max_per_buyer: Annotated[
        int | None, typer.Option(min=1, help="The most tickets of one buyer, over all of their orders.")
    ] = None,
    unlisted: Annotated[bool, typer.Option("--unlisted", help="To be found by its id only, not by a search.")] = False,
    draft: Annotated[bool, typer.Option("--draft", help="To be seen by its organizer only, and not on sale.")] = False,
    options: Details,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Put a concert on.

    `cludale concerts add "The Paper Lanterns" 2027-06-05 --seats 1000 --price 45.00EUR`
    """
    if not section and seats is None:
        raise typer.BadParameter("give --seats, or a --section for each section")
    own = {
        "id": id,
        "artist": artist,
        "date": date,
        "totalSeats": seats,
        "price": None if price is None else price_of(price),
        "sections": [_section(each) for each in section] if section else None,
        "maxPerBuyer": max_per_buyer,
        "status": "draft" if draft else None,
        "listed": False if unlisted else None,
    }
    record(client.post("/concerts", {**own, **options.body()}), as_json=json)


@app.command()
@filling(Details)
def change(
    id: Id,
    *,
    artist: Annotated[str | None, typer.Option(help="Who plays.")] = None,
    date: Annotated[str | None, typer.Option(help="When: 2027-06-05T19:30, where it has a zone.")] = None,
    status: Annotated[str | None, typer.Option(help="listed or unlisted.")] = None,
    seats: Annotated[
        list[str] | None,
        typer.Option(help="Seats of a section: floor=400, floor=+20 or floor=-20. Never fewer than sold and held."),
    ] = None,
    price: Annotated[
        list[str] | None, typer.Option(help="The price of a section for those who come later: floor=45.00EUR.")
    ] = None,
    options: Details,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Change a concert. What is not named stays; `none` takes away what it need not have.

    `cludale concerts change concert-1 --seats floor=+20 --price floor=49.00EUR`
    """
    own = {"artist": artist, "date": date, "status": status}
    said = {name: value for name, value in own.items() if value is not None} | options.body()
    body: dict[str, Any] = {name: None if value == _NOTHING else value for name, value in said.items()}
    concert, tag = client.tagged(f"/concerts/{segment(id)}")
    sections = _changed_sections(concert, seats or [], price or [])
    if sections:
        body["sections"] = sections
    if not body:
        raise typer.BadParameter("say what is to change")
    record(client.patch(f"/concerts/{segment(id)}", body, tag=tag), as_json=json)


def _changed_sections(concert: dict[str, Any], seats: list[str], prices: list[str]) -> list[dict[str, Any]]:
    known = {section["id"]: section for section in concert["sections"]}
    changed: dict[str, dict[str, Any]] = {}
    for text in seats:
        section, _, count = text.partition("=")
        if not re.fullmatch(r"[+-]?\d{1,7}", count, re.ASCII):
            raise typer.BadParameter(f"{text!r}: write floor=400, floor=+20 or floor=-20")
        if section not in known:
            raise typer.BadParameter(f"there is no section {section!r}; there are {', '.join(known)}")
        before = known[section]["totalSeats"] if count[0] in "+-" else 0
        changed.setdefault(section, {"id": section})["totalSeats"] = before + int(count)
    for text in prices:
        section, _, amount = text.partition("=")
        changed.setdefault(section, {"id": section})["price"] = price_of(amount)
    return list(changed.values())


@app.command("seat-plan")
def seat_plan_of(
    id: Id,
    to: Annotated[Path, typer.Argument(help="The new file: `.csv` or `.json`.")],
    *,
    client: Server = OWN,
) -> None:
    """Write a concert's seating plan to a file, to be changed there: `cludale concerts change ID --seat-plan FILE`."""
    plan = pretix.read(jsons.dumps(client.get(f"/concerts/{segment(id)}/seats/plan")).encode())
    seatplan.keep(to, plan)
    say(f"{to} is written")


@app.command()
def quote(
    id: Id,
    *,
    tickets: Annotated[str | None, typer.Option(help="How many of which category: adult=2,child=1.")] = None,
    quantity: Annotated[int | None, typer.Option(min=1, help="How many, where there are no categories.")] = None,
    section: Annotated[str | None, typer.Option(help="Where; without it, where such an order gets seats.")] = None,
    code: Annotated[str | None, typer.Option(help="A discount code.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Show what an order costs now, with discount, fees and taxes. Nothing is held."""
    if tickets is None and quantity is None:
        raise typer.BadParameter("give --tickets or --quantity")
    body: dict[str, Any] = {"section": section, "code": code, "quantity": quantity}
    if tickets is not None:
        body["tickets"] = counts(tickets)
    record(client.post(f"/concerts/{segment(id)}/quote", body), as_json=json)


@app.command()
def postpone(
    id: Id,
    *,
    reason: Annotated[str, typer.Option(help="What its buyers are told.")],
    date: Annotated[str | None, typer.Option(help="When it is to be now; without it, until further notice.")] = None,
    doors_at: DoorsAt = None,
    ends_at: EndsAt = None,
    cancel_until: Annotated[
        str | None, typer.Option(help="Until when buyers may cancel; without it, until the new date.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until all buyers are told.")] = True,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Move a concert: its tickets stay valid, and each buyer is told once."""
    body = {"reason": reason, "date": date, "doorsAt": doors_at, "endsAt": ends_at, "cancelUntil": cancel_until}
    concert = client.post(f"/concerts/{segment(id)}/postpone", body)
    _follow(client, id, wait=wait, as_json=json, otherwise=concert)


@app.command()
def cancel(
    id: Id,
    *,
    reason: Annotated[str, typer.Option(help="What its buyers are told.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until all money is back.")] = True,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Call a concert off: nothing is sold any more, all money goes back, and each buyer is told once.

    It goes on though this command be ended; called again, it shows how far it is.
    """
    concert = client.post(f"/concerts/{segment(id)}/cancel", {"reason": reason})
    _follow(client, id, wait=wait, as_json=json, otherwise=concert)


@app.command()
def cancellation(id: Id, *, client: Server = OWN, json: Json = False) -> None:
    """Show how far a concert that is called off, or was moved, has come with its orders."""
    record(client.get(f"/concerts/{segment(id)}/cancellation"), as_json=json)


_CHANGES = (
    "ConcertScheduled", "ConcertChanged", "ConcertPostponed", "ConcertCancelled", "SeatsAdded", "SeatsTaken",
    "PriceChanged", "CodeCreated", "CodeChanged", "SeatsHeldBack", "SeatsLetGo", "SeatsBlocked", "SeatsUnblocked",
    "SeatPlanChanged",
)  # fmt: skip


@app.command()
def history(id: Id, *, client: Server = OWN, json: Json = False) -> None:
    """List what became of a concert: when, by which key, and what."""
    found = [
        entry
        for kind in _CHANGES
        for entry in client.items("/audit/events", {"concertId": id, "type": kind}, limit=100_000)
    ]
    found.sort(key=lambda entry: int(entry["sequence"]))
    if json:
        print_json(found)
        return
    rows = [
        {
            "when": entry["timestamp"],
            "what": entry["eventType"],
            "by": _event_data(entry).pop("changedBy", ""),
            "how": _how(entry),
        }
        for entry in found
    ]
    table(rows, columns=("when", "what", "by", "how"), wide=("how",), as_json=False)


def _event_data(entry: dict[str, Any]) -> dict[str, Any]:
    return dict(entry["payload"].get("data", entry["payload"]))


def _how(entry: dict[str, Any]) -> dict[str, Any]:
    said = _event_data(entry)
    for name in ("concertId", "changedBy", "revision", "change"):
        said.pop(name, None)
    if entry["eventType"] == "SeatPlanChanged":  # places are packed: two bytes each
        said |= {name: len(b64decode(said.get(name, ""))) // 2 for name in ("back", "gone")}
        said["plan"] = said["plan"]["digest"]
    return {**said.pop("fields", {}), **said}


def _follow(client: Client, id: str, *, wait: bool, as_json: bool, otherwise: Any) -> None:
    """Show how far it is until it is through; the state as it is then."""
    if not wait:
        record(otherwise, as_json=as_json)
        return
    path = f"/concerts/{segment(id)}/cancellation"
    progress: Any = None
    with Progress(
        TextColumn("orders"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(), console=Console(stderr=True), transient=as_json,
    ) as bar:  # fmt: skip
        task = bar.add_task("orders", total=None, said="")
        while progress is None or progress["status"] != "Done":
            time.sleep(_LOOK_SECONDS)
            progress = client.get_if_there(path)
            if progress is not None:
                said = f"{progress['left']} left, {progress['failed']} failed"
                bar.update(task, total=progress["total"], completed=progress["done"], said=said)
    record(progress, as_json=as_json)


_ON_THE_CLOCKS = {"date": "--date", "doorsAt": "--doors-at", "endsAt": "--ends-at"}


@app.command()
def show(id: Id, *, client: Server = OWN, json: Json = False) -> None:
    """Show a concert: its sections, its prices, how many seats are left."""
    concert = client.get(f"/concerts/{segment(id)}")
    record(concert, as_json=json)
    changed = [
        name for name in _ON_THE_CLOCKS if concert[name] and dates.by_todays_rules(concert[name], concert["zone"])
    ]
    if changed:
        said = " ".join(f"{_ON_THE_CLOCKS[name]} {concert[name][:19]}" for name in changed)
        note(
            f"The clock rules of {concert['zone']} have changed since this was written: {concert[changed[0]]} is "
            f"{dates.by_todays_rules(concert[changed[0]], concert['zone'])} there now. If the time on the clocks is "
            f"meant: cludale concerts change {id} {said}"
        )


@app.command("list")
def list_concerts(
    *,
    artist: Annotated[str | None, typer.Option(help="Text within the artist's name.")] = None,
    venue: Annotated[str | None, typer.Option(help="Text within the venue's name.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="The first date.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="The last date.")] = None,
    sort: Annotated[str, typer.Option(help="date, -date or artist.")] = "date",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List concerts and how many seats are left."""
    wanted = {"artist": artist, "venue": venue, "from": since, "to": until, "sort": sort}
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


Seats = Annotated[list[str], typer.Argument(help="The ids of seats in the seating plan, all of one section.")]
_BLOCKED = ("id", "section", "row", "number", "reason")


@app.command()
def block(
    id: Id,
    seats: Seats,
    *,
    reason: Annotated[str, typer.Option(help="Why, in your own words.")],
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Let nobody have these seats; those that are sold or held are refused by name. Shows all that are blocked."""
    answer = client.post(f"/concerts/{segment(id)}/seats/block", {"seats": seats, "reason": reason})
    table(answer["items"], columns=_BLOCKED, as_json=json)


@app.command()
def unblock(id: Id, seats: Seats, *, client: Server = OWN, json: Json = False) -> None:
    """Sell blocked seats again. Shows those that are blocked still."""
    answer = client.post(f"/concerts/{segment(id)}/seats/unblock", {"seats": seats})
    table(answer["items"], columns=_BLOCKED, as_json=json)


@app.command()
def blocked(id: Id, *, client: Server = OWN, json: Json = False) -> None:
    """List the seats that are blocked, with the reasons."""
    answer = client.get(f"/concerts/{segment(id)}/seats/blocked")
    table(answer["items"], columns=_BLOCKED, as_json=json)


app.command()(moves.move)
app.command()(moves.swap)
