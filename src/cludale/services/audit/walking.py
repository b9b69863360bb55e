"""The chain followed step by step over the stored entries, so that a check can say how far it is, and go on later."""

import asyncio
import base64
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from cludale.ports.records import Page, Records, UnusableCursor
from cludale.services.audit import store
from cludale.services.audit.domain import Broken, Head, Link, follow
from cludale.services.audit.segments import Seal, broken_seal, segment_after
from cludale.services.audit.store import ENTRY

VERIFY_PAGE = 500
"""Entries verified at a time: some 2 ms in which others wait for the interpreter."""


class Walk(NamedTuple):
    """How far a check of the chain has come."""

    head: Head = Head()
    """The last entry that holds."""
    after: str | None = None
    """Where the store's next page begins."""
    late: int = 0
    """Entries so far that are marked."""
    broken: Broken | None = None
    good: Sequence[Link] = ()
    """The entries of the last step that hold."""


async def step(records: Records, walk: Walk, until: Head, ends: Sequence[Seal]) -> Walk:
    """The check, a page further. `until` is the end of the chain, `ends` those of its sealed segments."""
    segment = segment_after(walk.head.sequence, ends)
    page = await records.find(ENTRY, store.walk(walk.after, VERIFY_PAGE, segment))
    head, broken, good = await asyncio.to_thread(_follow, walk.head, page, until, ends)
    if broken is None and (unsealed := broken_seal(good, ends)) is not None:
        broken = Broken(unsealed, "a segment ends here, and its head is missing or has another hash")
    return Walk(head, page.next, walk.late + sum(each.late for each in good), broken, good)


class _Place(msgspec.Struct, frozen=True, array_like=True):
    sequence: Annotated[int, Meta(ge=0, le=(1 << 53))]
    hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$(?!\\n)")]
    late: Annotated[int, Meta(ge=0, le=(1 << 53))]
    after: Annotated[str, Meta(max_length=3_000)] | None


def written(walk: Walk) -> str:
    """Where a check is, as text that whoever asks for its next part gives back."""
    place = _Place(walk.head.sequence, walk.head.hash, walk.late, walk.after)
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def read(text: str | None) -> Walk:
    """The check that is there. Raises UnusableCursor for what is no such text."""
    if text is None:
        return Walk()
    try:
        place = msgspec.json.decode(base64.b64decode(text, altchars=b"-_", validate=True), type=_Place)
    except (ValueError, msgspec.MsgspecError) as error:
        raise UnusableCursor(f"{text[:100]!r} is no place in the chain") from error
    return Walk(Head(place.sequence, place.hash), place.after, place.late)


def _follow(head: Head, page: Page, until: Head, ends: Sequence[Seal]) -> tuple[Head, Broken | None, list[Link]]:
    """Follow the chain over a page of entries, as far as `until`; also those that follow as they must."""
    links, unreadable = store.links_of(page.items)
    links = [each for each in links if each.sequence <= until.sequence]
    reached, broken = follow(head, links)
    good = links if broken is None else [each for each in links if each.sequence <= reached.sequence]
    if broken is None:
        broken = _missing(reached, page, until, unreadable, ends)
    return reached, broken, good


def _missing(
    reached: Head, page: Page, until: Head, unreadable: Exception | None, ends: Sequence[Seal]
) -> Broken | None:
    """What is wrong behind the last entry that follows."""
    if unreadable is not None and reached.sequence < until.sequence:
        return Broken(reached.sequence + 1, f"unreadable: {unreadable}")
    # A store with partitions has nothing more of a segment where that ends.
    is_over = page.next is None and not (page.items and any(reached.sequence == seal.sequence for seal in ends))
    if is_over and reached.sequence < until.sequence:
        return Broken(reached.sequence + 1, f"missing: the head says that there are {until.sequence} entries")
    if reached.sequence == until.sequence and reached.hash != until.hash:
        return Broken(reached.sequence, "the head has another hash than the last entry")
    return None
