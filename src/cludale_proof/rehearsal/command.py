"""`cludale rehearse`: options to a plan, an outcome to an exit status."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.markup import escape

from cludale.adapters.simulated_payments import METHODS
from cludale.services.concerts.seating import pretix
from cludale.wiring.settings import Settings
from cludale.wiring.variables import UnusableSetting
from cludale_operations.cli import seatplan
from cludale_operations.cli.options import filling
from cludale_operations.own_server import own_trust, own_url
from cludale_proof.rehearsal.apart import Apart, apart
from cludale_proof.rehearsal.hall import made
from cludale_proof.rehearsal.lines import Lines, tell
from cludale_proof.rehearsal.plan import CannotRehearse, Plan, RehearsalOutcome, Reporter, SeatPlan, Silent
from cludale_proof.rehearsal.rehearse import rehearse as hold_rehearsal
from cludale_proof.rehearsal.screen import Screen, show

NOT_ALL_HOLDS = 1
CANNOT = 2
_NUMBERED_PARTY = 4
"""The largest party where seats have numbers, if nothing is said."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is rehearsed, and how it is shown."""

    seats: Annotated[int, typer.Option(min=1, max=1_000_000, help="Seats of the concert that is made for it.")] = 1_000
    buyers: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many want tickets.")] = 5_000
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, help="Buyers a second, at random. Without it the next comes as soon as one is served."),
    ] = None
    connections: Annotated[int, typer.Option(min=1, max=4_096, help="How many are served at once, at most.")] = 64
    concert: Annotated[
        str | None, typer.Option(help="Rehearse with this concert (an id); nobody else should be buying it meanwhile.")
    ] = None
    section: Annotated[str | None, typer.Option(help="The section that all want; without it any will do.")] = None
    most_tickets: Annotated[
        int | None,
        typer.Option(min=1, max=1_000, help="Each wants 1 to so many tickets; default: 1, with numbered seats 4."),
    ] = None
    hall: Annotated[
        int | None,
        typer.Option(min=1, max=50_000, help="Seats with numbers: so many, in a hall that is made for it."),
    ] = None
    seat_plan: Annotated[
        Path | None, typer.Option(help="Seats with numbers: those of this plan, pretix's JSON or CSV.")
    ] = None
    naming: Annotated[
        float, typer.Option(min=0, max=1, help="The share of buyers who name numbered seats; others get the best.")
    ] = 0.3
    payment_method: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(METHODS)}; for a mix give several: card-ok=9."),
    ] = None
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Send the orders without an Idempotency-Key, which each has else.")
    ] = False
    url: Annotated[
        str | None,
        typer.Option(envvar="CLUDALE_URL", help="The server; default: the one in the settings."),
    ] = None
    label: Annotated[str | None, typer.Option(help="The version with this label, at a gateway that has several.")] = (
        None
    )
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds a buyer waits for an answer.")] = 10.0
    settle: Annotated[float, typer.Option(min=1, max=86_400, help="Seconds that orders may take to their end.")] = 120.0
    doors: Annotated[
        int, typer.Option(min=0, max=200, help="Afterwards so many doors let in all who bought; 0: none do.")
    ] = 0
    offline_doors: Annotated[int, typer.Option(min=0, help="Of these so many have no network meanwhile.")] = 0
    shown_again: Annotated[
        float, typer.Option(min=0, max=1, help="The share of the codes that are shown twice at the doors.")
    ] = 0.05
    seed: Annotated[int, typer.Option(help="The random seed: it decides when buyers arrive and what they want.")] = 1
    is_apart: Annotated[
        bool, typer.Option("--apart", help="With a server of its own, whose data folder is removed afterwards.")
    ] = False
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON and nothing else.")] = False
    lines: Annotated[
        bool, typer.Option("--lines", help="Print how it gets on, and at last the outcome, as JSON, one object a line.")
    ] = False

    def plan(self, server: Apart) -> Plan:
        """What is rehearsed at this server. Raises CannotRehearse."""
        numbered = _seat_plan(self.hall, self.seat_plan, self.concert)
        return Plan(
            url=server.url,
            trust=server.trust,
            organizer_key=server.key,
            headers={} if self.label is None else {"x-cludale-label": self.label},
            seats=self.seats if self.hall is None else self.hall,
            seat_plan=numbered,
            naming=self.naming,
            buyers=self.buyers,
            connections=self.connections,
            rate=self.rate,
            concert_id=self.concert,
            section=self.section,
            most_tickets=self.most_tickets or (1 if numbered is None else _NUMBERED_PARTY),
            payment_methods=_methods(self.payment_method or ["card-ok"]),
            with_keys=not self.without_keys,
            timeout_seconds=self.timeout,
            settle_seconds=self.settle,
            seed=self.seed,
            doors=self.doors,
            offline_doors=_offline(self.offline_doors, self.doors),
            shown_again=self.shown_again,
        )


