"""The rules of the audit log as a chain: numbers without a gap, hashes that follow, each event once.

Causes before effects are a matter of each order, in `order_rules.py`.
"""

from collections.abc import Sequence
from hashlib import sha256

from cludale_proof.checker.documents import Body, Head, Unreadable
from cludale_proof.checker.events import AuditEntry, Fact, entry, event
from cludale_proof.checker.findings import Invariant, Violation, violated

GENESIS = "0" * 64


def broken(sequence: int, rule: str, detail: str) -> Violation:
    """An entry that isn't what it has to be."""
    return violated(Invariant.WHOLE_LOG, rule, f"audit entry {sequence}", detail)


def _link(before: str, raw: bytes, late: bool) -> str:  # noqa: FBT001 - it is what the entry says
    return sha256(before.encode() + raw + (b"late" if late else b"")).hexdigest()


class Chain:
    """The log, followed entry by entry.

    Each hash is SHA-256 of the hash before it, in hexadecimal, the event, and `late` where the entry is marked so.
    """

    def __init__(self, heads: Sequence[Head] = ()) -> None:
        """`heads` are those of the log's segments, as far as they are known before."""
        self.sequence = 0
        self.hash = GENESIS
        self._seals = {head.sequence: head.hash for head in heads if head.sealed_at is not None}

    def follow(self, id: str, body: Body) -> tuple[Fact | None, bytes, list[Violation]]:
        """Take the next entry. Returns its event (None: unreadable), that event's bytes, and what is wrong."""
        expected = self.sequence + 1
        try:
            found: AuditEntry = entry(body)
        except Unreadable as error:
            self.sequence, self.hash = expected, ""
            return None, b"", [broken(expected, "unreadable", str(error))]
        raw = bytes(found.event)
        wrong: list[Violation] = []
        if found.sequence == self.sequence:
            wrong.append(broken(expected, "repeated", f"in its place stands a second entry {found.sequence}"))
        elif found.sequence != expected:
            wrong.append(broken(expected, "gap", f"in its place stands entry {found.sequence}"))
        if self.hash and found.hash != _link(self.hash, raw, found.late):
            wrong.append(broken(found.sequence, "hash", "its hash does not follow from the one before and its event"))
        self.sequence, self.hash = found.sequence, found.hash
        if self._seals.get(self.sequence, self.hash) != self.hash:
            wrong.append(broken(self.sequence, "seal", "the segment that ends here was sealed with another hash"))
        try:
            read = event(raw)
        except Unreadable as error:
            return None, raw, [*wrong, broken(found.sequence, "unreadable", f"its event: {error}")]
        if read.id != id:
            wrong.append(broken(found.sequence, "another-event", f"{id} holds the event {read.id}"))
        marked = found.cause_missing or found.late
        return Fact(event=read, sequence=found.sequence, cause_missing=marked, late=found.late), raw, wrong

    def ends_at(self, head: Head | None) -> list[Violation]:
        """Does the log's own head say the same?"""
        told = (head.sequence, head.hash) if head is not None else (0, GENESIS)
        if told == (self.sequence, self.hash):
            return []
        if told[0] != self.sequence:
            return [broken(self.sequence, "head", f"the head says that there are {told[0]} entries")]
        return [broken(self.sequence, "head", "the head has another hash than the last entry")]
