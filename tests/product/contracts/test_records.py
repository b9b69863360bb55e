"""What every adapter of `Records` promises."""

import asyncio
import base64
import json
from collections.abc import Sequence
from contextlib import suppress
from itertools import count

import pytest
from tests.product.contracts.samples import (
    LINE,
    NOTE,
    ORDER,
    PAYMENT,
    Place,
    Store,
    key,
    line,
    noted,
    of,
    order,
)

from cludale.ports.records import (
    COMMITTED,
    Commit,
    Committed,
    CommitTooLarge,
    IndexValue,
    Key,
    Kind,
    Put,
    Query,
    Range,
    Stored,
    UnusableCursor,
    VersionConflict,
)


async def ids(store: Store, query: Query, kind: Kind = ORDER) -> list[str]:
    """All matches, page by page."""
    found: list[str] = []
    while True:
        page = await store.find(kind, query)
        assert len(page.items) <= query.limit
        found += [item.id for item in page.items]
        if page.next is None:
            return found
        query = query._replace(after=page.next)


def forged(cursor: str, place: int, value: object) -> str:
    """The cursor with something else in one place: 1 is the record's, 2 its value in the field that sorts."""
    parts = json.loads(base64.urlsafe_b64decode(cursor))
    parts[place] = value
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


async def fill(store: Store, puts: Sequence[Put]) -> None:
    assert set(await store.commit([of(put) for put in puts])) == {COMMITTED}


async def refused_for_its_size(store: Store, commit: Commit) -> None:
    with pytest.raises(CommitTooLarge):
        await store.commit([of(order("beside")), commit])
    assert await store.get(ORDER, [key("a"), key("beside")]) == {}


class TestAppendOnly:
    """Records that are written once. There are enough of them here to be packed, where a store does that."""

    async def filled(self, store: Store) -> None:
        """150 of them in commits of many sizes, each due a minute after the one before, but for every tenth."""
        at = 0
        for size in (1, 2, 3, 60, 1, 20, 1, 40, 22):
            some = range(at, at + size)
            at += size
            await fill(
                store,
                [
                    line(
                        f"{n:03}",
                        f"body {n}".encode(),
                        due_at=f"{n - 30 if n % 10 == 0 else n:03}",
                        concertId=f"c{n % 3}",
                        status="odd" if n % 2 else None,
                    )
                    for n in some
                ],
            )

    async def test_each_is_found_by_its_id(self, place: Place) -> None:
        store = await place.open()
        await self.filled(store)
        asked = [key(id) for id in ("000", "003", "077", "149", "150")]
        expected = {each.id: Stored(each.id, 1, f"body {int(each.id)}".encode()) for each in asked[:-1]}
        assert await store.get(LINE, asked) == expected
        await store.close()
        store = await place.open()
        assert await store.get(LINE, asked) == expected
        await store.close()

    async def test_none_is_written_twice(self, store: Store) -> None:
        await self.filled(store)
        outcomes = await store.commit([of(line("new")), of(line("077"), line("newer")), of(line("newest"))])
        assert list(outcomes) == [COMMITTED, VersionConflict(frozenset({"077"})), COMMITTED]
        assert sorted(await store.get(LINE, [key("new"), key("newer"), key("newest")])) == ["new", "newest"]
        assert (await ids(store, Query(limit=40), LINE))[150:] == ["new", "newest"]

    async def test_none_is_changed(self, store: Store) -> None:
        await fill(store, [line("a", b"first")])
        with pytest.raises(ValueError, match="written once"):
            await store.commit([of(Put(LINE, "a", b"second", 1, (None, None, "2026")))])
        assert (await store.get(LINE, [key("a")]))["a"].body == b"first"

    @pytest.mark.parametrize("limit", [7, 64, 200])
    async def test_they_come_in_the_order_in_which_they_were_written(self, store: Store, limit: int) -> None:
        await self.filled(store)
        written = [f"{n:03}" for n in range(150)]
        assert await ids(store, Query(limit=limit), LINE) == written
        assert await ids(store, Query(limit=limit, descending=True), LINE) == written[::-1]

    @pytest.mark.parametrize("limit", [7, 200])
    @pytest.mark.parametrize("descending", [False, True])
    async def test_they_are_found_by_their_fields(self, store: Store, limit: int, descending: bool) -> None:
        await self.filled(store)
        odd = [f"{n:03}" for n in range(1, 150, 6)]
        query = Query(equal={"concertId": "c1", "status": "odd"}, limit=limit, descending=descending)
        assert await ids(store, query, LINE) == (odd[::-1] if descending else odd)
        even = [f"{n:03}" for n in range(0, 150, 6)]
        query = Query(equal={"concertId": "c0", "status": None}, limit=limit, descending=descending)
        assert await ids(store, query, LINE) == (even[::-1] if descending else even)
        assert await ids(store, Query(equal={"concertId": "c9"}), LINE) == []

    @pytest.mark.parametrize("limit", [7, 200])
    @pytest.mark.parametrize("descending", [False, True])
    async def test_they_come_by_a_field_that_sorts(self, store: Store, limit: int, descending: bool) -> None:
        await self.filled(store)
        due = sorted((n - 30 if n % 10 == 0 else n, n) for n in range(30, 150))
        expected = [f"{n:03}" for at, n in due if 20 <= at < 110 and n % 3 == 0]
        query = Query(
            equal={"concertId": "c0"},
            within=[Range("dueAt", "020", "110")],
            order_by="dueAt",
            limit=limit,
            descending=descending,
        )
        found = [id for id in await ids(store, query, LINE) if int(id) >= 30]
        assert found == (expected[::-1] if descending else expected)


