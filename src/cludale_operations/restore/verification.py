"""Is a restored store whole, and what does it lack? Asked of the services that run over it; nothing is changed."""

from datetime import datetime
from typing import NamedTuple

import httpx

from cludale_operations.release.driver import Address, PlatformFailed
from cludale_operations.release.smoke import smoked
from cludale_operations.restore.records import compared

TIMEOUT_SECONDS = 600.0
"""A long log takes its time to be followed."""


class Log(NamedTuple):
    """What audit says of its log."""

    is_whole: bool
    events: int
    head: str
    noted_at: int | None
    """At which entry the head stands that was asked for; None if it is not there, or none was asked for."""
    what: str
    """What is broken; empty if nothing is."""


def log_of(address: Address, organizer_key: str, *, head: str | None = None) -> Log:
    """Have the whole chain followed. Raises PlatformFailed."""
    headers = {**address.headers, "authorization": f"Bearer {organizer_key}"}
    try:
        answer = httpx.get(
            f"{address.url}/audit/verify",
            params={} if head is None else {"head": head},
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            verify=address.verify,
        )
        verdict = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise PlatformFailed(f"{address.url}/audit/verify: {error}") from error
    if answer.is_error:
        raise PlatformFailed(f"{address.url}/audit/verify: {answer.status_code} {verdict.get('detail', '')}")
    broken, noted = verdict.get("broken"), verdict.get("noted")
    return Log(
        broken is None,
        verdict["events"],
        verdict["head"],
        None if noted is None else noted["sequence"],
        "" if broken is None else f"entry {broken['sequence']}: {broken['what']}",
    )


class Verified(NamedTuple):
    """What was found over a restored store."""

    log: Log
    records: int
    """How many records were held against the log."""
    wrong: list[str]


def verified(address: Address, organizer_key: str, moment: datetime, head: str | None) -> Verified:
    """Whether services answer, the log is whole, and records are as it says.

    `head`: a head of the log from before the moment that was restored to; it has to be there. Raises PlatformFailed.
    """
    wrong = smoked(address, organizer_key)
    log = log_of(address, organizer_key, head=head)
    if not log.is_whole:
        wrong.append(f"the log is broken at {log.what}")
    if head is not None and log.noted_at is None:
        wrong.append(f"the log lacks the head {head}, which was there at the moment that was restored to")
    found = compared(address, organizer_key, moment)
    return Verified(log, found.records, wrong + found.wrong)
