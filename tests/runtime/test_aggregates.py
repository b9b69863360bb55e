"""Batches of events, each about an aggregate of its own: decided once, committed together, safe to deliver again."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.fakes import CountingIds, ManualClock
from tests.runtime.ledgers import CODEC, LEDGERS, Asked, Ledger, Meddled, Written, asked, write

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope
from cludale.kernel.refusals import NotFound
from cludale.ports.bus import Answer
from cludale.ports.records import Commit, Query, Range
from cludale.runtime.aggregates import EachAlone, Stamp, Versioned, apply_steps

SUCCESS, RETRY = Answer.SUCCESS, Answer.RETRY


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "ledgers.db", [LEDGERS.kind], CODEC)
    yield opened
    await opened.close()


@pytest.fixture
def records(store: SqliteStore) -> Meddled:
    return Meddled(store)


@pytest.fixture
def stamp(ids: CountingIds) -> Stamp:
    return Stamp("ledgers", ids)


@pytest.fixture
def each(records: Meddled, stamp: Stamp, clock: ManualClock) -> EachAlone[Ledger]:
    return EachAlone(
        LEDGERS, records, stamp=stamp, clock=clock, aggregate_of=lambda data: data.order_id, decisions={Asked: write}
    )


async def notes(store: SqliteStore, id: str) -> tuple[str, ...]:
    return (await LEDGERS.one(store, id)).state.notes


async def written(store: SqliteStore) -> list[Envelope]:
    return [CODEC.decode(entry.body) for entry in await store.pending(0, 1_000)]


async def write_beside(store: SqliteStore, id: str, note: str) -> None:
    """Another replica writes."""
    found = await LEDGERS.load(store, (id,))
    known = found.get(id, Versioned(Ledger(id), 0))
    state = Ledger(id, (*known.state.notes, note))
    await store.commit([Commit(id, (LEDGERS.put(state, known.version),))])


class TestABatch:
    async def test_every_aggregate_is_changed_and_every_event_is_caused(
        self, each: EachAlone[Ledger], store: SqliteStore
    ) -> None:
        batch = [asked("e1", "a", "x"), asked("e2", "b", "y")]
        answers, changed = await each.handle(batch)
        assert answers == [SUCCESS, SUCCESS]
        assert changed == [Versioned(Ledger("a", ("x",)), 1), Versioned(Ledger("b", ("y",)), 1)]
        assert [(e.subject, e.causationid, e.source) for e in await written(store)] == [
            ("a", "e1", "ledgers"),
            ("b", "e2", "ledgers"),
        ]

    async def test_an_empty_batch_is_answered_with_nothing(self, each: EachAlone[Ledger]) -> None:
        assert await each.handle([]) == ([], [])

    async def test_two_events_of_one_aggregate_both_happen_in_their_order(
        self, each: EachAlone[Ledger], store: SqliteStore
    ) -> None:
        batch = [asked("e1", "a", "x"), asked("e2", "b", "y"), asked("e3", "a", "z")]
        answers, changed = await each.handle(batch)
        assert answers == [SUCCESS] * 3
        assert await notes(store, "a") == ("x", "z")
        assert changed[-1] == Versioned(Ledger("a", ("x", "z")), 2)
        assert [event.data.note for event in await written(store) if event.subject == "a"] == ["x", "z"]

    async def test_many_events_of_one_aggregate_all_happen(self, each: EachAlone[Ledger], store: SqliteStore) -> None:
        answers, _ = await each.handle([asked(f"e{i}", "a", f"{i}") for i in range(40)])
        assert answers == [SUCCESS] * 40
        assert await notes(store, "a") == tuple(str(i) for i in range(40))

    async def test_one_that_comes_too_early_is_to_come_again_and_holds_up_no_other(
        self, each: EachAlone[Ledger], store: SqliteStore
    ) -> None:
        answers, _ = await each.handle([asked("e1", "a", "early"), asked("e2", "b", "y")])
        assert answers == [RETRY, SUCCESS]
        assert await notes(store, "b") == ("y",)
        await write_beside(store, "a", "now")
        assert (await each.handle([asked("e1", "a", "early")]))[0] == [SUCCESS]
        assert await notes(store, "a") == ("now", "early")

    @pytest.mark.parametrize("nothing", ["", "forget"])
    async def test_what_changes_nothing_is_a_success_without_a_commit(
        self, each: EachAlone[Ledger], records: Meddled, store: SqliteStore, nothing: str
    ) -> None:
        await write_beside(store, "a", "x")
        answers, changed = await each.handle([asked("e1", "a", nothing), asked("e2", "unknown", nothing)])
        assert answers == [SUCCESS, SUCCESS]
        assert changed == []
        assert records.commits == 0


class TestARedelivery:
    async def test_an_event_delivered_again_happens_once(self, each: EachAlone[Ledger], store: SqliteStore) -> None:
        await each.handle([asked("e1", "a", "x")])
        answers, changed = await each.handle([asked("e1", "a", "x")])
        assert answers == [SUCCESS]
        assert changed == []
        assert await notes(store, "a") == ("x",)
        assert len(await written(store)) == 1

    async def test_an_event_that_is_twice_in_a_batch_happens_once(
        self, each: EachAlone[Ledger], store: SqliteStore
    ) -> None:
        answers, changed = await each.handle([asked("e1", "a", "x"), asked("e1", "a", "x")])
        assert answers == [SUCCESS, SUCCESS]
        assert len(changed) == 1
        assert await notes(store, "a") == ("x",)

    async def test_what_follows_a_redelivered_event_in_its_batch_happens_all_the_same(
        self, each: EachAlone[Ledger], store: SqliteStore
    ) -> None:
        await each.handle([asked("e1", "a", "x")])
        answers, _ = await each.handle([asked("e1", "a", "x"), asked("e2", "a", "y")])
        assert answers == [SUCCESS, SUCCESS]
        assert await notes(store, "a") == ("x", "y")

    async def test_what_follows_a_redelivered_event_does_not_overwrite_what_another_wrote(
        self, each: EachAlone[Ledger], records: Meddled, store: SqliteStore
    ) -> None:
        await each.handle([asked("e1", "a", "x")])
        records.meddle = lambda: write_beside(store, "a", "beside")
        answers, _ = await each.handle([asked("e1", "a", "x"), asked("e2", "a", "y")])
        assert answers == [SUCCESS, SUCCESS]
        assert await notes(store, "a") == ("x", "beside", "y")


class TestAConflict:
    async def test_what_another_wrote_meanwhile_is_decided_on_anew(
        self, each: EachAlone[Ledger], records: Meddled, store: SqliteStore
    ) -> None:
        records.meddle = lambda: write_beside(store, "a", "beside")
        answers, changed = await each.handle([asked("e1", "a", "x"), asked("e2", "b", "y"), asked("e3", "a", "z")])
        assert answers == [SUCCESS] * 3
        assert await notes(store, "a") == ("beside", "x", "z")
        assert await notes(store, "b") == ("y",)
        assert len(changed) == len(await written(store)) == 3

    async def test_conflicts_without_an_end_are_left_for_later(
        self, each: EachAlone[Ledger], records: Meddled, store: SqliteStore
    ) -> None:
        records.always = lambda: write_beside(store, "a", "beside")
        answers, changed = await each.handle([asked("e1", "a", "x"), asked("e2", "b", "y")])
        assert answers == [RETRY, SUCCESS]
        assert [each.state.id for each in changed] == ["b"]
        records.always = None
        assert (await each.handle([asked("e1", "a", "x")]))[0] == [SUCCESS]


class TestSteps:
    """What happened outside is applied to the aggregate as it is by then."""

    async def apply(
        self,
        records: Meddled,
        stamp: Stamp,
        clock: ManualClock,
        *steps: tuple[Versioned[Ledger], Callable[[Ledger], Decision[Ledger]]],
    ) -> list[Versioned[Ledger]]:
        return await apply_steps(LEDGERS, records, steps, stamp=stamp, clock=clock, cause_of=lambda _: Cause("e0"))

    async def test_steps_are_committed_together(
        self, records: Meddled, stamp: Stamp, clock: ManualClock, store: SqliteStore
    ) -> None:
        for id in ("a", "b"):
            await write_beside(store, id, "x")
        found = await LEDGERS.load(store, ("a", "b"))
        settled = await self.apply(records, stamp, clock, (found["a"], Step("1")), (found["b"], Step("2")))
        assert [each.state.notes for each in settled] == [("x", "1"), ("x", "2")]
        assert [event.causationid for event in await written(store)] == ["e0", "e0"]

    async def test_a_step_without_an_effect_is_not_committed_and_yet_settled(
        self, records: Meddled, stamp: Stamp, clock: ManualClock, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        known = await LEDGERS.one(store, "a")
        assert await self.apply(records, stamp, clock, (known, Step("x"))) == [known]
        assert records.commits == 0

    async def test_a_fact_that_is_told_again_is_committed_with_its_own_time_and_writes_no_record(
        self, records: Meddled, stamp: Stamp, clock: ManualClock, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        known = await LEDGERS.one(store, "a")
        then = clock.now() - timedelta(seconds=90)
        fact = Written(order_id="a", note="x")
        settled = await self.apply(
            records, stamp, clock, (known, lambda ledger: Decision(ledger, (fact,), at=then, again=True))
        )
        assert settled == [known]
        assert await LEDGERS.one(store, "a") == known
        (event,) = await written(store)
        assert (event.data, event.time, event.repeated) == (fact, then, True)

    async def test_a_step_is_applied_to_what_another_wrote_meanwhile(
        self, records: Meddled, stamp: Stamp, clock: ManualClock, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        known = await LEDGERS.one(store, "a")
        records.meddle = lambda: write_beside(store, "a", "beside")
        (left,) = await self.apply(records, stamp, clock, (known, Step("1")))
        assert left.state.notes == ("x", "beside", "1")
        assert left.version == 3

    async def test_a_step_that_another_made_needless_changes_nothing(
        self, records: Meddled, stamp: Stamp, clock: ManualClock, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        known = await LEDGERS.one(store, "a")
        records.meddle = lambda: write_beside(store, "a", "1")
        (left,) = await self.apply(records, stamp, clock, (known, Step("1")))
        assert left.state.notes == ("x", "1")
        assert await written(store) == []

    async def test_one_that_meets_conflicts_without_an_end_is_left_out(
        self, records: Meddled, stamp: Stamp, clock: ManualClock, store: SqliteStore
    ) -> None:
        await write_beside(store, "a", "x")
        known = await LEDGERS.one(store, "a")
        records.always = lambda: write_beside(store, "a", "beside")
        assert await self.apply(records, stamp, clock, (known, Step("1"))) == []


class Step:
    """Writes a note down, unless it is there already."""

    def __init__(self, note: str) -> None:
        self._note = note

    def __call__(self, ledger: Ledger) -> Decision[Ledger]:
        if self._note in ledger.notes:
            return Decision(ledger)
        decision = write(ledger, asked("-", ledger.id, self._note).event, ManualClock().now())
        assert decision is not None
        return decision


class TestAStore:
    async def test_one_that_is_not_there_is_named(self, store: SqliteStore) -> None:
        with pytest.raises(NotFound, match="no ledger 'a'"):
            await LEDGERS.one(store, "a")

    async def test_it_is_found_by_its_indexed_fields(self, store: SqliteStore) -> None:
        for id, count in (("a", 1), ("b", 3), ("c", 2)):
            for i in range(count):
                await write_beside(store, id, str(i))
        found, page = await LEDGERS.find(store, Query(within=[Range("size", since=2)], order_by="size"))
        assert [each.state.id for each in found] == ["c", "b"]
        assert [each.version for each in found] == [2, 3]
        assert page.next is None
