"""`python -m tests.proof.faults.crashing POINT TURN RECORD ARGUMENT…`: `cludale ARGUMENT…`, killed at a named point.

The program under test knows nothing of this: SQLite tells (apsw's connection hooks, statement traces and VFS), in
the process itself, what is being done. The TURN-th time that POINT is reached the process writes a line into RECORD
and kills itself with SIGKILL. POINT `power-cut` also leaves behind, in the folder RECORD.disk, what a disk would hold
if the power had gone then (TURN counts the disk's operations).
"""

import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import apsw
from tests.proof.faults.disk import REAL, Disk, Loss

from cludale_operations.cli import main as cludale

STORE, LEDGER = "cludale.db", "simulated-provider.db"
POWER_CUT = "power-cut"


class When(StrEnum):
    """Before the transaction is committed, or once it is."""

    BEFORE = "before"
    AFTER = "after"


class Point(NamedTuple):
    """A moment: a transaction of `file` in which a statement began with `statement` is about to commit, or has."""

    file: str
    statement: str
    when: When
    meaning: str


def _insert(table: str) -> str:
    return f"INSERT OR FAIL INTO {table}("


POINTS = {
    "hold-durable": Point(
        STORE, _insert("concerts_reservation"), When.AFTER, "the seats are held, the order is not written yet"
    ),
    "order-undurable": Point(
        STORE, _insert("orders_order"), When.BEFORE, "within the transaction that writes the order"
    ),
    "order-durable": Point(
        STORE, _insert("orders_order"), When.AFTER, "the order is written, its buyer has no answer yet"
    ),
    "payment-begun": Point(
        STORE, _insert("payments_payment"), When.AFTER, "the payment is written, the provider was not asked yet"
    ),
    "charged": Point(LEDGER, "INSERT OR", When.AFTER, "the provider has taken the money, that is not written yet"),
    "handled": Point(
        STORE, _insert("tickets_order_tickets"), When.AFTER, "an event's effect is written, the bus does not know yet"
    ),
    "answer-kept": Point(
        STORE, _insert("orders_answer"), When.AFTER, "an idempotency key's answer is kept and was not sent yet"
    ),
    "published": Point(STORE, "DELETE FROM outbox", When.BEFORE, "events were delivered, and that is not written yet"),
    "delivered": Point(STORE, "DELETE FROM outbox", When.AFTER, "events were taken from the outbox"),
    "audited": Point(STORE, _insert("audit_event"), When.AFTER, "the log is longer, the bus does not know yet"),
    "notified": Point(
        STORE, _insert("notifications_notification"), When.AFTER, "the message is written, and perhaps sent"
    ),
}
CHECKPOINT = "checkpoint"
"""In mid checkpoint: some pages were copied from the log to the file, others not."""


class Fuse:
    """Burns at each pass and kills the process at the last one."""

    def __init__(self, name: str, turn: int, record: Path) -> None:
        self._name = name
        self._left = turn
        self._record = record

    def burn(self) -> None:
        """One pass."""
        self._left -= 1
        if self._left == 0:
            self.blow()

    def blow(self) -> None:
        """The end."""
        with self._record.open("a") as record:
            record.write(f"{self._name}\n")
        os.kill(os.getpid(), signal.SIGKILL)


class _Watch:
    """Follows one connection's transactions up to the point."""

    def __init__(self, point: Point, fuse: Fuse) -> None:
        self._point = point
        self._fuse = fuse
        self._marked = False

    def see(self, seen: dict[str, Any]) -> None:
        sql: str = seen.get("sql") or ""
        starts = seen["code"] == apsw.SQLITE_TRACE_STMT
        if starts and sql.startswith("BEGIN"):
            self._marked = False
        elif starts and sql.startswith(self._point.statement) and "ON CONFLICT" not in sql:
            self._marked = True
        elif sql == "COMMIT" and self._marked and starts == (self._point.when is When.BEFORE):
            self._marked = False
            self._fuse.burn()


class _CheckpointWatch(apsw.VFS):
    """Counts what is written to the store's main file: once the store is set up, only checkpoints write there."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__("checkpoint-watch", base=REAL, makedefault=True)
        self.fuse = fuse

    def xOpen(self, name: "str | apsw.URIFilename | None", flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        """Open a file."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is not None and Path(path).name == STORE:
            return _CheckpointedFile(self.fuse, name, flags)
        return apsw.VFSFile(REAL, name, flags)


class _CheckpointedFile(apsw.VFSFile):
    def __init__(self, fuse: Fuse, name: "str | apsw.URIFilename | None", flags: list[int]) -> None:
        super().__init__(REAL, name, flags)
        self._fuse = fuse

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        super().xWrite(data, offset)
        self._fuse.burn()


def arm(name: str, turn: int, record: Path) -> object:
    """Have the process end at that point. Returns what has to live as long as the process does."""
    fuse = Fuse(name, turn, record)
    if name == CHECKPOINT:
        return _CheckpointWatch(fuse)
    if name == POWER_CUT:
        random = Random(turn)
        disk = Disk("power-cut", default=True, only=STORE)

        def cut_when_due() -> None:
            if disk.operations == turn:
                disk.cut(random.choice((Loss.ALL, Loss.HALF)), random).write(Path(f"{record}.disk"))
                fuse.blow()

        disk.on_operation = cut_when_due
        return disk
    point = POINTS[name]

    def hook(connection: apsw.Connection) -> None:
        if Path(connection.filename).name == point.file:
            watch = _Watch(point, fuse)
            connection.trace_v2(apsw.SQLITE_TRACE_STMT | apsw.SQLITE_TRACE_PROFILE, watch.see)

    apsw.connection_hooks.append(hook)
    return hook


def main() -> None:
    """Arm, then be `cludale`."""
    name, turn, record, *arguments = sys.argv[1:]
    armed = arm(name, int(turn), Path(record))
    sys.argv[1:] = arguments
    try:
        cludale()
    finally:
        del armed


if __name__ == "__main__":
    main()
