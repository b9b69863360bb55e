"""`cludale deadletters`: events that nobody took, kept by a service or by the broker: look, and deliver again."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from cludale_operations.cli.client import OWN, Client, Json, Server
from cludale_operations.cli.screen import NO, fail, note, print_json, record, say, table

if TYPE_CHECKING:
    from cludale_operations.cli.letters import Letters

app = typer.Typer(
    no_args_is_help=True,
    help="Events that nobody took: list them, show one, deliver them again. They stand with the service that could "
    "not handle them or, with Azure Service Bus, in its dead-letter queues: --service-bus looks there as well. NATS "
    "and RabbitMQ have none: they never give up delivering.",
)

MOST_LISTED = 100_000
MOST_COUNTED = 100_000
MOST_RETRIED = 10_000
NOTE_EVERY = 50

Id = Annotated[str, typer.Argument(help="The letter's id.")]
Of = Annotated[list[str] | None, typer.Option("--service", help="Only of this service; may be given more than once.")]
Topic = Annotated[
    list[str] | None, typer.Option("--topic", help="Only events of this topic; may be given more than once.")
]
Bus = Annotated[
    str | None,
    typer.Option(
        "--service-bus",
        envvar="CLUDALE_SERVICE_BUS",
        help="The namespace of Azure Service Bus, for the letters that it keeps; you sign in as for `az`.",
    ),
]

_COLUMNS = ("since", "where", "consumer", "topic", "eventType", "attempts", "state", "id", "reason")


@app.command(name="list")
def list_letters(
    *,
    service: Of = None,
    topic: Topic = None,
    state: Annotated[str | None, typer.Option(help="Waiting, or Delivered; all for both.")] = "Waiting",
    since: Annotated[str | None, typer.Option(help="Since then or later: 2027-06-05T19:30:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Since before then.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_LISTED, help="How many at most.")] = 50,
    service_bus: Bus = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """List them, oldest first. Since when: a service says when it gave up, the broker when the event was published."""
    from cludale_operations.cli.letters import LetterFilter

    wanted = LetterFilter(
        _services(service),
        _topics(topic),
        None if state in (None, "all") else state.capitalize(),
        _time("--since", since),
        _time("--until", until),
    )
    with _opened(client, service_bus) as letters:
        found = letters.oldest(wanted, limit + 1)
    table(found[:limit], columns=_COLUMNS, wide=("reason",), as_json=json)
    if len(found) > limit:
        note(f"There are more: a higher --limit, or --since {found[limit]['since']} for those that follow.")


@app.command()
def count(
    *, service: Of = None, topic: Topic = None, service_bus: Bus = None, client: Server = OWN, json: Json = False
) -> None:
    """Count those that wait, by where they stand, service, topic and reason, with the time of the oldest."""
    from cludale_operations.cli.letters import LetterFilter

    keys = ("where", "consumer", "topic", "reason")
    counts: Counter[tuple[str, ...]] = Counter()
    oldest: dict[tuple[str, ...], str] = {}
    is_cut = False
    with _opened(client, service_bus) as letters:
        for rows in letters.by_place(LetterFilter(_services(service), _topics(topic))):
            before = counts.total()
            for row in islice(rows, MOST_COUNTED):
                key = tuple(row[each] for each in keys)
                counts[key] += 1
                oldest.setdefault(key, row["since"])
            is_cut = is_cut or counts.total() - before == MOST_COUNTED
    counted = [
        {"count": number, **dict(zip(keys, key, strict=True)), "oldest": oldest[key]}
        for key, number in counts.most_common()
    ]
    table(counted, columns=("count", "where", "consumer", "topic", "oldest", "reason"), wide=("reason",), as_json=json)
    if is_cut:
        note(f"There may be more: of one service or subscription the {MOST_COUNTED:,} oldest were counted.")


@app.command()
def show(id: Id, *, service_bus: Bus = None, client: Server = OWN, json: Json = False) -> None:
    """Show one of them, with the event as it came."""
    with _opened(client, service_bus) as letters:
        record(letters.find(id), as_json=json)


@app.command()
def retry(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of letters.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    service: Of = None,
    topic: Topic = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_LISTED, help="With --all: how many at most.")] = MOST_RETRIED,
    service_bus: Bus = None,
    client: Server = OWN,
    json: Json = False,
) -> None:
    """Deliver them to their service again, which knows what it has handled: nothing is applied twice.

    One that the broker keeps is sent to its service alone, and removed once the broker has confirmed that. The answer
    is SENT then; if the service does not take it, `list` shows it with the service. HELD: somebody else has it in
    hand, or too many stand before it; try again in a minute. Whatever ends this command, it can be run again.

    Exit status 1 if one is still not taken.
    """
    from cludale_operations.cli.letters import LetterFilter, is_done
    from cludale_operations.dead_letters.broker import BrokerRefused

    if bool(ids) == everything:
        fail("name the letters to retry, or --all of them")
    retried = []
    why = ""
    with _opened(client, service_bus) as letters:
        if everything:
            # read to the end before anything is retried: what is taken is not in the next page any more
            chosen = letters.oldest(LetterFilter(_services(service), _topics(topic)), limit + 1)
        else:
            chosen = [letters.find(id) for id in dict.fromkeys(ids or ())]
        is_cut = everything and len(chosen) > limit
        chosen = chosen[:limit] if everything else chosen
        try:
            for each in letters.retry(chosen):
                retried.append(each)
                if len(retried) % NOTE_EVERY == 0:
                    note(f"{len(retried)} of {len(chosen)} …")
        except BrokerRefused as refused:
            why = f"Service Bus, after {len(retried)} of {len(chosen)}: {refused}"
    done = sum(is_done(each) for each in retried)
    if json:
        print_json(retried)
    else:
        table(retried, columns=("id", "where", "eventType", "eventId", "answer", "state"), as_json=False)
        say(f"{done} of {len(chosen)} were taken or sent.")
    if is_cut:
        note("There are more: run it again, or give a higher --limit.")
    if why:
        fail(why)
    if done < len(chosen):
        raise typer.Exit(NO)


@contextmanager
def _opened(client: Client, namespace: str | None) -> "Iterator[Letters]":
    """The letters of the server, and of the broker where one is named, which may end the program with one line."""
    from cludale_operations.cli.letters import Letters
    from cludale_operations.dead_letters.broker import BrokerRefused
    from cludale_operations.dead_letters.service_bus import service_bus

    try:
        with ExitStack() as stack:
            yield Letters(client, stack.enter_context(service_bus(namespace)) if namespace else None)
    except BrokerRefused as refused:
        fail(f"Service Bus: {refused}")


def _services(wanted: Sequence[str] | None) -> Sequence[str]:
    from cludale.services import NAMES

    for name in wanted or ():
        if name not in NAMES:
            fail(f"there is no service {name!r}; these are: {', '.join(NAMES)}")
    return wanted or NAMES


def _topics(wanted: Sequence[str] | None) -> frozenset[str]:
    from cludale.services.catalogue import CATALOGUE

    known = [topic.name for topic in CATALOGUE.topics]
    for name in wanted or ():
        if name not in known:
            fail(f"there is no topic {name!r}; these are: {', '.join(known)}")
    return frozenset(wanted or ())


def _time(option: str, text: str | None) -> datetime | None:
    from cludale.kernel.times import parse_time

    try:
        return None if text is None else parse_time(text)
    except ValueError as error:
        fail(f"{option} {error}")