class TestCommit:
    async def test_a_committed_record_is_read_back_with_version_1(self, store: Store) -> None:
        assert list(await store.commit([of(order("a", body=b'{"x":1}'))])) == [COMMITTED]
        assert await store.get(ORDER, [key("a")]) == {"a": Stored("a", 1, b'{"x":1}')}

    async def test_each_commit_raises_the_version_by_one(self, store: Store) -> None:
        for expected in range(5):
            assert list(await store.commit([of(order("a", expected, f"{expected}".encode()))])) == [COMMITTED]
        assert await store.get(ORDER, [key("a")]) == {"a": Stored("a", 5, b"4")}

    async def test_what_does_not_exist_is_left_out_of_the_answer(self, store: Store) -> None:
        await fill(store, [order("a")])
        assert list(await store.get(ORDER, [key("a"), key("b")])) == ["a"]
        assert await store.get(ORDER, []) == {}
        assert await store.get(PAYMENT, [key("a")]) == {}

    async def test_creating_what_exists_is_a_conflict_that_writes_nothing(self, store: Store) -> None:
        await fill(store, [order("a", body=b"first")])
        assert list(await store.commit([of(order("a", body=b"second"))])) == [VersionConflict(frozenset({"a"}))]
        assert await store.get(ORDER, [key("a")]) == {"a": Stored("a", 1, b"first")}

    async def test_changing_what_does_not_exist_is_a_conflict(self, store: Store) -> None:
        assert list(await store.commit([of(order("a", expected=1))])) == [VersionConflict(frozenset({"a"}))]
        assert await store.get(ORDER, [key("a")]) == {}

    @pytest.mark.parametrize("expected", [1, 3])
    async def test_a_change_from_another_version_is_a_conflict(self, store: Store, expected: int) -> None:
        await fill(store, [order("a"), order("a", 1)])
        assert list(await store.commit([of(order("a", expected))])) == [VersionConflict(frozenset({"a"}))]

    async def test_a_conflict_names_every_record_that_conflicts(self, store: Store) -> None:
        await fill(store, [order("a"), order("b"), order("c")])
        outcome = await store.commit([of(order("a"), order("b", 1), order("c", 7), order("d", 2), order("e"))])
        assert list(outcome) == [VersionConflict(frozenset({"a", "c", "d"}))]

    @pytest.mark.events
    async def test_a_commit_is_written_whole_or_not_at_all(self, store: Store) -> None:
        await fill(store, [order("taken")])
        outcome = await store.commit([of(order("new"), order("taken"), events=(noted("e"),))])
        assert list(outcome) == [VersionConflict(frozenset({"taken"}))]
        assert await store.get(ORDER, [key("new")]) == {}
        assert await store.pending(0, 10) == []

    async def test_kinds_with_the_same_id_do_not_meet(self, store: Store) -> None:
        outcome = await store.commit([of(order("a", body=b"o"), Put(PAYMENT, "a", b"p", 0, ("a",)))])
        assert list(outcome) == [COMMITTED]
        assert (await store.get(PAYMENT, [key("a")]))["a"].body == b"p"
        assert (await store.get(ORDER, [key("a")]))["a"].body == b"o"

    async def test_no_commits_have_no_outcomes(self, store: Store) -> None:
        assert list(await store.commit([])) == []

    async def test_a_commit_of_nothing_is_committed(self, store: Store) -> None:
        assert list(await store.commit([of(), of()])) == [COMMITTED, COMMITTED]

    async def test_a_commit_of_the_wrong_number_of_index_values_raises_and_harms_no_other(self, store: Store) -> None:
        good, bad = await asyncio.gather(
            store.commit([of(order("a"))]),
            store.commit([of(Put(ORDER, "b", b"{}", 0, ("too few",)))]),
            return_exceptions=True,
        )
        assert not isinstance(good, BaseException)
        assert list(good) == [COMMITTED]
        assert isinstance(bad, ValueError)
        assert list(await store.get(ORDER, [key("a"), key("b")])) == ["a"]

    async def test_what_can_not_be_stored_raises_and_harms_no_other(self, store: Store) -> None:
        good, bad, also_good = await asyncio.gather(
            store.commit([of(order("a"))]),
            store.commit([of(order("b", concertId=2**70))]),
            store.commit([of(order("c"))]),
            return_exceptions=True,
        )
        assert not isinstance(good, BaseException)
        assert not isinstance(also_good, BaseException)
        assert [*good, *also_good] == [COMMITTED, COMMITTED]
        assert isinstance(bad, (ValueError, OverflowError))
        assert sorted(await store.get(ORDER, [key("a"), key("b"), key("c")])) == ["a", "c"]


