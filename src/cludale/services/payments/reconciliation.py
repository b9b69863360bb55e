"""A reconciliation and how far it has come: the provider's books of a time, page by page. No I/O, clock or HTTP.

It goes over what the provider took (`BOOKS`), then over the payments here (`HERE`), for money that the provider doesn't
know. Finding a difference twice changes nothing, so one that a crash cut off goes on from where it was written down.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from cludale.kernel.backoff import Backoff
from cludale.kernel.ids import from_key

WAITS = Backoff(1.0, 300.0)
"""Before a provider is asked again that gives no answer."""


class Phase(StrEnum):
    """What it goes over."""

    BOOKS = "books"
    HERE = "here"


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """One comparison of the provider's books with the payments here."""

    id: str
    since: datetime
    """Charges that began then or later."""
    until: datetime
    """And before this."""
    on_schedule: bool = False
    started_at: datetime
    due_at: datetime | None = None
    """When it takes its next turn, or until when somebody has it."""
    phase: Phase = Phase.BOOKS
    after: str | None = None
    """The cursor in it."""
    compared: int = 0
    """Charges of the provider's that were looked at."""
    others: int = 0
    """Charges of the provider's that are not this platform's."""
    payments: int = 0
    """Payments here that were looked at."""
    found: Mapping[str, int] = {}
    """Differences that were found, by kind; those of earlier reconciliations that still stand, too."""
    tries: int = 0
    """Turns in a row that got no answer."""
    trouble: str = ""
    """What went wrong at the last of them."""
    finished_at: datetime | None = None


def begin(id: str, *, since: datetime, until: datetime, on_schedule: bool, now: datetime) -> Reconciliation:
    """A reconciliation of this time, to be begun now."""
    return Reconciliation(id=id, since=since, until=until, on_schedule=on_schedule, started_at=now, due_at=now)


def slot_id(now: datetime, every: timedelta) -> str:
    """The id of the one on schedule at this time: all processes name the same."""
    return from_key("reconciliation", "schedule", str(int(now.timestamp() // every.total_seconds())))


def take_up(state: Reconciliation, *, now: datetime, until: datetime) -> Reconciliation:
    """Claim it, if it is due: nobody else takes it up before `until`."""
    return state if state.due_at is None or state.due_at > now else replace(state, due_at=until)


def onwards(
    state: Reconciliation,
    following: str | None,
    *,
    looked_at: int,
    others: int,
    found: Mapping[str, int],
    now: datetime,
) -> Reconciliation:
    """After a page on which these differences were found, by kind."""
    counts = {kind: state.found.get(kind, 0) + found.get(kind, 0) for kind in (*state.found, *found)}
    seen = replace(state, found=counts, tries=0, trouble="", after=following)
    if state.phase is Phase.BOOKS:
        seen = replace(seen, compared=state.compared + looked_at, others=state.others + others)
    else:
        seen = replace(seen, payments=state.payments + looked_at)
    if following is not None:
        return seen
    if state.phase is Phase.BOOKS:
        return replace(seen, phase=Phase.HERE)
    return replace(seen, finished_at=now, due_at=None)


def put_off(state: Reconciliation, why: str, *, now: datetime) -> Reconciliation:
    """No answer: go on later, from where it was written down last."""
    if state.finished_at is not None:
        return state
    wait = timedelta(seconds=WAITS.seconds(state.tries + 1))
    return replace(state, due_at=now + wait, tries=state.tries + 1, trouble=why)
