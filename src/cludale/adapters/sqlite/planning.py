"""What a batch of commits comes to, before a transaction: which rows to write, and which commits fail. No I/O.

`hopeful` assumes that every record is at the version that the first commit to touch it expects, and that nothing
was handled before. SQLite then says whether that is so. If not, `exact` decides again knowing what is stored.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from cludale.adapters.sqlite.schema import Table
from cludale.kernel.wire import Codec
from cludale.ports.outbox import Outgoing
from cludale.ports.records import COMMITTED, AlreadyHandled, Commit, Handled, Kind, Outcome, VersionConflict


class Rows:
    """What is written to one table: flat values, one row of `table.width` a record, its last state only."""

    __slots__ = ("_at", "_width", "bases", "inserts", "updates")

    def __init__(self, table: Table) -> None:
        self._width: Final = table.width
        self._at: dict[str, tuple[list[object], int]] = {}
        self.inserts: list[object] = []
        self.updates: list[object] = []
        self.bases: list[object] = []
        """(id, version) of what `updates` stands on, flat."""

    def put(self, id: str, body: bytes, expected: int, index: tuple[object, ...]) -> bool:
        """Add a write. False if it does not follow the one before it in this batch."""
        held = self._at.get(id)
        if held is None:
            if expected:
                rows = self.updates
                self.bases += (id, expected)
            else:
                rows = self.inserts
            self._at[id] = (rows, len(rows))
            rows += (id, expected + 1, body, *index)
            return True
        rows, at = held
        if rows[at + 1] != expected:
            return False
        rows[at : at + self._width] = (id, expected + 1, body, *index)
        return True


class Plan:
    """What one transaction is to write, and what it means for each commit."""

    __slots__ = ("entries", "handled", "outcomes", "rows")

    def __init__(self) -> None:
        self.rows: dict[Table, Rows] = {}
        self.handled: dict[Handled, None] = {}
        self.entries: list[Outgoing] = []
        self.outcomes: Sequence[Outcome] = ()


def hopeful(commits: Sequence[Commit], tables: Mapping[Kind, Table], codec: Codec, position: int) -> Plan | None:
    """The plan if all goes well; None if it is plain already that a commit fails. Events go past `position`."""
    plan = Plan()
    for commit in commits:
        if not _add(plan, commit, tables, codec, position):
            return None
    plan.outcomes = (COMMITTED,) * len(commits)
    return plan


def exact(
    commits: Sequence[Commit],
    tables: Mapping[Kind, Table],
    codec: Codec,
    position: int,
    *,
    versions: Mapping[tuple[Kind, str], int],
    handled: Collection[Handled],
) -> Plan:
    """The plan for what is stored: `versions` of the records that exist, `handled` of the inbox."""
    plan = Plan()
    now = dict(versions)
    done = set(handled)
    outcomes: list[Outcome] = []
    for commit in commits:
        outcome = _judge(commit, now, done)
        outcomes.append(outcome)
        if outcome is COMMITTED:
            now.update(((put.kind, put.id), put.expected + 1) for put in commit.puts)
            done.update(commit.handled)
            if not _add(plan, commit, tables, codec, position):
                raise AssertionError(f"a commit was found good and then did not follow: {commit}")
    plan.outcomes = outcomes
    return plan


def _judge(commit: Commit, versions: Mapping[tuple[Kind, str], int], handled: Collection[Handled]) -> Outcome:
    repeated = [entry for entry in commit.handled if entry in handled]
    if repeated:
        return AlreadyHandled(frozenset(entry.event_id for entry in repeated))
    within: dict[tuple[Kind, str], int] = {}
    conflicts = set()
    for put in commit.puts:
        key = (put.kind, put.id)
        held = within.get(key)
        if held is None:
            held = versions.get(key, 0)
        if held != put.expected:
            conflicts.add(put.id)
        within[key] = put.expected + 1
    return VersionConflict(frozenset(conflicts)) if conflicts else COMMITTED


def _add(plan: Plan, commit: Commit, tables: Mapping[Kind, Table], codec: Codec, position: int) -> bool:
    rows = plan.rows
    for kind, identity, body, expected, index in commit.puts:
        table = tables[kind]
        of_table = rows.get(table)
        if of_table is None:
            of_table = rows[table] = Rows(table)
        if len(index) != len(kind.indexed):
            raise ValueError(f"{identity!r}: {len(index)} index values for the fields {kind.indexed} of {kind.name}")
        if not of_table.put(identity, body, expected, index):
            return False
    handled = plan.handled
    for entry in commit.handled:
        if entry in handled:
            return False
        handled[entry] = None
    if commit.events:
        entries = plan.entries
        topic_of = codec.catalogue.topic_of
        encode = codec.encode
        for event in commit.events:
            entries.append(Outgoing(position + len(entries) + 1, topic_of(event.type).name, encode(event)))
    return True