class TestSeveralCommitsAtOnce:
    async def test_later_commits_of_a_call_build_on_earlier_ones(self, store: Store) -> None:
        outcomes = await store.commit([of(order("a", n, f"{n}".encode())) for n in range(4)])
        assert list(outcomes) == [COMMITTED] * 4
        assert await store.get(ORDER, [key("a")]) == {"a": Stored("a", 4, b"3")}

    async def test_one_commit_may_write_a_record_twice(self, store: Store) -> None:
        await fill(store, [order("b")])
        assert list(await store.commit([of(order("a"), order("b", 1), order("a", 1, b"2"), order("b", 2, b"3"))])) == [
            COMMITTED
        ]
        assert await store.get(ORDER, [key("a"), key("b")]) == {"a": Stored("a", 2, b"2"), "b": Stored("b", 3, b"3")}

    async def test_the_index_follows_the_last_write(self, store: Store) -> None:
        await store.commit([of(order("a", status="Pending")), of(order("a", 1, status="Paid", dueAt="9"))])
        assert await ids(store, Query(equal={"status": "Pending"})) == []
        assert await ids(store, Query(equal={"status": "Paid", "dueAt": "9"})) == ["a"]

    async def test_a_commit_that_fails_fails_alone(self, store: Store) -> None:
        await fill(store, [order("taken")])
        outcomes = await store.commit([of(order("a")), of(order("taken")), of(order("b"))])
        assert list(outcomes) == [COMMITTED, VersionConflict(frozenset({"taken"})), COMMITTED]
        assert sorted(await store.get(ORDER, [key("a"), key("b")])) == ["a", "b"]

    async def test_what_builds_on_a_failed_commit_fails_too(self, store: Store) -> None:
        await fill(store, [order("taken")])
        outcomes = await store.commit(
            [of(order("new"), order("taken")), of(order("new", 1)), of(order("new", body=b"after all"))]
        )
        assert list(outcomes) == [
            VersionConflict(frozenset({"taken"})),
            VersionConflict(frozenset({"new"})),
            COMMITTED,
        ]
        assert await store.get(ORDER, [key("new")]) == {"new": Stored("new", 1, b"after all")}

    async def test_the_first_of_two_that_want_the_same_record_has_it(self, store: Store) -> None:
        await fill(store, [order("a")])
        outcomes = await asyncio.gather(*(store.commit([of(order("a", 1, f"{n}".encode()))]) for n in range(10)))
        assert [list(outcome) for outcome in outcomes] == [[COMMITTED]] + [[VersionConflict(frozenset({"a"}))]] * 9
        assert await store.get(ORDER, [key("a")]) == {"a": Stored("a", 2, b"0")}

    async def test_a_wrong_expectation_does_not_hide_the_right_one_after_it(self, store: Store) -> None:
        await fill(store, [order("a"), order("a", 1)])
        outcomes = await store.commit([of(order("a", 1)), of(order("a", 2, b"right")), of(order("a", 3, b"next"))])
        assert list(outcomes) == [VersionConflict(frozenset({"a"})), COMMITTED, COMMITTED]
        assert await store.get(ORDER, [key("a")]) == {"a": Stored("a", 4, b"next")}

    @pytest.mark.many_records
    async def test_10_000_commits_in_one_call(self, store: Store) -> None:
        outcomes = await store.commit([of(order(f"o{n}", concertId="c")) for n in range(10_000)])
        assert len(outcomes) == 10_000
        assert set(outcomes) == {COMMITTED}
        assert len(await ids(store, Query(equal={"concertId": "c"}, limit=200))) == 10_000

    @pytest.mark.many_records
    async def test_10_000_calls_at_once(self, store: Store) -> None:
        outcomes = await asyncio.gather(*(store.commit([of(order(f"o{n}"))]) for n in range(10_000)))
        assert {outcome for each in outcomes for outcome in each} == {COMMITTED}
        found = await store.get(ORDER, [key(f"o{n}") for n in range(10_000)])
        assert len(found) == 10_000

    async def test_partitions_commit_in_one_call(self, store: Store) -> None:
        outcomes = await store.commit([Commit("p1", [order("a")]), Commit("p2", [order("b")])])
        assert list(outcomes) == [COMMITTED, COMMITTED]
        assert sorted(await store.get(ORDER, [Key("p1", "a"), Key("p2", "b")])) == ["a", "b"]


