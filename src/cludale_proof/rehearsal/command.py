"""`cludale rehearse`: options to a plan, an outcome to an exit status."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.markup import escape

from cludale.adapters.simulated_payments import METHODS
from cludale.web.http1 import url_of
from cludale.wiring.settings import Settings, UnusableSetting
from cludale_proof.rehearsal.plan import CannotRehearse, Outcome, Plan, Silent
from cludale_proof.rehearsal.rehearse import rehearse as hold_rehearsal
from cludale_proof.rehearsal.screen import Screen, show

NOT_ALL_HOLDS = 1
CANNOT = 2


def rehearse(
    *,
    seats: Annotated[int, typer.Option(min=1, max=1_000_000, help="Seats of the concert that is made for it.")] = 1_000,
    buyers: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many want tickets.")] = 5_000,
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, help="Buyers a second, at random. Without it the next comes as soon as one is served."),
    ] = None,
    connections: Annotated[int, typer.Option(min=1, max=4_096, help="How many are served at once, at most.")] = 64,
    concert: Annotated[
        str | None, typer.Option(help="Rehearse with this concert (an id); nobody else should be buying it meanwhile.")
    ] = None,
    section: Annotated[str | None, typer.Option(help="The section that all want; without it any will do.")] = None,
    most_tickets: Annotated[int, typer.Option(min=1, max=1_000, help="Each wants 1 to so many tickets.")] = 1,
    payment_method: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(METHODS)}; for a mix give several: card-ok=9."),
    ] = None,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Send the orders without an Idempotency-Key, which each has else.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(envvar="CLUDALE_URL", help="The server; default: the one in the settings."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="The version with this label, at a gateway that has several.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds a buyer waits for an answer.")] = 10.0,
    settle: Annotated[
        float, typer.Option(min=1, max=86_400, help="Seconds that orders may take to their end.")
    ] = 120.0,
    doors: Annotated[
        int, typer.Option(min=0, max=200, help="Afterwards so many doors let in all who bought; 0: none do.")
    ] = 0,
    offline_doors: Annotated[int, typer.Option(min=0, help="Of these so many have no network meanwhile.")] = 0,
    shown_again: Annotated[
        float, typer.Option(min=0, max=1, help="The share of the codes that are shown twice at the doors.")
    ] = 0.05,
    seed: Annotated[int, typer.Option(help="The random seed: it decides when buyers arrive and what they want.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON and nothing else.")] = False,
) -> None:
    """Rehearse an on-sale against a running server, then check that nothing was oversold or lost.

    With --doors the evening is rehearsed, too: codes are shown twice, forged, or void, and doors without
    network tell later whom they let in. The concert that is made for it begins in two hours then.

    Exit status: 0 if everything that must hold does, 1 if not, 2 if the rehearsal could not be held.
    """
    errors = Console(stderr=True)
    try:
        settings = Settings.from_env(os.environ)
        plan = Plan(
            url=url or url_of(settings.host, settings.port),
            organizer_key=settings.organizer_key or _kept_key(settings.data_dir / "organizer.key"),
            headers={} if label is None else {"x-cludale-label": label},
            seats=seats,
            buyers=buyers,
            connections=connections,
            rate=rate,
            concert_id=concert,
            section=section,
            most_tickets=most_tickets,
            payment_methods=_methods(payment_method or ["card-ok"]),
            with_keys=not without_keys,
            timeout_seconds=timeout,
            settle_seconds=settle,
            seed=seed,
            doors=doors,
            offline_doors=_offline(offline_doors, doors),
            shown_again=shown_again,
        )
        outcome = _hold(plan, quiet=json)
    except (CannotRehearse, UnusableSetting) as error:
        errors.print(f"[bold red]No rehearsal:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(CANNOT) from error
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(_as_json(outcome)), indent=2))
    else:
        show(outcome, Console())
    if not outcome.ok:
        raise typer.Exit(NOT_ALL_HOLDS)


def _offline(offline_doors: int, doors: int) -> int:
    if offline_doors > doors:
        raise CannotRehearse(f"--offline-doors {offline_doors}: there are {doors} doors")
    return offline_doors


def _hold(plan: Plan, *, quiet: bool) -> Outcome:
    if quiet:
        return uvloop.run(hold_rehearsal(plan, Silent()))
    with Screen(Console()) as screen:
        return uvloop.run(hold_rehearsal(plan, screen))


def _as_json(outcome: Outcome) -> dict[str, object]:
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