@filling(Options)
def rehearse(*, options: Options) -> None:
    """Rehearse an on-sale against a running server, then check that nothing was oversold or lost.

    With --hall or --seat-plan its seats have numbers: some name seats that they see free, others get the best.
    With --doors the evening is rehearsed, too: codes are shown twice, forged, or void, and doors without
    network tell later whom they let in. The concert that is made for it begins in two hours then.

    Exit status: 0 if everything that must hold does, 1 if not, 2 if the rehearsal could not be held.
    """
    errors = Console(stderr=True)
    try:
        server = _new(options.url, options.concert, options.label) if options.is_apart else _server(options.url)
        plan = options.plan(server)
        reporter = Lines() if options.lines else Silent() if options.json else None
        with apart() if options.is_apart else nullcontext(server) as found:
            plan = msgspec.structs.replace(plan, url=found.url, organizer_key=found.key)
            outcome = _hold(plan, reporter)
    except (CannotRehearse, UnusableSetting) as error:
        errors.print(f"[bold red]No rehearsal:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(CANNOT) from error
    _say(outcome, lines=options.lines, json=options.json)
    if not outcome.ok:
        raise typer.Exit(NOT_ALL_HOLDS)


def _new(*named: str | None) -> Apart:
    """Stands for the server that is made when it begins."""
    if any(each is not None for each in named):
        raise CannotRehearse("--apart goes without --url, --label and --concert: its server is a new one")
    return Apart("", "")


def _server(url: str | None) -> Apart:
    """The server that is named, or the one of the settings."""
    settings = Settings.from_env(os.environ)
    key = settings.organizer_key or _kept_key(settings.data_dir / "organizer.key")
    there = (url or own_url(settings)).rstrip("/")
    return Apart(there, key, own_trust(there, settings))


def _seat_plan(hall: int | None, path: Path | None, concert: str | None) -> SeatPlan | None:
    """The seating plan that is named, if one is."""
    if sum(each is not None for each in (hall, path, concert)) > 1 and (hall or path):
        raise CannotRehearse("--hall, --seat-plan and --concert: say one of them; each says which seats there are")
    if hall is not None:
        return SeatPlan(*made(hall))
    if path is None:
        return None
    read = seatplan.read(path)
    return SeatPlan(msgspec.Raw(pretix.write(read)), [zone.name for zone in read.zones])


def _offline(offline_doors: int, doors: int) -> int:
    if offline_doors > doors:
        raise CannotRehearse(f"--offline-doors {offline_doors}: there are {doors} doors")
    return offline_doors


def _hold(plan: Plan, reporter: Reporter | None) -> RehearsalOutcome:
    if reporter is not None:
        return uvloop.run(hold_rehearsal(plan, reporter))
    with Screen(Console()) as screen:
        return uvloop.run(hold_rehearsal(plan, screen))


def _say(outcome: RehearsalOutcome, *, lines: bool, json: bool) -> None:
    if lines:
        tell(_as_json(outcome))
    elif json:
        typer.echo(msgspec.json.format(msgspec.json.encode(_as_json(outcome)), indent=2))
    else:
        show(outcome, Console())


def _as_json(outcome: RehearsalOutcome) -> dict[str, object]:
    said = {"ok": outcome.ok, **msgspec.to_builtins(outcome)}
    if outcome.evening is not None:
        del said["evening"]["seen"]  # each ticket by its id: the checks say what came of them
    return said


def _kept_key(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise CannotRehearse(
            f"the organizer's key is needed: in CLUDALE_ORGANIZER_KEY, or in {path} ({error.strerror})"
        ) from error


def _methods(given: list[str]) -> dict[str, int]:
    methods = {}
    for each in given:
        name, equals, weight = each.partition("=")
        if not name or (equals and not (weight.isdigit() and int(weight) > 0)):
            raise CannotRehearse(f"--payment-method {each}: expected METHOD or METHOD=WEIGHT, as in card-ok=9")
        if name not in METHODS:
            raise CannotRehearse(f"--payment-method {each}: there is no {name}, there are {', '.join(METHODS)}")
        methods[name] = int(weight) if equals else 1
    return methods
