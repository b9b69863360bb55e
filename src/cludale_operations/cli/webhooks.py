"""`cludale webhooks`: servers of yours that are told of events: make, change, test them, see and repeat deliveries."""

from typing import Annotated, Any

import typer

from cludale_operations.cli.client import OWN, Client, Json, Server, segment
from cludale_operations.cli.screen import fail, note, print_json, record, say, table

app = typer.Typer(
    no_args_is_help=True,
    help="Webhooks: have events posted to a server of yours, by the Standard Webhooks specification.",
)

Id = Annotated[str, typer.Argument(help="The webhook's id.")]

PATH = "/notifications/webhooks"
DELIVERIES = "/notifications/webhook-deliveries"
MOST = 10_000_000
AT_ONCE = 200

_COLUMNS = ("id", "url", "status", "stopped", "failingSince", "eventTypes", "concertId", "about")
_DELIVERIES = ("id", "webhookId", "type", "status", "answer", "attempts", "createdAt", "dueAt", "detail")


@app.command()
def create(
    address: Annotated[str, typer.Argument(help="Where events are posted: https://example.com/webhooks.")],
    *,
    event: Annotated[
        list[str] | None, typer.Option(help="What it is told of; give one for each. Default: everything.")
    ] = None,
    concert: Annotated[str | None, typer.Option(help="The one concert that it is told of.")] = None,
    about: Annotated[str | None, typer.Option(help="A note for yourself.")] = None,
    email: Annotated[str | None, typer.Option(help="Who is told if it is switched off for failing.")] = None,
    sign: Annotated[
        list[str] | None, typer.Option(help="v1 (HMAC, the default), v1a (Ed25519); give both for both.")
    ] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Make a webhook. Its secret is shown once.

    `cludale webhooks create https://example.com/webhooks --event order.paid --event order.cancelled`
    """
    body = {
        "url": address,
        "eventTypes": event or [],
        "concertId": concert,
        "about": about,
        "email": email,
        "signatures": sign or ["v1"],
    }
    record(client.post(PATH, body), as_json=json)


@app.command("list")
def list_webhooks(*, client: Server = OWN, json: Json = False) -> None:
    """List webhooks, the newest first: where they go, what they are told, whether they work."""
    found = client.get(PATH)["items"]
    if json:
        print_json(found)
        return
    for each in found:
        each["eventTypes"] = ", ".join(each["eventTypes"]) or "all"
    table(found, columns=_COLUMNS, wide=("url", "eventTypes"), as_json=False)


@app.command()
def show(id: Id, *, client: Server = OWN, json: Json = False) -> None:
    """Show a webhook."""
    record(client.get(f"{PATH}/{segment(id)}"), as_json=json)


@app.command()
def events(*, client: Server = OWN, json: Json = False) -> None:
    """List the types of events that a webhook can be told of."""
    table(client.get("/notifications/webhook-event-types")["items"], columns=("type", "about"), as_json=json)


@app.command()
def change(
    id: Id,
    *,
    address: Annotated[str | None, typer.Option("--to", help="Where events are posted from now on.")] = None,
    event: Annotated[list[str] | None, typer.Option(help="What it is told of from now on.")] = None,
    all_events: Annotated[bool, typer.Option("--all-events", help="It is told of everything.")] = False,
    concert: Annotated[str | None, typer.Option(help="The one concert; an empty one: all of yours.")] = None,
    about: Annotated[str | None, typer.Option(help="A note for yourself; an empty one takes it away.")] = None,
    email: Annotated[str | None, typer.Option(help="Who is told; an empty one: nobody.")] = None,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Switch it on or off.")] = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Change a webhook, or switch it on or off. While it is off, nothing is kept for it."""
    if event and all_events:
        fail("name events, or --all-events")
    body: dict[str, Any] = {}
    if address is not None:
        body["url"] = address
    if event or all_events:
        body["eventTypes"] = event or []
    for name, given in (("concertId", concert), ("about", about), ("email", email)):
        if given is not None:
            body[name] = given or None
    if on is not None:
        body["on"] = on
    if not body:
        fail("nothing is to be changed: see --help")
    record(client.patch(f"{PATH}/{segment(id)}", body), as_json=json)


@app.command()
def rotate(
    id: Id,
    *,
    overlap: Annotated[
        float, typer.Option(min=0, help="Seconds for which deliveries are signed with the old secrets, too.")
    ] = 86_400.0,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Give a webhook new secrets. The new one is shown once."""
    record(client.post(f"{PATH}/{segment(id)}/rotate", {"overlapSeconds": overlap}), as_json=json)


@app.command()
def ping(id: Id, *, client: Server = OWN, json: Json = False) -> None:
    """Send a webhook a test. What came of it: `cludale webhooks deliveries`."""
    record(client.post(f"{PATH}/{segment(id)}/ping", None), as_json=json)


@app.command()
def delete(id: Id, *, client: Server = OWN) -> None:
    """Delete a webhook, with its address and its secrets. What is still to be delivered to it fails."""
    client.delete(f"{PATH}/{segment(id)}")
    say(f"{id} is deleted.")


@app.command()
def deliveries(
    *,
    webhook: Annotated[str | None, typer.Option(help="Only to this webhook.")] = None,
    status: Annotated[str | None, typer.Option(help="Only these: Pending, Delivered or Failed.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")] = 50,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List deliveries, the newest first. `--status Failed` lists those that were given up."""
    wanted = {"webhookId": webhook, "status": None if status is None else status.capitalize()}
    found = list(client.items(DELIVERIES, wanted, limit=limit))
    table(found, columns=_DELIVERIES, wide=("detail",), as_json=json)


@app.command()
def delivery(
    id: Annotated[str, typer.Argument(help="The delivery's id.")], *, client: Server = OWN, json: Json = False
) -> None:
    """Show a delivery, with the body that is posted."""
    record(client.get(f"{DELIVERIES}/{segment(id)}"), as_json=json)


@app.command()
def resend(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of deliveries.")] = None,
    *,
    webhook: Annotated[str | None, typer.Option(help="With --all: those to this webhook.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that failed.")] = False,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Send deliveries again, under the ids that they had, and try them for as long as new ones."""
    if bool(ids) == everything or (ids and webhook):
        fail("name the deliveries to send again, or --all that failed, perhaps of one --webhook")
    if ids:
        sent = [
            each
            for start in range(0, len(ids), AT_ONCE)
            for each in client.post(f"{DELIVERIES}/resend", {"ids": ids[start : start + AT_ONCE]})["items"]
        ]
    else:
        hooks = [webhook] if webhook else [each["id"] for each in client.get(PATH)["items"] if each["status"] == "on"]
        sent = [each for hook in hooks for each in _all_failed(client, hook)]
    if json:
        print_json(sent)
    else:
        say(f"{len(sent)} are sent again.")


def _all_failed(client: Client, webhook: str) -> list[Any]:
    """Each that failed to this webhook, as it stands now."""
    sent: list[Any] = []
    while True:
        answer = client.post(f"{DELIVERIES}/resend", {"webhookId": webhook})
        sent += answer["items"]
        if not answer["more"]:
            return sent
        note(f"{len(sent)} to {webhook} are sent again …")
