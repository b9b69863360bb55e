"""Causes first, whatever the backlog: what comes too early is kept until its cause is in the log, or marked late."""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from itertools import permutations
from pathlib import Path

import pytest
from tests.fakes import ManualClock
from tests.product.services.audit.samples import CODEC, delivered, paid, placed, reserved, told

from cludale.adapters.sqlite import SqliteStore
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.records import Commit, Outcome, StoreUnavailable
from cludale.services.audit.service import Audit
from cludale.services.audit.store import KINDS, Filter

DONE = Acknowledgement.SUCCESS
LATER = Acknowledgement.RETRY
ORDERS = 400


async def log_of(audit: Audit) -> list[tuple[str, bool]]:
    """Every entry's event, and whether it is marked late."""
    entries, after = [], None
    while True:
        items, page = await audit.events(Filter(), after=after, limit=200)
        entries += items
        if (after := page.next) is None:
            break
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    verdict = await audit.verify()
    assert verdict.ok, verdict.broken
    assert verdict.late == sum(entry.late for entry in entries)
    return [(entry.event_id, entry.late) for entry in entries]


async def waiting(audit: Audit) -> int:
    return (await audit.verify()).waiting


def early(*deliveries: Sequence[Delivery]) -> list[Delivery]:
    return [each for some in deliveries for each in some]


async def test_what_comes_too_early_is_left_to_the_bus_at_first_and_then_kept(audit: Audit) -> None:
    effect = reserved("e2", "e1")
    assert await audit.handle(delivered(effect, attempt=2)) == [LATER]
    assert await waiting(audit) == 0
    assert await audit.handle(delivered(effect, attempt=3)) == [DONE]
    assert await waiting(audit) == 1
    assert await log_of(audit) == []


async def test_what_is_kept_is_recorded_with_its_cause_and_so_is_what_waits_for_that(audit: Audit) -> None:
    for event in (told("e4", "e3"), paid("e3", "e2"), reserved("e2", "e1")):
        assert await audit.handle(delivered(event, attempt=3)) == [DONE]
    assert await audit.handle(delivered(placed("e1"))) == [DONE]
    assert await log_of(audit) == [("e1", False), ("e2", False), ("e3", False), ("e4", False)]
    assert await waiting(audit) == 0


async def test_a_backlog_in_which_all_effects_come_before_all_causes_is_recorded_causes_first(
    records: SqliteStore, clock: ManualClock
) -> None:
    audit = Audit(records, clock)
    effects = [reserved(f"b{number}", f"a{number}", f"order-{number}") for number in range(ORDERS)]
    causes = [placed(f"a{number}", f"order-{number}") for number in range(ORDERS)]
    for at in range(0, ORDERS, 100):
        assert set(await audit.handle(delivered(*effects[at : at + 100], attempt=2))) == {DONE}
    clock.advance(28)
    for at in range(0, ORDERS, 100):
        assert set(await audit.handle(delivered(*causes[at : at + 100]))) == {DONE}
    log = await log_of(audit)
    place = {event: number for number, (event, _) in enumerate(log)}
    assert len(place) == 2 * ORDERS
    assert not any(late for _, late in log)
    assert all(place[f"a{number}"] < place[f"b{number}"] for number in range(ORDERS))


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_events_one_by_one_in_any_order_are_recorded_causes_first(audit: Audit, order: Sequence[int]) -> None:
    life = delivered(placed("e1"), reserved("e2", "e1"), paid("e3", "e2"), told("e4", "e3"), attempt=3)
    for at in order:
        assert await audit.handle([life[at], life[at]]) == [DONE, DONE]
    assert await log_of(audit) == [("e1", False), ("e2", False), ("e3", False), ("e4", False)]


async def test_a_kept_event_that_comes_again_is_kept_once_and_recorded_once(audit: Audit) -> None:
    (effect,) = delivered(reserved("e2", "e1"), attempt=3)
    assert await audit.handle([effect, effect]) == [DONE, DONE]
    assert await audit.handle([effect]) == [DONE]
    assert await audit.handle(delivered(reserved("e2", "e1"), attempt=1)) == [DONE]
    assert await waiting(audit) == 1
    await audit.handle(delivered(placed("e1")))
    assert await audit.handle([effect]) == [DONE]
    assert await log_of(audit) == [("e1", False), ("e2", False)]
    assert await waiting(audit) == 0