class TestBodies:
    @pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's, of 1 MB at once
    @pytest.mark.parametrize(
        "body",
        [b"", b"{}", "„Ünïcödé“ 🎫 中文".encode(), b"\x00\xff\xfe\x00", b"x" * (1 << 20)],
        ids=["empty", "json", "unicode", "bytes", "1 MB"],
    )
    async def test_a_body_comes_back_as_it_was(self, store: Store, body: bytes) -> None:
        await fill(store, [order("before", body=b"1"), order("a", body=body), order("after", body=b"2")])
        expected = [b"1", body, b"2"]
        found = await store.get(ORDER, [key("before"), key("a"), key("after")])
        assert [found[name].body for name in ("before", "a", "after")] == expected
        assert [item.body for item in (await store.find(ORDER, Query())).items] == expected

    async def test_ids_and_fields_may_be_any_text(self, store: Store) -> None:
        strange = ['Zoë\'s "Nacht"', "🎫", "a\nb\tc", "%_*?[x]", "'; DROP TABLE orders_order; --", " "]
        await fill(store, [order(text, concertId=text) for text in strange])
        assert set(await store.get(ORDER, [key(text) for text in strange])) == set(strange)
        for text in strange:
            assert await ids(store, Query(equal={"concertId": text})) == [text]
        assert await ids(store, Query(order_by="concertId", limit=1)) == sorted(strange)

    @pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
    async def test_many_big_bodies_fit_in_a_commit(self, store: Store, is_limited: bool) -> None:
        body = b"y" * (1 << 20)
        if is_limited:
            await refused_for_its_size(store, of(order("a"), *(Put(NOTE, f"n{n}", body, 0) for n in range(8))))
            body = body[: 1 << 17]
        assert list(await store.commit([of(*(Put(NOTE, f"n{n}", body, 0) for n in range(8)))])) == [COMMITTED]
        assert len(await store.get(NOTE, [key(f"n{n}") for n in range(8)])) == 8


