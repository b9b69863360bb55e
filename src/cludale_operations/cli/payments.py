"""`cludale payments`: compare the provider's books with the payments, see what differs, settle it."""

import time
from enum import StrEnum
from typing import Annotated, Any

import typer

from cludale_operations.cli.client import OWN, Client, Json, Server, segment
from cludale_operations.cli.screen import NO, fail, note, record, say, table

app = typer.Typer(
    no_args_is_help=True,
    help="Money: compare the payment provider's books with the payments, see what differs, settle it.",
)

LOOK_SECONDS = 0.5
MOST = 10_000_000
_COLUMNS = ("id", "kind", "status", "orderId", "amount", "taken", "returned", "foundAt", "note")


class Settlement(StrEnum):
    """What to do about a difference."""

    GIVE_BACK = "give-back"
    LEAVE = "leave"


@app.command()
def reconcile(
    *,
    since: Annotated[
        str | None, typer.Option(help="Charges that began then or later: 2027-06-05T00:00:00Z. Default: as is set.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="And before this. Default: now.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until it is done, and say how far it is.")] = True,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Compare the provider's books with the payments. What is certainly the buyers' goes back by itself.

    The exit status is 1 if there is something for a person to settle.
    """
    run = client.post("/payments/reconciliations", {"since": since, "until": until})
    if not wait:
        record(run, as_json=json)
        return
    run = _followed(client, run)
    differences = [
        *client.items("/payments/differences", {"foundBy": run["id"]}, limit=MOST),
        *client.items("/payments/differences", {"status": "Open"}, limit=MOST),
    ]
    found = list({each["id"]: each for each in differences}.values())
    to_settle = [each for each in found if each["status"] == "Open"]
    if json:
        record({**run, "differences": found}, as_json=True)
    else:
        say(f"{run['compared']} charges of the provider's and {run['payments']} payments were compared.")
        if run["others"]:
            say(f"{run['others']} charges of the provider's are not this platform's.")
        if found:
            table(found, columns=_COLUMNS, wide=("note",), as_json=False)
        for each in to_settle:
            ways = " or ".join(f"--{way}" for way in each["settlements"])
            say(f"To settle {each['kind']}: cludale payments settle {each['id']} {ways}")
        if not found:
            say("Nothing differs.")
    if to_settle:
        raise typer.Exit(NO)


def _followed(client: Client, run: dict[str, Any]) -> dict[str, Any]:
    """It, once it is done; says meanwhile how far it is, when that changes."""
    said = ""
    while run["status"] != "Done":
        time.sleep(LOOK_SECONDS)
        run = client.get(f"/payments/reconciliations/{segment(run['id'])}")
        now = f"{run['compared']} charges and {run['payments']} payments compared"
        if run["status"] == "Waiting":
            now = f"waiting for the provider: {run['trouble']}"
        if now != said and run["status"] != "Done":
            note(now)
            said = now
    return run


@app.command()
def reconciliations(
    *,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")] = 20,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List the comparisons there were, the latest first."""
    found = list(client.items("/payments/reconciliations", {}, limit=limit))
    columns = ("id", "status", "onSchedule", "startedAt", "finishedAt", "compared", "payments", "found")
    rows = [{**each, "found": sum(each["found"].values())} for each in found]
    table(found if json else rows, columns=columns, as_json=json)


@app.command()
def differences(
    *,
    status: Annotated[str | None, typer.Option(help="Only these: Open, Mending, Mended, Settling or Settled.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")] = 50,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List what differs. `--status Open` lists what a person has to settle."""
    wanted = {"status": None if status is None else status.capitalize()}
    found = list(client.items("/payments/differences", wanted, limit=limit))
    table(found, columns=_COLUMNS, wide=("note",), as_json=json)


@app.command()
def settle(
    id: Annotated[str, typer.Argument(help="The difference's id.")],
    *,
    give_back: Annotated[
        bool, typer.Option("--give-back", help="Give back what the provider has of this charge, once.")
    ] = False,
    leave: Annotated[
        bool, typer.Option("--leave", help="Leave it as it is: it was looked into, and is not shown again.")
    ] = False,
    note: Annotated[str, typer.Option(help="Why, for whoever looks later. Name no buyer.")] = "",
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Settle a difference that does not mend itself. It can be asked for again after trouble: money goes back once."""
    if give_back == leave:
        fail("say --give-back or --leave")
    settlement = Settlement.GIVE_BACK if give_back else Settlement.LEAVE
    settled = client.post(f"/payments/differences/{segment(id)}/settle", {"settlement": settlement, "note": note})
    record(settled, as_json=json)
