"""The Cosmos DB store beside others and in trouble, against the double: what the contract suite does not ask."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.product.adapters.cosmos.double import KEY, CosmosDouble, running_double
from tests.product.contracts.samples import CODEC, KINDS, ORDER, key, noted, of, order

from cludale.adapters.cosmos.account import AccountLimits, ContainerMissing
from cludale.adapters.cosmos.layout import Container
from cludale.adapters.cosmos.store import UNANSWERED_TRIES, CosmosStore
from cludale.ports.outbox import Outgoing
from cludale.ports.records import COMMITTED, Commit, Query, Stored, StoreUnavailable, VersionConflict

CONTAINER = Container("orders", [field for kind in KINDS for field in kind.indexed])
QUICK = AccountLimits(request_seconds=8, throttled_seconds=8)
HASTY = AccountLimits(request_seconds=0.5)
LEASE = 0.8
LONG = 60.0
"""A lease whose renewals, which are writes, too, get none of the faults that are meant for another write."""

Open = Callable[..., Awaitable[CosmosStore]]


@pytest.fixture
async def double() -> AsyncIterator[CosmosDouble]:
    async with running_double() as account:
        yield account


@pytest.fixture
async def open_(double: CosmosDouble) -> AsyncIterator[Open]:
    """Opens a replica; what is still open in the end is closed."""
    async with AsyncExitStack() as stack:

        async def open_one(
            *, limits: AccountLimits = QUICK, credential: str = KEY, lease_seconds: float = LEASE, **more: Any
        ) -> CosmosStore:
            store = CosmosStore(
                double.endpoint,
                credential,
                CODEC,
                CONTAINER,
                database="d",
                limits=limits,
                lease_seconds=lease_seconds,
                **more,
            )
            stack.push_async_callback(store.close)
            await store.start()
            return store

        yield open_one


@pytest.fixture
async def store(open_: Open) -> CosmosStore:
    return await open_()


def ids(entries: list[Outgoing]) -> list[str]:
    return [CODEC.decode(entry.body).id for entry in entries]


async def until_pending(store: CosmosStore, wanted: list[str], *, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while ids(list(await store.pending(0, 100))) != wanted:  # noqa: ASYNC110 - as in until()
            await asyncio.sleep(0.02)


def writes(double: CosmosDouble) -> list[str]:
    """What was written, lease documents left out."""
    return [each.kind for each in double.requests if each.kind in {"batch", "create", "replace"} and of_records(each)]


def of_records(request: object) -> bool:
    return not str(getattr(request, "partition", "")).startswith("~")


class TestGroups:
    async def test_commits_of_a_partition_that_wait_go_in_one_batch(
        self, store: CosmosStore, double: CosmosDouble
    ) -> None:
        double.is_recording = True
        await store.commit([of(order(f"o{n}"), events=(noted(f"e{n}"),)) for n in range(50)])
        assert writes(double) == ["batch"]
        (batch,) = [each for each in double.requests if each.kind == "batch"]
        assert len(batch.operations) == 51  # the events are one document

    async def test_one_that_fails_among_many_costs_a_few_requests_and_no_other_its_place(
        self, store: CosmosStore, open_: Open, double: CosmosDouble
    ) -> None:
        await (await open_()).commit([of(order("o25"))])
        double.is_recording = True
        outcomes = await store.commit([of(order(f"o{n}")) for n in range(50)])
        assert [n for n, outcome in enumerate(outcomes) if outcome != COMMITTED] == [25]
        assert outcomes[25] == VersionConflict(frozenset({"o25"}))
        assert len(writes(double)) <= 4

    async def test_partitions_do_not_wait_for_each_other(self, store: CosmosStore, double: CosmosDouble) -> None:
        gate = {"slow": True}
        double.delay = lambda kind: 0.3 if kind == "batch" and gate.pop("slow", False) else 0.0
        slow = asyncio.create_task(store.commit([of(order("a"), order("b"))]))
        await asyncio.sleep(0.05)
        assert list(await store.commit([Commit("other", [order("c")])])) == [COMMITTED]
        assert not slow.done()
        assert list(await slow) == [COMMITTED]


class TestThrottling:
    async def test_a_throttled_commit_waits_as_long_as_the_service_says(
        self, store: CosmosStore, double: CosmosDouble
    ) -> None:
        double.throttle(5, kind="batch", retry_ms=20)
        started = asyncio.get_running_loop().time()
        assert list(await store.commit([of(order("a"), order("b"))])) == [COMMITTED]
        assert asyncio.get_running_loop().time() - started >= 0.1
        assert store.gauges()["cludale_cosmos_throttled_total"] == 5

    async def test_a_storm_of_throttling_loses_and_doubles_nothing(
        self, store: CosmosStore, double: CosmosDouble
    ) -> None:
        told: list[Outgoing] = []
        store.listen(told.extend)
        double.throttle(60, retry_ms=3)
        commits = [Commit(f"p{n % 7}", [order(f"o{n}")], [noted(f"e{n}")]) for n in range(70)]
        outcomes = await asyncio.gather(*(store.commit([each]) for each in commits))
        assert {outcome for (outcome,) in outcomes} == {COMMITTED}
        assert sorted(ids(told)) == sorted(f"e{n}" for n in range(70))
        assert double.faults["throttled"] > 7

    async def test_throttling_without_end_is_the_store_being_away(
        self, store: CosmosStore, double: CosmosDouble
    ) -> None:
        double.throttle(1_000, kind="create", retry_ms=4_500)
        with pytest.raises(StoreUnavailable, match="throttled"):
            await store.commit([of(order("a"))])


class TestLostAnswers:
    async def test_a_batch_that_was_written_and_not_answered_is_committed_once(
        self, store: CosmosStore, double: CosmosDouble
    ) -> None:
        told: list[Outgoing] = []
        store.listen(told.extend)
        double.lose_answer(kind="batch")
        commit = of(order("a"), order("b"), events=(noted("e"),))
        assert list(await store.commit([commit])) == [COMMITTED]
        assert double.faults["lost answer"] == 1
        assert ids(told) == ids(list(await store.pending(0, 10))) == ["e"]
        assert (await store.get(ORDER, [key("a")]))["a"].version == 1
        assert list(await store.commit([of(order("a", 1), order("b", 1))])) == [COMMITTED]

    async def test_a_change_that_was_written_and_not_answered_is_committed_once(
        self, store: CosmosStore, double: CosmosDouble
    ) -> None:
        await store.commit([of(order("a"))])
        double.lose_answer(kind="replace")
        assert list(await store.commit([of(order("a", 1, b"two"))])) == [COMMITTED]
        assert (await store.get(ORDER, [key("a")]))["a"] == Stored("a", 2, b"two")

    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
    @pytest.mark.parametrize("kind", ["create", "replace", "batch"])
    async def test_one_that_was_written_and_answered_with_an_error_is_committed_once_and_no_conflict(
        self, open_: Open, double: CosmosDouble, kind: str, status: int
    ) -> None:
        store = await open_(lease_seconds=LONG)
        told: list[Outgoing] = []
        version = 0
        if kind == "replace":
            await store.commit([of(order("a"))])
            version = 1
        if kind == "batch":
            store.listen(told.extend)
        double.belie(1, status, kind=kind)
        commit = of(order("a", version, b"two"), events=(noted("e"),) if kind == "batch" else ())
        assert list(await store.commit([commit])) == [COMMITTED]
        assert double.faults["belied"] == 1
        assert (await store.get(ORDER, [key("a")]))["a"] == Stored("a", version + 1, b"two")
        assert ids(told) == (["e"] if kind == "batch" else [])

    @pytest.mark.parametrize("status", [408, 410, 449, 500, 503])
    @pytest.mark.parametrize("kind", ["create", "replace", "batch"])
    async def test_the_sdk_sends_a_write_once_whatever_the_answer(
        self, open_: Open, double: CosmosDouble, kind: str, status: int
    ) -> None:
        store = await open_(lease_seconds=LONG)
        await store.commit([of(order("a"))])
        commit = {"create": of(order("b")), "replace": of(order("a", 1)), "batch": of(order("b"), order("c"))}[kind]
        double.refuse(UNANSWERED_TRIES, status, kind=kind)
        with pytest.raises(StoreUnavailable):
            await store.commit([commit])
        assert double.faults["refused"] == UNANSWERED_TRIES, "as often as the store says, and no more"

    async def test_one_that_was_not_written_and_not_answered_is_sent_again(
        self, store: CosmosStore, double: CosmosDouble
    ) -> None:
        double.refuse(2, 503, kind="batch")
        assert list(await store.commit([of(order("a"), order("b"))])) == [COMMITTED]

    async def test_one_that_never_was_written_meets_what_another_wrote_meanwhile(
        self, store: CosmosStore, open_: Open, double: CosmosDouble
    ) -> None:
        other = await open_()
        double.refuse(1, 503, kind="create")
        commit = asyncio.create_task(store.commit([of(order("a"))]))
        await asyncio.sleep(0.05)
        assert list(await other.commit([of(order("a", body=b"theirs"))])) == [COMMITTED]
        assert list(await commit) == [VersionConflict(frozenset({"a"}))]

    async def test_what_came_of_it_can_not_be_told_when_others_wrote_over_it(
        self, store: CosmosStore, open_: Open, double: CosmosDouble
    ) -> None:
        await store.commit([of(order("a"))])
        other = await open_()
        double.lose_answer(kind="replace")
        commit = asyncio.create_task(store.commit([of(order("a", 1))]))
        await asyncio.sleep(0.05)
        assert list(await other.commit([of(order("a", 2))])) == [COMMITTED]
        with pytest.raises(StoreUnavailable, match="can't be told"):
            await commit

    async def test_an_account_that_does_not_answer_is_away(self, open_: Open, double: CosmosDouble) -> None:
        store = await open_(limits=HASTY)
        double.delay = lambda kind: 5.0 if kind == "read" else 0.0
        with pytest.raises(StoreUnavailable, match=r"no answer within 0\.5 s"):
            await store.get(ORDER, [key("a")])

    async def test_who_waits_for_others_is_told_in_time_that_nothing_was_sent(
        self, open_: Open, double: CosmosDouble
    ) -> None:
        limits = HASTY._replace(concurrency=1, request_seconds=2.0)
        store = await open_(limits=limits, lease_seconds=LONG)
        arrived = asyncio.Event()

        def slow_to_read(kind: str) -> float:
            if kind != "read":
                return 0.0
            arrived.set()
            return 10.0

        double.delay = slow_to_read
        clock = asyncio.get_running_loop().time
        first = asyncio.create_task(store.get(ORDER, [key("a")]))
        await asyncio.wait_for(arrived.wait(), 10)
        began, double.is_recording = clock(), True
        with pytest.raises(StoreUnavailable, match=r"1 requests to Cosmos DB are under way.* was not sent"):
            await store.commit([of(order("b"))])
        assert clock() - began < limits.request_seconds, "the wait is part of its time"
        assert not writes(double)
        assert store.gauges()["cludale_cosmos_crowded_out_total"] == 1
        with pytest.raises(StoreUnavailable):
            await first
        assert list(await store.commit([of(order("b"))])) == [COMMITTED]

    async def test_an_account_that_is_gone_is_away(self, store: CosmosStore, double: CosmosDouble) -> None:
        await double.stop()
        for work in (store.commit([of(order("a"))]), store.get(ORDER, [key("a")]), store.find(ORDER, Query())):
            with pytest.raises(StoreUnavailable):
                await work


class TestProbes:
    async def test_a_probe_meets_what_any_write_would(self, open_: Open, double: CosmosDouble) -> None:
        store = await open_(lease_seconds=LONG)
        began = store.pulse.worked_at
        await store.probe()
        assert store.pulse.worked_at > began
        double.refuse(1, 503, kind="replace")
        with pytest.raises(StoreUnavailable):
            await store.probe()
        assert store.pulse.failures == 1
        await store.probe()

    async def test_a_lease_that_is_renewed_is_a_sign_of_life(self, open_: Open) -> None:
        store = await open_()
        began = store.pulse.worked_at
        await asyncio.sleep(LEASE)
        assert store.pulse.worked_at > began


class TestReplicas:
    async def test_of_two_that_write_the_same_record_one_is_told_of_the_conflict(
        self, store: CosmosStore, open_: Open
    ) -> None:
        other = await open_()
        await store.commit([of(order("a"))])
        assert (await other.get(ORDER, [key("a")]))["a"].version == 1
        both = await asyncio.gather(*(each.commit([of(order("a", 1))]) for each in (store, other)))
        assert sorted(map(str, (outcome for (outcome,) in both))) == sorted(
            map(str, [COMMITTED, VersionConflict(frozenset({"a"}))])
        )

    async def test_records_come_in_the_order_of_what_they_build_on_whatever_the_clocks_say(self, open_: Open) -> None:
        decades_ahead = 2_000_000_000_000_000
        store, other = await open_(microseconds=lambda: decades_ahead), await open_()
        for n, replica in enumerate([store, other] * 3):
            await replica.get(ORDER, [key("head")])
            assert list(await replica.commit([of(order(f"entry-{n}"), order("head", n))])) == [COMMITTED]
        found = [item.id for item in (await other.find(ORDER, Query())).items if item.id != "head"]
        assert found == [f"entry-{n}" for n in range(6)]

    async def test_each_publishes_what_it_committed(self, store: CosmosStore, open_: Open) -> None:
        other = await open_()
        await store.commit([of(events=(noted("mine"),))])
        await other.commit([of(events=(noted("theirs"),))])
        assert ids(list(await store.pending(0, 10))) == ["mine"]
        assert ids(list(await other.pending(0, 10))) == ["theirs"]

    async def test_what_a_dead_replica_left_is_published_by_another(self, store: CosmosStore, open_: Open) -> None:
        dead = await open_(lease_seconds=LONG)  # it renews its lease so seldom that the others give it up
        await dead.commit([of(events=(noted("left"),))])
        await until_pending(store, ["left"])

    async def test_of_several_only_one_takes_a_dead_replicas_events_over(self, store: CosmosStore, open_: Open) -> None:
        dead, third = await open_(lease_seconds=LONG), await open_()
        await dead.commit([of(events=(noted("left"),))])

        async def publishing() -> int:
            return sum([ids(list(await each.pending(0, 10))) == ["left"] for each in (store, third)])

        async with asyncio.timeout(5):
            while not await publishing():  # noqa: ASYNC110 - as in until()
                await asyncio.sleep(0.02)
        for _ in range(10):
            await asyncio.sleep(0.05)
            assert await publishing() == 1

    async def test_a_replica_that_was_only_slow_takes_its_events_back(self, store: CosmosStore, open_: Open) -> None:
        slow = await open_(lease_seconds=LONG)
        await slow.commit([of(events=(noted("left"),))])
        await until_pending(store, ["left"])
        await slow.probe()  # which renews its lease
        await until_pending(store, [])
        assert ids(list(await slow.pending(0, 10))) == ["left"]

    async def test_one_that_ends_in_order_hands_over_at_once(self, store: CosmosStore, open_: Open) -> None:
        ending = await open_()
        await ending.commit([of(events=(noted("left"),))])
        await ending.close()
        await until_pending(store, ["left"], seconds=LEASE)


class TestPhysicalPartitions:
    async def test_pages_go_over_all_of_them_in_one_order(self, store: CosmosStore) -> None:
        await store.commit([Commit(f"p{n}", [order(f"{n:02}", status=f"{n * 7 % 40:02}")]) for n in range(40)])
        seen: list[str] = []
        query = Query(order_by="status", limit=7)
        while True:
            page = await store.find(ORDER, query)
            seen += [item.id for item in page.items]
            if page.next is None:
                break
            query = query._replace(after=page.next)
        assert [int(each) * 7 % 40 for each in seen] == list(range(40))

    async def test_a_split_while_paging_loses_and_doubles_nothing(
        self, store: CosmosStore, double: CosmosDouble
    ) -> None:
        await store.commit([Commit(f"p{n}", [order(f"{n:02}", status=f"{n:02}")]) for n in range(60)])
        seen: list[str] = []
        query = Query(order_by="status", limit=9)
        while True:
            page = await store.find(ORDER, query)
            seen += [item.id for item in page.items]
            if page.next is None:
                break
            query = query._replace(after=page.next)
            if len(seen) == 18:
                double.collection().split()
        assert seen == [f"{n:02}" for n in range(60)]

    async def test_a_query_with_its_partition_known_looks_nowhere_else(
        self, store: CosmosStore, double: CosmosDouble
    ) -> None:
        await store.commit([of(order("a")), Commit("other", [order("b")])])
        double.is_recording = True
        page = await store.find(ORDER, Query(partition="concert-1"))
        assert [item.id for item in page.items] == ["a"]
        assert [each.partition for each in double.requests if each.kind == "query"] == ['["concert-1"]']


class TestOpening:
    async def test_a_wrong_key_is_said(self, open_: Open) -> None:
        with pytest.raises(StoreUnavailable, match="credential"):
            await open_(credential="d3Jvbmc=")

    async def test_a_container_of_another_layout_is_refused(self, open_: Open, double: CosmosDouble) -> None:
        await open_()
        double.collection().resource["partitionKey"]["paths"] = ["/id"]
        with pytest.raises(ContainerMissing, match="/pk"):
            await open_()

    async def test_request_units_are_counted_by_operation(self, store: CosmosStore) -> None:
        await store.commit([of(order("a"), order("b"))])
        await store.get(ORDER, [key("a")])
        gauges = store.gauges()
        assert gauges['cludale_cosmos_request_units_total{operation="batch"}'] == 10
        assert gauges['cludale_cosmos_request_units_total{operation="read"}'] == 1
        assert gauges['cludale_cosmos_requests_total{operation="batch"}'] == 1


@pytest.mark.skipif(
    not os.environ.get("CLUDALE_TEST_COSMOS_ENDPOINT"),
    reason="NOT CHECKED: no real Cosmos DB account (CLUDALE_TEST_COSMOS_ENDPOINT, _KEY, _DATABASE); a double stood in",
)
def test_the_contract_suite_runs_over_a_real_account_too() -> None:
    from tests.product.contracts.conftest import STORES  # noqa: PLC0415 - it makes clients

    assert "cosmos_account_place" in STORES
