"""After a fault: is all there that was promised? The checker says, and a look of our own at what was confirmed."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests import stored_log

from cludale_proof.checker import DataFolder, Observation, Report, Violation, check
from cludale_proof.checker.database import Database

SKEW = timedelta(seconds=1)
GRACE = timedelta(seconds=5)
SETTLED_SECONDS = 60


class Unkept(AssertionError):
    """A promise was not kept."""

    def __init__(self, violations: Sequence[Violation], omitted: int) -> None:
        described = [f"{each}\n    {each.story}" for each in violations]
        super().__init__("\n".join([*described, f"and {omitted} more" if omitted else ""]))


def safe(folder: Path, observations: Sequence[Observation] = (), *, skew: timedelta = SKEW) -> Report:
    """What must hold at any moment holds, whether a server runs or lies dead. Raises Unkept."""
    with DataFolder(folder) as found:
        return _kept(check(found, skew=skew, observations=observations))


def settled(folder: Path, observations: Sequence[Observation] = (), *, skew: timedelta = SKEW) -> Report:
    """Everything comes to its end, and then all of the promises are kept. Raises Unkept."""
    _becomes_empty(folder, "SELECT 1 FROM outbox LIMIT 1")  # what stays there for good, the checker names
    return _settled(lambda: DataFolder(folder), observations, skew=skew, seconds=SETTLED_SECONDS)


def at_rest(folder: Path, observations: Sequence[Observation] = ()) -> Report:
    """`settled`, and no hold is left that could still end: a server that is stopped now leaves nothing half done."""
    held = "SELECT 1 FROM concerts_reservation WHERE body ->> 'status' = 'Held' LIMIT 1"
    assert _becomes_empty(folder, held), "holds did not end"
    return settled(folder, observations)


def settled_database(url: str, observations: Sequence[Observation] = (), *, seconds: float) -> Report:
    """`settled` for services that stand apart over a PostgreSQL database: in so many seconds at most."""
    return _settled(lambda: Database(url, quiet=True), observations, skew=SKEW, seconds=seconds)


def _settled(
    opened: Callable[[], DataFolder | Database],
    observations: Sequence[Observation],
    *,
    skew: timedelta,
    seconds: float,
) -> Report:
    deadline = monotonic() + seconds
    while True:
        # A look at millions of events takes a minute, and tells of the moment at which it began.
        looked = monotonic()
        with opened() as found:
            report = check(found, quiet=True, skew=skew, grace=GRACE, observations=observations)
        if report.ok or looked > deadline:
            return _kept(report)
        sleep(max(0.3, 2 * (monotonic() - looked)))  # what is looked at wants the processor, too


def lost(folder: Path, orders: Collection[str]) -> set[str]:
    """Those of the orders that the store does not have."""
    return set(orders) - {id for (id,) in rows(folder, "SELECT id FROM orders_order")}


def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """What the store of a server that runs or lies dead answers."""
    with closing(sqlite3.connect(f"{(folder / 'cludale.db').as_uri()}?mode=ro", uri=True)) as store:
        return store.execute(sql).fetchall()


def payments(folder: Path) -> Counter[str]:
    """How many payments have each status."""
    return Counter(status for (status,) in rows(folder, "SELECT body ->> 'status' FROM payments_payment"))


def orders_of(folder: Path, concert: str) -> str:
    """In which states a concert's orders and their payments are, for whoever finds that they should be in others."""
    found = Counter(
        rows(
            folder,
            "SELECT o.body ->> 'status', o.body ->> 'reason', p.body ->> 'status',"
            " json_array_length(p.body, '$.attempts')"
            " FROM orders_order o LEFT JOIN payments_payment p ON p.body ->> 'orderId' = o.id"
            f" WHERE o.body ->> 'concertId' = '{concert}'",
        )
    )
    return "; ".join(
        f"{count} {status} ({reason}), payment {payment} after {attempts} attempts"
        for (status, reason, payment, attempts), count in found.most_common()
    )


def events(folder: Path) -> Counter[str]:
    """How many events of each type the log has."""
    return Counter(each[stored_log.TYPE] for each in stored_log.entries_in(folder / "cludale.db"))


def _becomes_empty(folder: Path, sql: str) -> bool:
    """Does the query find nothing any more within SETTLED_SECONDS? Returns as soon as that is so."""
    deadline = monotonic() + SETTLED_SECONDS
    while rows(folder, sql):
        if monotonic() >= deadline:
            return False
        sleep(0.3)
    return True


def _kept(report: Report) -> Report:
    if not report.ok:
        raise Unkept(report.violations, report.omitted)
    return report
