"""Plans the transaction for a batch of commits: which rows to write, and which commits fail. No I/O.

`hopeful` assumes that every record is at the version that the first commit to touch it expects, and that nothing
was handled before. The database then says whether that is so. If not, `exact` decides again knowing what is stored.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cludale.kernel.wire import Codec
from cludale.ports.outbox import Outgoing
from cludale.ports.records import COMMITTED, AlreadyHandled, Commit, Handled, Kind, Outcome, VersionConflict

Row = tuple[Any, ...]
"""id, version, body, and the values of the kind's indexed fields."""


class Rows:
    """What is written of one kind: one row a record, its last state in the batch."""

    __slots__ = ("bases", "changed", "fresh")

    def __init__(self) -> None:
        self.fresh: dict[str, Row] = {}
        self.changed: dict[str, Row] = {}
        self.bases: list[object] = []
        """id and version, in turn, of what `changed` stands on."""

    @property
    def size(self) -> int:
        """Bytes of all bodies."""
        return sum([len(row[2]) for row in (*self.fresh.values(), *self.changed.values())])


class Plan:
    """What one transaction is to write, and what it means for each commit."""

    __slots__ = ("entries", "failed", "handled", "outcomes", "rows")

    def __init__(self) -> None:
        self.rows: dict[Kind, Rows] = {}
        self.handled: dict[Handled, None] = {}
        self.entries: list[Outgoing] = []
        self.outcomes: Sequence[Outcome] = ()
        self.failed = False
        """Did any commit fail?"""


class Planner:
    """Plans batches for the kinds of one store. Each put and event of the platform goes through these loops."""

    def __init__(self, kinds: Collection[Kind], codec: Codec) -> None:
        self._widths: Mapping[Kind, int] = {kind: 3 + len(kind.indexed) for kind in kinds}
        self._topics: Mapping[str, str] = {
            event.__name__: topic.name for topic in codec.catalogue.topics for event in topic.events
        }
        self._encode = codec.encode

    def hopeful(self, commits: Sequence[Commit], position: int) -> Plan | None:
        """The plan if all goes well; None if it is plain already that a commit fails. Events go past `position`.

        Raises KeyError for a kind or event that the store doesn't know; ValueError for a wrong number of index values,
        and for changing what is written once.
        """
        plan = Plan()
        if not self._add_puts(plan, commits):
            return None
        handled = [entry for commit in commits for entry in commit.handled]
        plan.handled = dict.fromkeys(handled)
        if len(plan.handled) < len(handled):
            return None
        topics, encode = self._topics, self._encode
        for event in [event for commit in commits for event in commit.events]:
            position += 1
            plan.entries.append(Outgoing(position, topics[event.type], encode(event), event))
        plan.outcomes = (COMMITTED,) * len(commits)
        return plan

    def exact(
        self,
        commits: Sequence[Commit],
        position: int,
        *,
        versions: Mapping[tuple[Kind, str], int],
        handled: Collection[Handled],
    ) -> Plan:
        """The plan for what is stored: `versions` of the records that exist, `handled` of the inbox."""
        now = dict(versions)
        done = set(handled)
        outcomes: list[Outcome] = []
        good = []
        for commit in commits:
            outcome = _judge(commit, now, done)
            outcomes.append(outcome)
            if outcome is COMMITTED:
                now.update(((put.kind, put.id), put.expected + 1) for put in commit.puts)
                done.update(commit.handled)
                good.append(commit)
        plan = self.hopeful(good, position)
        if plan is None:
            raise AssertionError("commits were found good and then did not follow one another")
        plan.outcomes = outcomes
        plan.failed = len(good) < len(commits)
        return plan

    def _add_puts(self, plan: Plan, commits: Sequence[Commit]) -> bool:
        """False if one of their puts does not follow what the batch did before."""
        kind: Kind | None = None
        rows: Rows
        for put in [put for commit in commits for put in commit.puts]:
            if put.kind is not kind:
                kind = put.kind
                found = plan.rows.get(kind)
                rows = plan.rows[kind] = Rows() if found is None else found
                fresh, changed, bases = rows.fresh, rows.changed, rows.bases
            key, expected = put.id, put.expected
            row = (key, expected + 1, put.body) + put.index  # noqa: RUF005 - unpacking makes a list in between
            if expected:
                if kind.is_append_only:
                    raise ValueError(f"{key!r} can't be changed: {kind.service}/{kind.name} is written once")
                into = fresh if key in fresh else changed
                held = into.get(key)
                if held is None:
                    bases += (key, expected)
                elif held[1] != expected:
                    return False
                into[key] = row
            elif key in fresh or key in changed:
                return False
            else:
                fresh[key] = row
        for kind, rows in plan.rows.items():
            self._check_width(kind, rows.fresh)
            self._check_width(kind, rows.changed)
        return True

    def _check_width(self, kind: Kind, rows: Mapping[str, Row]) -> None:
        """Does each have a value for each field of the index? Asked once a batch. Raises ValueError."""
        width = self._widths[kind]
        if rows and set(map(len, rows.values())) != {width}:
            key, row = next((key, row) for key, row in rows.items() if len(row) != width)
            raise ValueError(f"{key!r}: {len(row) - 3} index values for the fields {kind.indexed}")


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
