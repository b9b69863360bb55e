"""`cludale deadletters`: events that a service could not handle: look, and deliver again."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from cludale_operations.cli.client import Client, Json, Url, segment
from cludale_operations.cli.screen import NO, fail, print_json, record, say, table

app = typer.Typer(no_args_is_help=True, help="Events that a service could not handle: list them, deliver them again.")

RETRY_AT_ONCE = 50
MOST = 10_000_000

Id = Annotated[str, typer.Argument(help="The letter's id.")]
Of = Annotated[list[str] | None, typer.Option("--service", help="Only of this service; may be given more than once.")]

_COLUMNS = ("buriedAt", "consumer", "eventType", "attempts", "state", "id", "reason")


@app.command(name="list")
def list_letters(
    *,
    service: Of = None,
    state: Annotated[str | None, typer.Option(help="Waiting, or Delivered; without it, both.")] = "Waiting",
    since: Annotated[str | None, typer.Option(help="Buried then or later: 2027-06-05T19:30:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Buried before then.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many of a service at most.")] = 50,
    url: Url = None,
    json: Json = False,
) -> None:
    """List them, oldest first, service by service. `--state all` lists those that were delivered later, too."""
    wanted = {"state": None if state in (None, "all") else state.capitalize(), "since": since, "until": until}
    with Client(url) as client:
        found = [
            each for name in _services(service) for each in client.items(f"/{name}/-/dead-letters", wanted, limit=limit)
        ]
    table(found, columns=_COLUMNS, wide=("reason",), as_json=json)


@app.command()
def show(id: Id, *, url: Url = None, json: Json = False) -> None:
    """Show one of them, with the event as it came."""
    with Client(url) as client:
        record(_find(client, id), as_json=json)


@app.command()
def retry(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of letters.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    service: Of = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Deliver them to their service again, which knows what it has handled: nothing is applied twice.

    Exit status 1 if one is still not taken.
    """
    if bool(ids) == everything:
        fail("name the letters to retry, or --all of them")
    with Client(url) as client:
        chosen = _waiting(client, service) if everything else [_find(client, id) for id in ids or ()]
        by_service: dict[str, list[str]] = {}
        for letter in chosen:
            by_service.setdefault(letter["consumer"], []).append(letter["id"])
        retried = [
            each
            for name, letters in by_service.items()
            for start in range(0, len(letters), RETRY_AT_ONCE)
            for each in client.post(f"/{name}/-/dead-letters/retry", {"ids": letters[start : start + RETRY_AT_ONCE]})[
                "items"
            ]
        ]
    if json:
        print_json(retried)
    else:
        table(retried, columns=("id", "eventType", "eventId", "answer", "state"), as_json=False)
        taken = sum(each["answer"] == "SUCCESS" for each in retried)
        say(f"{taken} of {len(retried)} were taken.")
    if any(each["answer"] != "SUCCESS" for each in retried):
        raise typer.Exit(NO)


def _services(wanted: Sequence[str] | None) -> Sequence[str]:
    from cludale.services import NAMES

    for name in wanted or ():
        if name not in NAMES:
            fail(f"there is no service {name!r}; these are: {', '.join(NAMES)}")
    return wanted or NAMES


def _waiting(client: Client, services: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    for name in _services(services):
        # read to the end before anything is retried: what is taken is not in the next page any more
        yield from list(client.items(f"/{name}/-/dead-letters", {"state": "Waiting"}, limit=MOST))


def _find(client: Client, id: str) -> dict[str, Any]:
    """The letter, whichever service's it is. Ends the program if there is none."""
    found = (client.get_if_there(f"/{name}/-/dead-letters/{segment(id)}") for name in _services(None))
    letter: dict[str, Any] | None = next((each for each in found if each is not None), None)
    return fail(f"there is no dead letter {id!r}", NO) if letter is None else letter