class TestFind:
    async def test_everything_comes_in_the_order_of_coming(self, store: Store) -> None:
        names = [f"{n * 7919 % 1000:03}" for n in range(150)]
        await fill(store, [order(name) for name in names])
        assert await ids(store, Query(limit=40)) == names
        assert await ids(store, Query(limit=40, descending=True)) == names[::-1]

    async def test_a_change_does_not_move_a_record(self, store: Store) -> None:
        await fill(store, [order("a"), order("b"), order("a", 1)])
        assert await ids(store, Query()) == ["a", "b"]

    async def test_an_empty_store_has_one_empty_page(self, store: Store) -> None:
        page = await store.find(ORDER, Query())
        assert (list(page.items), page.next) == ([], None)

    @pytest.mark.parametrize("size", [3, 4, 5])
    async def test_the_last_page_has_no_next(self, store: Store, size: int) -> None:
        await fill(store, [order(f"{n}") for n in range(size)])
        page = await store.find(ORDER, Query(limit=4))
        assert (len(page.items), page.next is None) == (min(size, 4), size <= 4)

    async def test_fields_that_must_be_equal(self, store: Store) -> None:
        await fill(
            store,
            [
                order("a", concertId="c1", status="Paid"),
                order("b", concertId="c1", status="Cancelled"),
                order("c", concertId="c2", status="Paid"),
                order("d", concertId=1),
            ],
        )
        assert await ids(store, Query(equal={"concertId": "c1"})) == ["a", "b"]
        assert await ids(store, Query(equal={"concertId": "c1", "status": "Paid"})) == ["a"]
        assert await ids(store, Query(equal={"concertId": 1})) == ["d"]
        assert await ids(store, Query(equal={"concertId": "1"})) == []
        assert await ids(store, Query(equal={"status": None})) == ["d"]

    async def test_text_within_a_field(self, store: Store) -> None:
        artists = ["the café tacvba", "tacit blue", "100% wool", "under_score", None]
        await fill(store, [order(f"{n}", concertId=artist) for n, artist in enumerate(artists)])
        assert await ids(store, Query(contains={"concertId": "tac"})) == ["0", "1"]
        assert await ids(store, Query(contains={"concertId": "é t"})) == ["0"]
        assert await ids(store, Query(contains={"concertId": "%"})) == ["2"]
        assert await ids(store, Query(contains={"concertId": "_"})) == ["3"]
        assert await ids(store, Query(contains={"concertId": "tac", "status": "x"})) == []

    async def test_a_range_has_its_start_and_not_its_end(self, store: Store) -> None:
        await fill(store, [order(f"{n}", dueAt=f"2026-11-2{n}") for n in range(5)])
        assert await ids(store, Query(within=[Range("dueAt", "2026-11-21", "2026-11-23")])) == ["1", "2"]
        assert await ids(store, Query(within=[Range("dueAt", since="2026-11-23")])) == ["3", "4"]
        assert await ids(store, Query(within=[Range("dueAt", until="2026-11-21")])) == ["0"]

    async def test_a_range_of_numbers(self, store: Store) -> None:
        await fill(store, [order(f"{n}", dueAt=n) for n in (10, 9, 100)])
        assert await ids(store, Query(within=[Range("dueAt", 9, 100)], order_by="dueAt")) == ["9", "10"]

    async def test_a_range_leaves_out_what_has_no_value(self, store: Store) -> None:
        await fill(store, [order("a", dueAt=None), order("b", dueAt="2026"), order("c", dueAt="2025")])
        assert await ids(store, Query(within=[Range("dueAt", until="2027")], order_by="dueAt")) == ["c", "b"]
        assert await ids(store, Query(within=[Range("dueAt")])) == ["b", "c"]

    async def test_a_field_set_to_none_leaves_its_index(self, store: Store) -> None:
        await fill(store, [order("a", dueAt="2026"), order("b", dueAt="2026"), order("a", 1, dueAt=None)])
        assert await ids(store, Query(within=[Range("dueAt", until="2027")])) == ["b"]

    @pytest.mark.parametrize("descending", [False, True])
    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
    async def test_sorting_pages_through_equal_and_missing_values(
        self, store: Store, descending: bool, limit: int
    ) -> None:
        values: list[IndexValue] = ["b", None, "a", "b", None, "c", "a", None, "b"]
        await fill(store, [order(f"{n}", status=value) for n, value in enumerate(values)])
        valued = sorted((value, n) for n, value in enumerate(values) if value is not None)
        missing = [n for n, value in enumerate(values) if value is None]
        expected = [n for _, n in (reversed(valued) if descending else valued)]
        expected += reversed(missing) if descending else missing
        query = Query(order_by="status", descending=descending, limit=limit)
        assert await ids(store, query) == [f"{n}" for n in expected]

    async def test_sorting_by_a_field_that_is_fixed(self, store: Store) -> None:
        await fill(store, [order(f"{n}", status="Paid" if n % 2 else None) for n in range(6)])
        assert await ids(store, Query(equal={"status": "Paid"}, order_by="status", limit=2)) == ["1", "3", "5"]
        assert await ids(store, Query(equal={"status": None}, order_by="status", limit=2)) == ["0", "2", "4"]

    async def test_sorting_with_conditions_on_other_fields(self, store: Store) -> None:
        await fill(store, [order(f"{n}", concertId=f"c{n % 2}", dueAt=f"{n * 7 % 10}") for n in range(10)])
        query = Query(equal={"concertId": "c1"}, within=[Range("dueAt", "2", "9")], order_by="dueAt", limit=2)
        assert await ids(store, query) == ["9", "5", "1"]

    async def test_paging_misses_and_repeats_nothing_while_records_are_added(self, store: Store) -> None:
        await fill(store, [order(f"{n:03}", status="Paid", dueAt=f"{n:03}") for n in range(60)])
        numbers = count()
        for query in (
            Query(limit=7),
            Query(limit=7, equal={"status": "Paid"}),
            Query(limit=7, order_by="dueAt"),
            Query(limit=7, order_by="dueAt", descending=True),
            Query(limit=7, descending=True),
        ):
            seen: list[str] = []
            after = None
            for added in range(1_000):
                page = await store.find(ORDER, query._replace(after=after))
                seen += [item.id for item in page.items if item.id.isdigit()]
                after = page.next
                if after is None:
                    break
                if added < 20:
                    between = f"{added * 37 % 60:03}x"
                    await store.commit([of(order(f"x{next(numbers)}", status="Paid", dueAt=between))])
            assert sorted(seen) == [f"{n:03}" for n in range(60)]

    async def test_a_cursor_is_opaque_and_fits_in_an_address(self, store: Store) -> None:
        await fill(store, [order(f"{n}", concertId="Ünïcödé & co?/=+") for n in range(3)])
        page = await store.find(ORDER, Query(limit=1, order_by="concertId"))
        assert page.next is not None
        assert set(page.next) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.~")

    @pytest.mark.parametrize("after", ["", "rubbish", "W10=", "WyJhIiwxXQ==", "bnVsbA==", "💥", "=" * 9, "A" * 9999])
    async def test_rubbish_is_no_cursor(self, store: Store, after: str) -> None:
        with pytest.raises(UnusableCursor):
            await store.find(ORDER, Query(after=after))

    @pytest.mark.parametrize("order_by", [None, "dueAt", "concertId"])
    async def test_a_forged_cursor_is_refused(self, store: Store, order_by: str | None) -> None:
        await fill(store, [order(f"{n}", concertId="c", dueAt=n) for n in range(3)])
        query = Query(limit=1, order_by=order_by)
        given = (await store.find(ORDER, query)).next
        assert given is not None
        never: list[object] = [1 << 63, -(1 << 63) - 1, 10**30, 1.5, True, [], {}]
        for place in (1, 2):
            for wrong in never:
                with pytest.raises(UnusableCursor):
                    await store.find(ORDER, query._replace(after=forged(given, place, wrong)))
            for strange in ("", "\x00", "💥", -1):
                with suppress(UnusableCursor):  # a value that could be one leads somewhere
                    await store.find(ORDER, query._replace(after=forged(given, place, strange)))

    async def test_a_cursor_of_another_query_is_refused(self, store: Store) -> None:
        await fill(store, [order(f"{n}", status="Paid") for n in range(3)])
        first = Query(limit=1, equal={"status": "Paid"})
        cursor = (await store.find(ORDER, first)).next
        for other in (
            Query(after=cursor),
            first._replace(after=cursor, descending=True),
            first._replace(after=cursor, order_by="dueAt"),
            first._replace(after=cursor, equal={"status": "Pending"}),
            Query(after=cursor, contains={"status": "Paid"}),
            Query(after=cursor, within=[Range("status", "Paid")]),
        ):
            with pytest.raises(UnusableCursor):
                await store.find(ORDER, other)
        assert len((await store.find(ORDER, first._replace(after=cursor, limit=2))).items) == 2

    async def test_only_indexed_fields_can_be_asked_for(self, store: Store) -> None:
        for query in (
            Query(equal={"body": "x"}),
            Query(contains={"nothing": "x"}),
            Query(order_by="id"),
            Query(within=[Range('x" OR 1', "1")]),
        ):
            with pytest.raises(ValueError, match="not an indexed field"):
                await store.find(ORDER, query)

    async def test_a_kind_without_fields_is_read_through(self, store: Store) -> None:
        await fill(store, [Put(NOTE, f"{n}", b"", 0) for n in range(5)])
        assert await ids(store, Query(limit=2), NOTE) == ["0", "1", "2", "3", "4"]

    async def test_many_finds_at_once(self, store: Store) -> None:
        await fill(store, [order(f"{n}", status="Paid") for n in range(50)])
        pages = await asyncio.gather(*(store.find(ORDER, Query(equal={"status": "Paid"})) for _ in range(50)))
        assert {len(page.items) for page in pages} == {50}


