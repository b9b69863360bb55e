"""What the log answers: by type, order, concert and time, in pages, and the story of an order."""

from datetime import timedelta

import pytest
from tests.fakes import NOON
from tests.product.services.audit.samples import delivered, paid, placed, reserved, told

from cludale.kernel.refusals import NotFound
from cludale.services.audit.domain import StoryEntry, story
from cludale.services.audit.service import Audit
from cludale.services.audit.store import Filter


async def ids(audit: Audit, wanted: Filter) -> list[str]:
    entries, _ = await audit.events(wanted)
    return [entry.event_id for entry in entries]


async def two_orders(audit: Audit) -> None:
    later = NOON + timedelta(seconds=1)
    await audit.handle(
        delivered(
            placed("a1", "order-a"),
            placed("b1", "order-b"),
            reserved("a2", "a1", "order-a", later),
            reserved("b2", "b1", "order-b", later),
            paid("a3", "a2", "order-a", later + timedelta(seconds=1)),
        )
    )


async def test_events_are_found_by_type_order_concert_and_time(audit: Audit) -> None:
    await two_orders(audit)
    assert await ids(audit, Filter(type="OrderPlaced")) == ["a1", "b1"]
    assert await ids(audit, Filter(order_id="order-a")) == ["a1", "a2", "a3"]
    assert await ids(audit, Filter(order_id="order-a", type="OrderPaid")) == ["a3"]
    assert len(await ids(audit, Filter(concert_id="concert-1"))) == 5
    assert await ids(audit, Filter(concert_id="concert-2")) == []
    one = NOON + timedelta(seconds=1)
    two = NOON + timedelta(seconds=2)
    assert await ids(audit, Filter(since=one, until=two)) == ["a2", "b2"]
    assert await ids(audit, Filter(since=two)) == ["a3"]
    assert await ids(audit, Filter(until=one, type="OrderPlaced")) == ["a1", "b1"]


async def test_answers_come_in_pages(audit: Audit) -> None:
    await two_orders(audit)
    first, page = await audit.events(Filter(order_id="order-a"), limit=2)
    second, last = await audit.events(Filter(order_id="order-a"), limit=2, after=page.next)
    assert [entry.event_id for entry in (*first, *second)] == ["a1", "a2", "a3"]
    assert last.next is None


async def test_the_latest_come_first_if_that_is_asked_for(audit: Audit) -> None:
    await two_orders(audit)
    latest, page = await audit.events(Filter(order_id="order-a"), limit=2, descending=True)
    rest, _ = await audit.events(Filter(order_id="order-a"), limit=2, after=page.next, descending=True)
    assert [entry.event_id for entry in (*latest, *rest)] == ["a3", "a2", "a1"]


async def test_the_story_of_an_order_has_its_causes_before_its_effects(audit: Audit) -> None:
    await two_orders(audit)
    assert [entry.event_id for entry in await audit.story("order-a")] == ["a1", "a2", "a3"]


async def test_the_story_follows_causes_even_where_clocks_differ(audit: Audit) -> None:
    early = NOON - timedelta(seconds=30)
    await audit.handle(delivered(placed("e1"), reserved("e2", "e1", at=early), paid("e3", "e2")))
    await audit.handle(delivered(told("e4", "e3", at=early)))
    assert [entry.event_id for entry in await audit.story("order-1")] == ["e1", "e2", "e3", "e4"]


async def test_an_order_that_nobody_heard_of_has_no_story(audit: Audit) -> None:
    with pytest.raises(NotFound):
        await audit.story("order-unheard-of")


def test_what_has_no_common_cause_is_told_by_time_then_by_sequence() -> None:
    entries = [
        StoryEntry(1, "a", None, NOON),
        StoryEntry(2, "late", "a", NOON + timedelta(seconds=9)),
        StoryEntry(3, "early", None, NOON + timedelta(seconds=1)),
        StoryEntry(4, "same-time", None, NOON + timedelta(seconds=1)),
        StoryEntry(5, "of-late", "late", NOON),
    ]
    assert [entries[at].event_id for at in story(entries)] == ["a", "early", "same-time", "late", "of-late"]


def test_a_story_with_forged_causes_is_told_all_the_same() -> None:
    entries = [StoryEntry(1, "a", "b", NOON), StoryEntry(2, "b", "a", NOON), StoryEntry(3, "c", "c", NOON)]
    assert [entries[at].event_id for at in story(entries)] == ["c", "a", "b"]