async def test_when_the_time_to_wait_is_over_an_event_is_recorded_and_marked_late(
    audit: Audit, clock: ManualClock
) -> None:
    await audit.handle(delivered(reserved("e2", "lost"), paid("e3", "e2"), attempt=3))
    clock.advance(59)
    assert await audit.sweep() == 0
    assert await log_of(audit) == []
    clock.advance(2)
    assert await audit.sweep() == 2
    assert await log_of(audit) == [("e2", True), ("e3", False)]
    assert await waiting(audit) == 0
    assert await audit.handle(delivered(placed("lost"))) == [DONE]
    assert await log_of(audit) == [("e2", True), ("e3", False), ("lost", False)]


async def test_the_mark_is_covered_by_the_hash(audit: Audit, path: Path, clock: ManualClock) -> None:
    (effect,) = delivered(reserved("e2", "lost"), attempt=3)
    await audit.handle([effect])
    clock.advance(61)
    await audit.sweep()
    (entry,), _ = await audit.events(Filter())
    assert entry.hash == sha256(b"0" * 64 + effect.body + b"late").hexdigest()
    assert (entry.late, entry.cause_missing) == (True, True)


async def test_a_restart_forgets_nothing_that_waits(records: SqliteStore, clock: ManualClock) -> None:
    await Audit(records, clock).handle(delivered(reserved("e2", "e1"), attempt=2))
    after = Audit(records, clock)
    await after.handle(delivered(placed("e1")))
    assert await log_of(after) == [("e1", False), ("e2", False)]


class Unanswering(SqliteStore):
    """A store that writes the next commit and fails to say so."""

    is_dumb = False

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        outcomes = await super().commit(commits)
        if self.is_dumb:
            self.is_dumb = False
            raise StoreUnavailable("no answer")
        return outcomes


@pytest.mark.parametrize("comes_again", [True, False])
async def test_a_cause_whose_commit_was_written_unanswered_sets_free_what_waits(
    path: Path, clock: ManualClock, *, comes_again: bool
) -> None:
    store = Unanswering(path, KINDS, CODEC)
    audit = Audit(store, clock)
    await audit.handle(delivered(reserved("e2", "e1"), attempt=2))
    store.is_dumb = True
    with pytest.raises(StoreUnavailable):
        await audit.handle(delivered(placed("e1")))
    if comes_again:
        await audit.handle(delivered(placed("e1")))
    else:
        assert await audit.sweep() == 1
    assert await log_of(audit) == [("e1", False), ("e2", False)]
    await store.close()


class Ending(SqliteStore):
    """A store that takes so many commits more, and then none until told otherwise."""

    left: float = float("inf")

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        if not self.left:
            raise StoreUnavailable("it was ended between two commits")
        self.left -= 1
        return await super().commit(commits)


async def test_what_a_replica_left_that_recorded_the_cause_and_went_is_recorded_by_another_within_seconds(
    path: Path, clock: ManualClock
) -> None:
    store = Ending(path, KINDS, CODEC)
    stays, goes = Audit(store, clock), Audit(store, clock)
    await stays.handle(delivered(reserved("e2", "e1"), attempt=2))
    assert await stays.sweep() == 0
    store.left = 1
    with pytest.raises(StoreUnavailable):
        await goes.handle(delivered(placed("e1")))
    store.left = float("inf")
    clock.advance(6)
    assert await stays.sweep() == 1
    assert await log_of(stays) == [("e1", False), ("e2", False)]
    await store.close()


