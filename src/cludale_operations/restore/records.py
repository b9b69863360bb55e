"""Are the records of a restored store as the log says? Each event commits with the record of the service that tells it.

So whatever the log has heard of a record, its service has it at least so far, at any moment that is restored to.
Looked at are the last events before that moment, over the API.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import httpx

from cludale_operations.release.driver import Address, PlatformFailed

TIMEOUT_SECONDS = 30.0
MOST_OF_A_TYPE = 100
"""Events of each type whose record is looked at."""
SPANS = (timedelta(minutes=15), timedelta(hours=6), timedelta(days=30))
"""How far back they are looked for, until there are any."""


class Record(NamedTuple):
    """Where the record is of which an event tells, and how it stands from then on."""

    path: Callable[[Mapping[str, Any]], str]
    """The path and query, from the event's payload."""
    standings: frozenset[str]
    """Its status is one of these; empty: that it is there is enough."""


RECORDS: Mapping[str, Record] = {
    "ConcertScheduled": Record(lambda told: f"/concerts/{told['concertId']}", frozenset()),
    "OrderPaid": Record(lambda told: f"/orders/{told['orderId']}", frozenset({"Paid", "Cancelled"})),
    "PaymentCompleted": Record(
        lambda told: f"/payments?orderId={told['orderId']}", frozenset({"Completed", "Refunded"})
    ),
    "NotificationSent": Record(lambda told: f"/notifications?orderId={told['orderId']}", frozenset({"Sent", "Logged"})),
    "TicketIssued": Record(lambda told: f"/tickets?order={told['orderId']}", frozenset({"Valid", "Revoked"})),
}
"""One kind of event of each service that has records."""


class Compared(NamedTuple):
    """How many records were looked at, and what is wrong with them."""

    records: int
    wrong: list[str]


def compared(address: Address, organizer_key: str, moment: datetime) -> Compared:
    """Look at them. Raises PlatformFailed."""
    headers = {**address.headers, "authorization": f"Bearer {organizer_key}"}
    records, wrong = 0, []
    try:
        with httpx.Client(
            base_url=address.url, headers=headers, timeout=TIMEOUT_SECONDS, verify=address.verify
        ) as http:
            for kind, record in RECORDS.items():
                for event in _last(http, kind, moment):
                    records += 1
                    fault = _fault(http, record, event["payload"])
                    if fault:
                        wrong.append(f"{kind} of {event['subject']} is in the log, and {fault}")
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise PlatformFailed(f"the records at {address.url} can't be compared with the log: {error!r}") from error
    return Compared(records, wrong)


def _last(http: httpx.Client, kind: str, moment: datetime) -> Iterator[Mapping[str, Any]]:
    for span in SPANS:
        asked = {"type": kind, "since": (moment - span).isoformat(), "limit": str(MOST_OF_A_TYPE)}
        answer = http.get("/audit/events", params=asked)
        answer.raise_for_status()
        items = answer.json()["items"]
        if items:
            yield from items
            return


def _fault(http: httpx.Client, record: Record, payload: Mapping[str, Any]) -> str:
    path = record.path(payload)
    answer = http.get(path)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return f"{path} is not there"
    answer.raise_for_status()
    found = answer.json()
    items = found.get("items", [found])
    if not items:
        return f"{path} is not there"
    standings = {each.get("status") for each in items}
    if record.standings and not standings & record.standings:
        return f"{path} is {', '.join(map(str, sorted(standings, key=str)))}"
    return ""
