"""Dead letters as rows, wherever they stand: with the service that gave up, or with the broker. For the commands."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from cludale.kernel.times import parse_time, rfc3339
from cludale.services import NAMES
from cludale.services.catalogue import CATALOGUE
from cludale_operations.cli.client import Client, segment
from cludale_operations.cli.screen import NO, fail
from cludale_operations.dead_letters.broker import (
    BrokerDeadLetters,
    BrokerLetter,
    BrokerSubscription,
    LetterOutcome,
    place_of,
    places,
)

Row = dict[str, Any]

SERVICE, BROKER = "service", "broker"
"""Where a letter stands."""
RETRY_AT_ONCE = 50
MOST = 10_000_000


class LetterFilter(NamedTuple):
    """Which letters: `since <= a letter's time < until`. Without topics those of all; `state` None for all."""

    services: Sequence[str]
    topics: frozenset[str] = frozenset()
    state: str | None = "Waiting"
    since: datetime | None = None
    until: datetime | None = None


class Letters:
    """Those of a server's services, and of the broker where one was named."""

    def __init__(self, client: Client, bus: BrokerDeadLetters | None) -> None:
        self._client = client
        self._bus = bus

    def oldest(self, wanted: LetterFilter, limit: int) -> list[Row]:
        """The oldest that are wanted, wherever they stand."""
        found: list[Row] = []
        for rows in self.by_place(wanted):
            found = sorted([*found, *islice(rows, limit)], key=since)[:limit]
        return found

    def by_place(self, wanted: LetterFilter) -> Iterator[Iterable[Row]]:
        """Those that are wanted, place by place, each oldest first and read as they are asked for."""
        parameters = {
            "state": wanted.state,
            "since": None if wanted.since is None else rfc3339(wanted.since),
            "until": None if wanted.until is None else rfc3339(wanted.until),
        }
        for name in wanted.services:
            found = self._client.items(f"/{name}/-/dead-letters", parameters, limit=MOST)
            yield _of_topics((_kept_by_service(each) for each in found), wanted.topics)
        if self._bus is not None and wanted.state in (None, "Waiting"):
            for place in places(wanted.services):
                letters = (each for each in self._bus.standing(place) if _is_within(each.published_at, wanted))
                yield _of_topics((_kept_by_broker(each) for each in letters), wanted.topics)

    def find(self, id: str) -> Row:
        """The letter, wherever it stands. Ends the program if there is none."""
        if found := place_of(id):
            if self._bus is None:
                fail(f"{id!r} stands with the broker: name its namespace with --service-bus, or CLUDALE_SERVICE_BUS")
            letter = self._bus.one(*found)
            return fail(f"there is no dead letter {id!r}", NO) if letter is None else _kept_by_broker(letter)
        answers = (self._client.get_if_there(f"/{name}/-/dead-letters/{segment(id)}") for name in NAMES)
        kept: Row | None = next((each for each in answers if each is not None), None)
        return fail(f"there is no dead letter {id!r}", NO) if kept is None else _kept_by_service(kept)

    def retry(self, chosen: Iterable[Row]) -> Iterator[Row]:
        """What came of each: first of the services' own, then of the broker's, place by place. Raises BrokerRefused."""
        kept: dict[str, list[str]] = {}
        standing: dict[BrokerSubscription, dict[int, Row]] = {}
        for row in chosen:
            if found := place_of(row["id"]):
                standing.setdefault(found[0], {})[found[1]] = row
            else:
                kept.setdefault(row["consumer"], []).append(row["id"])
        for name, ids in kept.items():
            for start in range(0, len(ids), RETRY_AT_ONCE):
                body = {"ids": ids[start : start + RETRY_AT_ONCE]}
                for each in self._client.post(f"/{name}/-/dead-letters/retry", body)["items"]:
                    yield each | {"where": SERVICE}
        if self._bus is not None:
            for place, rows in standing.items():
                yield from _sent(self._bus, place, rows)


def since(row: Row) -> datetime:
    """Since when it stands there: a service says when it gave up, the broker when the event was published."""
    return parse_time(row["since"])


def is_done(row: Row) -> bool:
    """Has it been taken, or sent and removed?"""
    return bool(row["state"] != "Waiting")


def _sent(bus: BrokerDeadLetters, place: BrokerSubscription, rows: Mapping[int, Row]) -> Iterator[Row]:
    for sequence, outcome in bus.send_again(place, rows):
        row = rows[sequence]
        yield {
            "id": row["id"],
            "where": BROKER,
            "eventType": row["eventType"],
            "eventId": row["eventId"],
            "answer": "HELD" if outcome is LetterOutcome.HELD else "SENT",
            "state": "Sent" if outcome is LetterOutcome.SENT else "Waiting",
        }


def _kept_by_service(letter: Row) -> Row:
    return letter | {"where": SERVICE, "since": letter["buriedAt"], "topic": _topic_of(letter["eventType"])}


def _kept_by_broker(letter: BrokerLetter) -> Row:
    return {
        "id": letter.id,
        "where": BROKER,
        "queue": f"{letter.place.topic}/{letter.place.service}/$deadletterqueue",
        "consumer": letter.place.service,
        "topic": _topic_of(letter.event_type),
        "eventType": letter.event_type,
        "eventId": letter.event_id,
        "reason": letter.reason,
        "description": letter.description,
        "attempts": letter.attempts,
        "since": rfc3339(letter.published_at),
        "state": "Waiting",
        "body": letter.body,
    }


def _topic_of(event_type: str) -> str:
    return CATALOGUE.topic_of(event_type).name if event_type in CATALOGUE.types else "?"


def _of_topics(rows: Iterable[Row], topics: frozenset[str]) -> Iterable[Row]:
    return (each for each in rows if not topics or each["topic"] in topics)


def _is_within(time: datetime, wanted: LetterFilter) -> bool:
    return (wanted.since is None or wanted.since <= time) and (wanted.until is None or time < wanted.until)
