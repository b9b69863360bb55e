"""Plans the transaction for a batch of commits: which rows to write, and which commits fail. No I/O.

`hopeful` assumes that every record is at the version that the first commit to touch it expects. The database then says
whether that is so. If not, `exact` decides again knowing what is stored.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from cludale.kernel.events import Envelope
from cludale.kernel.wire import Codec
from cludale.ports.outbox import Outgoing
from cludale.ports.records import COMMITTED, Commit, Kind, Outcome, VersionConflict

Row = tuple[Any, ...]
"""id, version, body, and the values of the kind's indexed fields."""


class Rows(msgspec.Struct):
    """What is written of one kind: one row a record, its last state in the batch."""

    fresh: dict[str, Row] = {}
    changed: dict[str, Row] = {}
    bases: list[object] = []
    """id and version, in turn, of what `changed` stands on."""


class Plan(msgspec.Struct):
    """What one transaction is to write, and what it means for each commit."""

    rows: dict[Kind, Rows] = {}
    entries: list[Outgoing] = []
    outcomes: Sequence[Outcome] = ()
    failed: bool = False
    """Did any commit fail?"""


class Planner:
    """Plans batches for the kinds of one store. Each put and event of the platform goes through these loops."""

    def __init__(self, kinds: Collection[Kind], codec: Codec) -> None:
        self._kinds = frozenset(kinds)
        self._published: Mapping[str, tuple[str, Callable[[Envelope], bytes]]] = {
            name: (codec.catalogue.topic_of(name).name, encode) for name, encode in codec.encoders.items()
        }
        """By event type: its topic, and what makes bytes of it."""

    def hopeful(self, commits: Sequence[Commit], position: int) -> Plan | None:
        """The plan if all goes well; None if it is plain already that a commit fails. Events go past `position`.

        Raises KeyError for a kind or event that the store doesn't know; ValueError for a wrong number of index values,
        and for changing what is written once.
        """
        plan = Plan()
        if not self._add_puts(plan, commits):
            return None
        entries = plan.entries
        for commit in commits:
            for event in commit.events:
                position += 1
                topic, encode = self._published[event.type]
                entries.append(Outgoing(position, topic, encode(event), event))
        plan.outcomes = (COMMITTED,) * len(commits)
        return plan

    def exact(self, commits: Sequence[Commit], position: int, *, versions: Mapping[tuple[Kind, str], int]) -> Plan:
        """The plan for what is stored: `versions` of the records that exist."""
        now = dict(versions)
        outcomes: list[Outcome] = []
        good = []
        for commit in commits:
            outcome = _judge(commit, now)
            outcomes.append(outcome)
            if outcome is COMMITTED:
                now.update(((put.kind, put.id), put.expected + 1) for put in commit.puts)
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
        width = 0
        for commit in commits:
            for put in commit.puts:
                if put.kind is not kind:
                    kind = put.kind
                    rows = plan.rows.get(kind)
                    if rows is None:
                        if kind not in self._kinds:
                            raise KeyError(kind)
                        rows = plan.rows[kind] = Rows()
                    fresh, changed, bases, width = rows.fresh, rows.changed, rows.bases, 3 + len(kind.indexed)
                key, expected = put.id, put.expected
                row = (key, expected + 1, put.body) + put.index  # noqa: RUF005 - unpacking makes a list in between
                if len(row) != width:
                    raise ValueError(f"{key!r}: {len(row) - 3} index values for the fields {kind.indexed}")
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
        return True


def _judge(commit: Commit, versions: Mapping[tuple[Kind, str], int]) -> Outcome:
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