async def test_a_sweep_looks_at_all_that_is_due_and_at_a_page_of_what_still_waits(
    records: SqliteStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cludale.services.audit.service.WAITING_PAGE", 10)
    audit = Audit(records, clock, wait_seconds=60)
    for number in range(25):
        await audit.handle(delivered(reserved(f"b{number}", f"a{number}", f"order-{number}"), attempt=2))
    clock.advance(30)
    for number in range(25, 60):
        await audit.handle(delivered(reserved(f"b{number}", f"a{number}", f"order-{number}"), attempt=2))
    assert await audit.sweep() == 0
    clock.advance(31)
    assert await audit.sweep() == 25
    assert await waiting(audit) == 35


async def test_two_replicas_never_miss_each_others_causes(records: SqliteStore, clock: ManualClock) -> None:
    one, other = Audit(records, clock), Audit(records, clock)
    for number in range(40):
        cause = delivered(placed(f"a{number}", f"order-{number}"))
        effect = delivered(reserved(f"b{number}", f"a{number}", f"order-{number}"), attempt=2)
        first, second = await asyncio.gather(one.handle(cause), other.handle(effect))
        assert (first, second) == ([DONE], [DONE])
    log = await log_of(one)
    assert len(log) == 80
    assert not any(late for _, late in log)
    assert await waiting(one) == 0


async def test_a_full_room_leaves_the_rest_to_the_bus_and_marks_it_late_before_the_bus_gives_up(
    records: SqliteStore, clock: ManualClock
) -> None:
    audit = Audit(records, clock, patience=2, attempts=5, waiting_limit=2)
    some = [reserved(f"b{number}", f"a{number}", f"order-{number}") for number in range(3)]
    assert await audit.handle(delivered(*some, attempt=4)) == [DONE, DONE, LATER]
    assert await audit.handle(delivered(some[2], attempt=5)) == [DONE]
    assert await log_of(audit) == [("b2", True)]
    await audit.handle(delivered(placed("a0", "order-0")))
    assert await audit.handle(delivered(reserved("b9", "a9", "order-9"), attempt=2)) == [DONE]
    assert await waiting(audit) == 2


async def test_more_than_wait_for_one_cause_are_left_to_the_bus(records: SqliteStore, clock: ManualClock) -> None:
    audit = Audit(records, clock, patience=2, attempts=5)
    many = [placed(f"b{number:02}", f"order-{number}", cause="a") for number in range(34)]
    assert await audit.handle(delivered(*many, attempt=2)) == [DONE] * 32 + [LATER] * 2
    assert await audit.handle(delivered(placed("a"))) == [DONE]
    assert await audit.handle(delivered(*many[32:], attempt=3)) == [DONE] * 2
    assert [event for event, _ in await log_of(audit)] == ["a"] + [f"b{number:02}" for number in range(34)]


async def test_a_store_that_takes_little_at_once_is_given_little(records: SqliteStore, clock: ManualClock) -> None:
    sizes: list[int] = []

    class Watched(Audit):
        async def _commit(self, entries: Sequence[object], others: Sequence[object] = (), waiting: int = 0) -> object:  # type: ignore[override]
            sizes.append(len(entries) + len(others) + 1)
            return await super()._commit(entries, others, waiting)  # type: ignore[arg-type]

    audit = Watched(records, clock, commit_limit=40)
    for number in range(30):
        some = [placed(f"b{number}.{each}", f"order-{number}", cause=f"a{number}") for each in range(3)]
        await audit.handle(delivered(*some, attempt=2))
    await audit.handle(delivered(*(placed(f"a{number}", f"order-{number}") for number in range(30))))
    assert len(await log_of(audit)) == 120
    assert await waiting(audit) == 0
    assert max(sizes) <= 40


async def test_a_log_of_an_older_version_reads_as_not_late(audit: Audit) -> None:
    await audit.handle(delivered(placed("e1")))
    assert await log_of(audit) == [("e1", False)]


async def test_events_that_cause_each_other_are_recorded_when_their_time_is_over(
    audit: Audit, clock: ManualClock
) -> None:
    await audit.handle(delivered(placed("a", cause="b"), placed("b", "order-2", cause="a"), attempt=3))
    clock.advance(61)
    assert await audit.sweep() == 2
    assert sorted(late for _, late in await log_of(audit)) == [False, True]
