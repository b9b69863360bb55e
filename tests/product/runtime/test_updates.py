"""Batches of events, each about an aggregate of its own: decided once, committed together, safe to deliver again."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from pathlib import Path

import msgspec
import pytest
from tests.fakes import CountingIds, ManualClock
from tests.product.runtime.ledgers import CODEC, LEDGERS, Asked, Ledger, Meddled, Written, asked, write, write_beside

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope
from cludale.kernel.refusals import Busy, NotFound
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.records import Kind, Put, Query
from cludale.runtime.aggregates import (
    CONFLICT_RETRIES,
    NEW,
    AnsweredBefore,
    Change,
    ChangeResult,
    Decide,
    Updated,
    Updates,
    Versioned,
)

Each = Callable[[Sequence[Delivery]], Awaitable[tuple[list[Acknowledgement], list[Versioned[Ledger]]]]]
BESIDE = Kind("ledgers", "answer")
SUCCESS, RETRY = Acknowledgement.SUCCESS, Acknowledgement.RETRY


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "ledgers.db", [LEDGERS.kind, BESIDE], CODEC)
    yield opened
    await opened.close()


@pytest.fixture
def records(store: SqliteStore) -> Meddled:
    return Meddled(store)


@pytest.fixture
def updates(records: Meddled, clock: ManualClock, ids: CountingIds) -> Updates:
    return Updates("ledgers", records, clock=clock, ids=ids)


@pytest.fixture
def each(updates: Updates) -> Each:
    return lambda deliveries: updates.handle(LEDGERS, deliveries, {Asked: write}, attrgetter("order_id"))


async def notes(store: SqliteStore, id: str) -> tuple[str, ...]:
    return (await LEDGERS.one(store, id)).state.notes


async def written(store: SqliteStore) -> list[Envelope]:
    return [CODEC.decode(entry.body) for entry in await store.pending(0, 1_000)]


class TestABatch:
    async def test_every_aggregate_is_changed_and_every_event_is_caused(self, each: Each, store: SqliteStore) -> None:
        batch = [asked("e1", "a", "x"), asked("e2", "b", "y")]
        answers, changed = await each(batch)
        assert answers == [SUCCESS, SUCCESS]
        assert changed == [Versioned(Ledger("a", ("x",)), 1), Versioned(Ledger("b", ("y",)), 1)]
        assert [(e.subject, e.causationid, e.source) for e in await written(store)] == [
            ("a", "e1", "ledgers"),
            ("b", "e2", "ledgers"),
        ]

    async def test_an_empty_batch_is_answered_with_nothing(self, each: Each) -> None:
        assert await each([]) == ([], [])

    async def test_two_events_of_one_aggregate_both_happen_in_their_order(self, each: Each, store: SqliteStore) -> None:
        batch = [asked("e1", "a", "x"), asked("e2", "b", "y"), asked("e3", "a", "z")]
        answers, changed = await each(batch)
        assert answers == [SUCCESS] * 3
        assert await notes(store, "a") == ("x", "z")
        assert changed[-1] == Versioned(Ledger("a", ("x", "z")), 2)
        assert [event.data.note for event in await written(store) if event.subject == "a"] == ["x", "z"]

    async def test_many_events_of_one_aggregate_all_happen(self, each: Each, store: SqliteStore) -> None:
        answers, _ = await each([asked(f"e{i}", "a", f"{i}") for i in range(40)])
        assert answers == [SUCCESS] * 40
        assert await notes(store, "a") == tuple(str(i) for i in range(40))

    async def test_one_that_comes_too_early_is_to_come_again_and_holds_up_no_other(
        self, each: Each, store: SqliteStore
    ) -> None:
        answers, _ = await each([asked("e1", "a", "early"), asked("e2", "b", "y")])
        assert answers == [RETRY, SUCCESS]
        assert await notes(store, "b") == ("y",)
        await write_beside(store, "a", "now")
        assert (await each([asked("e1", "a", "early")]))[0] == [SUCCESS]
        assert await notes(store, "a") == ("now", "early")

    @pytest.mark.parametrize("nothing", ["", "forget"])
    async def test_what_changes_nothing_is_a_success_without_a_commit(
        self, each: Each, records: Meddled, store: SqliteStore, nothing: str
    ) -> None:
        await write_beside(store, "a", "x")
        answers, changed = await each([asked("e1", "a", nothing), asked("e2", "unknown", nothing)])
        assert answers == [SUCCESS, SUCCESS]
        assert changed == []
        assert records.commits == 0


class TestARedelivery:
    async def test_an_event_delivered_again_happens_once(self, each: Each, store: SqliteStore) -> None:
        await each([asked("e1", "a", "x")])
        answers, changed = await each([asked("e1", "a", "x")])
        assert answers == [SUCCESS]
        assert changed == []
        assert await notes(store, "a") == ("x",)
        assert len(await written(store)) == 1

    async def test_an_event_that_is_twice_in_a_batch_happens_once(self, each: Each, store: SqliteStore) -> None:
        answers, changed = await each([asked("e1", "a", "x"), asked("e1", "a", "x")])
        assert answers == [SUCCESS, SUCCESS]
        assert len(changed) == 1
        assert await notes(store, "a") == ("x",)

    async def test_what_follows_a_redelivered_event_in_its_batch_happens_all_the_same(
        self, each: Each, store: SqliteStore
    ) -> None:
        await each([asked("e1", "a", "x")])
        answers, _ = await each([asked("e1", "a", "x"), asked("e2", "a", "y")])
        assert answers == [SUCCESS, SUCCESS]
        assert await notes(store, "a") == ("x", "y")

    async def test_what_follows_a_redelivered_event_does_not_overwrite_what_another_wrote(
        self, each: Each, records: Meddled, store: SqliteStore
    ) -> None:
        await each([asked("e1", "a", "x")])
        records.meddle = lambda: write_beside(store, "a", "beside")
        answers, _ = await each([asked("e1", "a", "x"), asked("e2", "a", "y")])
        assert answers == [SUCCESS, SUCCESS]
        assert await notes(store, "a") == ("x", "beside", "y")


class TestAConflict:
    async def test_what_another_wrote_meanwhile_is_decided_on_anew(
        self, each: Each, records: Meddled, store: SqliteStore
    ) -> None:
        records.meddle = lambda: write_beside(store, "a", "beside")
        answers, changed = await each([asked("e1", "a", "x"), asked("e2", "b", "y"), asked("e3", "a", "z")])
        assert answers == [SUCCESS] * 3
        assert await notes(store, "a") == ("beside", "x", "z")
        assert await notes(store, "b") == ("y",)
        assert len(changed) == len(await written(store)) == 3

    async def test_conflicts_without_an_end_are_left_for_later(
        self, each: Each, records: Meddled, store: SqliteStore
    ) -> None:
        records.always = lambda: write_beside(store, "a", "beside")
        answers, changed = await each([asked("e1", "a", "x"), asked("e2", "b", "y")])
        assert answers == [RETRY, SUCCESS]
        assert [each.state.id for each in changed] == ["b"]
        records.always = None
        assert (await each([asked("e1", "a", "x")]))[0] == [SUCCESS]


class TestSteps:
    """What happened outside is applied to the aggregate as it is by then."""

    async def apply(self, updates: Updates, *steps: tuple[Versioned[Ledger], Decide[Ledger]]) -> list[Updated[Ledger]]:
        return await updates.update(
            [Change(LEDGERS, known.state.id, step, Cause("e0"), known=known) for known, step in steps]
        )

    async def test_steps_are_committed_together(self, updates: Updates, records: Meddled, store: SqliteStore) -> None:
        for id in ("a", "b"):
            await write_beside(store, id, "x")
        found = await LEDGERS.load(store, ("a", "b"))
        settled = await self.apply(updates, (found["a"], Step("1")), (found["b"], Step("2")))
        assert [known and known.state.notes for _, known in settled] == [("x", "1"), ("x", "2")]
        assert [event.causationid for event in await written(store)] == ["e0", "e0"]

    async def test_a_step_without_an_effect_is_not_committed_and_yet_settled(
        self, updates: Updates, records: Meddled, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        known = await LEDGERS.one(store, "a")
        assert await self.apply(updates, (known, Step("x"))) == [(ChangeResult.UNCHANGED, known)]
        assert records.commits == 0

    async def test_a_fact_that_is_told_again_is_committed_with_its_own_time_and_writes_no_record(
        self, updates: Updates, records: Meddled, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        known = await LEDGERS.one(store, "a")
        then = updates.clock.now() - timedelta(seconds=90)
        fact = Written(order_id="a", note="x")
        settled = await self.apply(updates, (known, lambda ledger, _: Decision(ledger, (fact,), at=then, again=True)))
        assert settled == [(ChangeResult.CHANGED, known)]
        assert await LEDGERS.one(store, "a") == known
        (event,) = await written(store)
        assert (event.data, event.time, event.repeated) == (fact, then, True)

    async def test_a_step_is_applied_to_what_another_wrote_meanwhile(
        self, updates: Updates, records: Meddled, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        known = await LEDGERS.one(store, "a")
        records.meddle = lambda: write_beside(store, "a", "beside")
        ((_, left),) = await self.apply(updates, (known, Step("1")))
        assert left == Versioned(Ledger("a", ("x", "beside", "1")), 3)

    async def test_a_step_that_another_made_needless_changes_nothing(
        self, updates: Updates, records: Meddled, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        known = await LEDGERS.one(store, "a")
        records.meddle = lambda: write_beside(store, "a", "1")
        (left,) = await self.apply(updates, (known, Step("1")))
        assert left == (ChangeResult.UNCHANGED, Versioned(Ledger("a", ("x", "1")), 2))
        assert await written(store) == []

    async def test_one_that_meets_conflicts_without_an_end_is_given_up(
        self, updates: Updates, records: Meddled, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        known = await LEDGERS.one(store, "a")
        records.always = lambda: write_beside(store, "a", "beside")
        assert await self.apply(updates, (known, Step("1"))) == [(ChangeResult.CONFLICT, None)]


class Step:
    """Writes a note down, unless it is there already."""

    def __init__(self, note: str) -> None:
        self._note = note

    def __call__(self, ledger: Ledger, now: datetime) -> Decision[Ledger]:
        if self._note in ledger.notes:
            return Decision(ledger)
        decision = write(asked("-", ledger.id, self._note).event, ledger, now)
        assert decision is not None
        return decision


def put_beside(ledger: Ledger) -> Put:
    return Put(BESIDE, "key-1", msgspec.json.encode(ledger.notes), 0)


async def beside(store: SqliteStore) -> list[bytes]:
    return [each.body for each in (await store.find(BESIDE, Query())).items]


class TestOneChange:
    """Somebody waits for what becomes of one aggregate."""

    async def test_it_is_decided_on_what_another_wrote_meanwhile(
        self, updates: Updates, records: Meddled, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        records.meddle = lambda: write_beside(store, "a", "beside")
        after = await updates.change(LEDGERS, "a", Step("1"), Cause("e0"))
        assert after == Ledger("a", ("x", "beside", "1"))

    async def test_of_one_that_is_not_there_it_is_refused(self, updates: Updates) -> None:
        with pytest.raises(NotFound, match="no ledger 'a'"):
            await updates.change(LEDGERS, "a", Step("1"), Cause())

    async def test_conflicts_without_an_end_are_told(
        self, updates: Updates, records: Meddled, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        records.always = lambda: write_beside(store, "a", "beside")
        with pytest.raises(Busy):
            await updates.change(LEDGERS, "a", Step("1"), Cause())
        assert records.commits == CONFLICT_RETRIES

    async def test_a_record_beside_it_commits_with_it_as_it_was_decided_in_the_end(
        self, updates: Updates, records: Meddled, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        records.meddle = lambda: write_beside(store, "a", "beside")
        await updates.change(LEDGERS, "a", Step("1"), Cause(), put_beside)
        assert await beside(store) == [b'["x","beside","1"]']

    async def test_where_the_record_beside_it_is_there_already_nothing_is_written(
        self, updates: Updates, records: Meddled, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        await updates.change(LEDGERS, "a", Step("1"), Cause(), put_beside)
        with pytest.raises(AnsweredBefore):
            await updates.change(LEDGERS, "a", Step("2"), Cause(), put_beside)
        assert await notes(store, "a") == ("x", "1")
        assert records.commits == 2


class TestTakenForNew:
    async def test_one_that_is_new_is_written_without_a_look(self, updates: Updates, records: Meddled) -> None:
        (updated,) = await updates.update([Change(LEDGERS, "a", first, known=NEW)])
        assert updated == (ChangeResult.CHANGED, Versioned(Ledger("a", ("first",)), 1))
        assert records.reads == 0

    async def test_one_that_is_there_is_decided_on_as_it_is(
        self, updates: Updates, records: Meddled, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        (updated,) = await updates.update([Change(LEDGERS, "a", first, known=NEW)])
        assert updated == (ChangeResult.UNCHANGED, Versioned(Ledger("a", ("x",)), 1))
        assert records.reads == 1

    async def test_beside_one_that_is_read_it_is_still_not(
        self, updates: Updates, records: Meddled, store: SqliteStore
    ) -> None:
        for id in ("a", "b"):
            await write_beside(store, id, "x")
        read, known = Change(LEDGERS, "a", Step("1")), await LEDGERS.one(store, "b")
        updated = await updates.update([read, Change(LEDGERS, "b", Step("1"), known=known)])
        assert [known and known.version for _, known in updated] == [2, 2]
        assert records.reads == records.commits - 1 == 1


def first(ledger: Ledger | None, _: datetime) -> Decision[Ledger]:
    return Decision(ledger or Ledger("a", ("first",)))
