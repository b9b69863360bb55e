"""The rules of the audit log's segments: one after another, each in a partition of its own, none written once sealed.

That the entries of all of them are one chain is in `log_rules.py`.
"""

from collections.abc import Iterable

from cludale_proof.checker.documents import Head
from cludale_proof.checker.findings import Violation
from cludale_proof.checker.log_rules import broken


class Segments:
    """The segments as commits write them, by partition."""

    def __init__(self, entries_limit: int | None) -> None:
        """`entries_limit` is how many entries a segment has when it is to be sealed, if that is known."""
        self._limit = entries_limit
        self._heads: dict[str, Head] = {}
        self._last: Head | None = None

    def write(self, partition: str, head: Head) -> list[Violation]:
        """A commit wrote this head into a partition, as each that records something does. Returns what is wrong."""
        before = self._heads.get(partition)
        wrong: list[Violation] = []
        if before is not None and before.sealed_at is not None:
            detail = f"{partition} was sealed at entry {before.sequence}, and is written to"
            wrong.append(broken(head.sequence, "after-the-seal", detail))
        elif before is None:
            wrong += _beginning(head, self._last)
        if self._limit is not None and head.is_open and not head.waiting and head.length >= self._limit:
            detail = f"{partition} has {head.length} entries and is not sealed, though nothing waits in it"
            wrong.append(broken(head.sequence, "not-sealed", detail))
        self._heads[partition] = self._last = head
        return wrong


def one_after_another(heads: Iterable[Head]) -> list[Violation]:
    """What is wrong with the heads of a log as they stand in its store."""
    wrong: list[Violation] = []
    before: Head | None = None
    for head in sorted(heads, key=lambda each: each.segment):
        wrong += _beginning(head, before)
        before = head
    return wrong


def _beginning(head: Head, before: Head | None) -> list[Violation]:
    """Does a segment begin where the one before it was sealed?"""
    if before is None:
        expected, end = 0, 0
    elif before.is_open:
        return [broken(head.sequence, "segment", f"segment {head.segment} begins, and the one before is not sealed")]
    else:
        expected, end = before.segment + 1, before.sequence
    if (head.segment, head.before) == (expected, end):
        return []
    detail = f"segment {head.segment} begins after entry {head.before}; segment {expected} has to, after entry {end}"
    return [broken(head.sequence, "segment", detail)]
