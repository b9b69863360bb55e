"""Dead letters are kept whole, once, and can be looked through."""

from datetime import timedelta

import pytest
from tests.fakes import NOON, ManualClock
from tests.letters import buried

from cludale.adapters.sqlite import SqliteStore
from cludale.runtime.dead_letters import LETTERS, DeadLetters, LetterState


@pytest.fixture
def letters(store: SqliteStore, clock: ManualClock) -> DeadLetters:
    return DeadLetters(store, clock)


async def bury(letters: DeadLetters, consumer: str, event_id: str, body: bytes = b"{}") -> None:
    await letters.bury(consumer, body, event_type="OrderPaid", event_id=event_id, reason="broken", attempts=20)


async def test_a_letter_is_kept_whole_and_logged(
    letters: DeadLetters, store: SqliteStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.advance(60)
    await bury(letters, "notifications", "event-1", b'{"id":"event-1"}')
    (letter,) = await buried(store)
    assert (letter.consumer, letter.event_type, letter.event_id) == ("notifications", "OrderPaid", "event-1")
    assert (letter.reason, letter.attempts, letter.body) == ("broken", 20, '{"id":"event-1"}')
    assert letter.buried_at == NOON + timedelta(seconds=60)
    assert letter.state is LetterState.WAITING
    assert "dead letter: notifications gave up OrderPaid event-1 after 20: broken" in caplog.text


async def test_a_letter_is_buried_once_for_each_consumer(letters: DeadLetters, store: SqliteStore) -> None:
    for consumer in ("notifications", "notifications", "payments"):
        await bury(letters, consumer, "event-1")
    assert [each.consumer for each in await buried(store)] == ["notifications", "payments"]
    assert letters.buried == 2


async def test_letters_are_looked_through_by_consumer_a_page_at_a_time(letters: DeadLetters) -> None:
    for i in range(5):
        await bury(letters, "payments", f"event-{i}")
        await bury(letters, "orders", f"event-{i}")
    first, following = await letters.find("payments", limit=3)
    rest, end = await letters.find("payments", after=following, limit=3)
    assert [each.event_id for each in first + rest] == [f"event-{i}" for i in range(5)]
    assert end is None


async def test_bytes_that_are_no_text_are_kept_as_far_as_they_are(letters: DeadLetters, store: SqliteStore) -> None:
    await bury(letters, "bus", "asks.7", b"\xff{")
    (letter,) = await buried(store)
    assert letter.body == "\ufffd{"
    assert (await LETTERS.one(store, letter.id)).state == letter
