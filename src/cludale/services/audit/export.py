"""The log as lines of text, to be kept elsewhere: read on from where the last reading ended, and verified each time.

A line is JSON: an entry with its event as a string, byte for byte. So whoever has the lines can compute the chain
again, without us. No files here.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec

from cludale.ports.records import Page, Records, UnusableCursor
from cludale.services.audit import store
from cludale.services.audit.domain import GENESIS, Broken, Head, Link, follow
from cludale.services.audit.segments import broken_seal, heads, seals, segment_after
from cludale.services.audit.store import ENTRY

PAGE = 1_000


class ExportedEntry(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """An entry as it is exported."""

    sequence: int
    received_at: datetime
    hash: str
    event: str
    """The CloudEvent as it was on the wire."""
    late: bool = False
    cause_missing: bool = False
    """The mark in logs of older versions, whose hashes don't cover it."""


class Reached(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """How far a reading came: the last entry's number and hash, and the cursor of the page that it was in."""

    sequence: int = 0
    hash: str = GENESIS
    cursor: str | None = None


class ChainBroken(Exception):
    """The log is not whole, so no more of it is exported."""

    def __init__(self, broken: Broken) -> None:
        super().__init__(f"entry {broken.sequence}: {broken.what}")
        self.broken = broken


_lines = msgspec.json.Decoder(ExportedEntry)
encode = msgspec.json.Encoder().encode
"""A line's bytes, without the end of line; there is none within."""


async def read_on(records: Records, reached: Reached) -> AsyncIterator[tuple[list[ExportedEntry], Reached]]:
    """The entries past `reached`, a page at a time, up to those that there are now. Raises ChainBroken."""
    known = [each async for each in heads(records)]
    if not known or known[-1].sequence <= reached.sequence:
        return
    until = known[-1]
    ends = await seals(records, until)
    cursor = reached.cursor
    while reached.sequence < until.sequence:
        segment = segment_after(reached.sequence, ends)
        try:
            page = await records.find(ENTRY, store.walk(cursor, PAGE, segment))
        except UnusableCursor:  # another store than the one in which the last reading ended
            cursor = None
            continue
        entries, links = _past(page, reached.sequence, until.sequence)
        head, broken = follow(Head(reached.sequence, reached.hash), links)
        if broken is None and (unsealed := broken_seal(links, ends)) is not None:
            broken = Broken(unsealed, "a segment ends here, and its head is missing or has another hash")
        if broken is None and not entries and page.next is None:
            broken = Broken(head.sequence + 1, f"missing: the head says that there are {until.sequence} entries")
        if broken is None and head.sequence == until.sequence and head.hash != until.hash:
            broken = Broken(head.sequence, "the head has another hash than the last entry")
        if broken is not None:
            raise ChainBroken(broken)
        reached = Reached(head.sequence, head.hash, page.next or cursor)
        # Where a partition ends with its segment, the next one is read from its beginning.
        cursor = page.next
        if entries:
            yield entries, reached


def _past(page: Page, reached: int, until: int) -> tuple[list[ExportedEntry], list[Link]]:
    """Those of a page's entries that come after `reached`, up to `until`. Raises ChainBroken for what can't be read."""
    lines: list[ExportedEntry] = []
    links: list[Link] = []
    for stored in page.items:
        try:
            entry = store.entry_of(stored)
            if not reached < entry.sequence <= until:
                continue
            event = bytes(entry.event)
            links.append(Link(entry.sequence, stored.id, store.id_of(event), event, entry.hash, entry.late))
            mark = entry.cause_missing
            lines.append(ExportedEntry(entry.sequence, entry.received_at, entry.hash, event.decode(), entry.late, mark))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ChainBroken(Broken(reached + len(lines) + 1, f"unreadable: {error}")) from error
    return lines, links


def follow_lines(head: Head, lines: Sequence[bytes]) -> tuple[Head, Broken | None, list[Link]]:
    """The head after these lines of an export, what is wrong with the first that does not follow, and those before."""
    links: list[Link] = []
    for raw in lines:
        try:
            line = _lines.decode(raw)
            event = line.event.encode()
            id = store.id_of(event)
        except msgspec.MsgspecError as error:
            reached, broken = follow(head, links)
            return reached, broken or Broken(reached.sequence + 1, f"unreadable: {error}"), links
        links.append(Link(line.sequence, id, id, event, line.hash, line.late))
    reached, broken = follow(head, links)
    return reached, broken, [each for each in links if each.sequence <= reached.sequence]