class TestReadsSeeWhatWasCommitted:
    async def test_a_read_after_a_commit_sees_it(self, store: Store) -> None:
        for n in range(50):
            await store.commit([of(order("a", n, concertId=f"c{n}"))])
            assert (await store.get(ORDER, [key("a")]))["a"].version == n + 1
            assert await ids(store, Query(equal={"concertId": f"c{n}"})) == ["a"]

    async def test_everything_is_there_after_reopening(self, place: Place) -> None:
        store = await place.open()
        await store.commit([of(order("a", status="Paid")), of(order("a", 1, status="X"))])
        await store.close()
        store = await place.open()
        assert (await store.get(ORDER, [key("a")]))["a"].version == 2
        assert await ids(store, Query(equal={"status": "X"})) == ["a"]
        assert isinstance((await store.commit([of(order("a", 2))]))[0], Committed)
        await store.close()

    async def test_closing_writes_what_waits(self, place: Place) -> None:
        store = await place.open()
        waiting = asyncio.gather(*(store.commit([of(order(f"{n}"))]) for n in range(100)))
        await asyncio.sleep(0)
        await store.close()
        assert [list(each) for each in await waiting] == [[COMMITTED]] * 100
        store = await place.open()
        assert len(await store.get(ORDER, [key(f"{n}") for n in range(100)])) == 100
        await store.close()
