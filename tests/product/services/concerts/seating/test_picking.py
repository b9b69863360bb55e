"""Which seats a party gets, beside a picker that tries everything."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.product.services.concerts.seating.halls import ACCESSIBLE, adjacent_in, best_adjacent, cost, hall

from cludale.services.concerts.seating.layout import Flags
from cludale.services.concerts.seating.picking import NotEnoughSeats, Party, Picker, Step

ROWS = st.lists(st.text("ssssss_wcrb", min_size=1, max_size=12), min_size=1, max_size=4).filter(
    lambda rows: any(each != "_" for row in rows for each in row)
)


def ids(picker: Picker, seats: tuple[int, ...]) -> list[str]:
    return [picker.layout.ids[seat] for seat in seats]


def picker(*rows: str, taken: str = "", focus: tuple[float, float] = (40, -20)) -> Picker:
    made = Picker(hall(*rows, focus=focus))
    made.take(index for id in taken.split() if (index := made.layout.index_of(id)) is not None)
    return made


@settings(max_examples=150, deadline=None)
@given(ROWS, st.lists(st.tuples(st.integers(1, 6), st.integers(0, 9)), max_size=25))
def test_each_pick_is_the_best_there_is_and_no_seat_goes_twice(rows: list[str], parties: list[tuple[int, int]]) -> None:
    layout, texts = hall(*rows), tuple(rows)
    chosen, free, sold = Picker(layout), set(range(len(layout))), list[tuple[int, ...]]()
    for size, back in parties:
        if sold and back == 0:
            free |= set(sold[0])
            chosen.give_back(sold.pop(0))
        best = best_adjacent(layout, texts, free, size)
        try:
            pick = chosen.best(Party(size))
        except NotEnoughSeats:
            assert sum(not layout.flags[seat] & ACCESSIBLE for seat in free) < size
            continue
        assert len(set(pick.seats)) == size
        assert set(pick.seats) <= free
        assert not any(layout.flags[seat] & ACCESSIBLE for seat in pick.seats)
        assert (pick.step in {Step.TOGETHER, Step.ORPHAN}) == (best is not None)
        if best is not None:
            far = sum(bool(layout.flags[seat] & Flags.RESTRICTED_VIEW) for seat in pick.seats)
            assert (len(pick.orphans), cost(layout, list(pick.seats))) == best, far
            assert adjacent_in(layout, texts, pick.seats)
            assert (pick.step is Step.TOGETHER) == (best[0] == 0)
        chosen.take(pick.seats)
        free -= set(pick.seats)
        sold.append(pick.seats)
    assert {seat for seat in range(len(layout)) if chosen.is_free(seat)} == free


@settings(max_examples=60, deadline=None)
@given(ROWS, st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), max_size=8))
def test_who_asks_gets_as_many_wheelchair_seats_as_asked_and_a_picker_is_the_same_when_made_anew(
    rows: list[str], parties: list[tuple[int, int]]
) -> None:
    chosen = Picker(hall(*rows))
    flags = chosen.layout.flags
    for size, wheelchairs in parties:
        before = list(chosen.free)
        try:
            pick = chosen.best(Party(size, wheelchairs=min(size, wheelchairs)))
        except NotEnoughSeats:
            assert chosen.free == before
            continue
        assert chosen.free == before
        assert len(set(pick.seats)) == size
        assert sum(bool(flags[seat] & Flags.WHEELCHAIR) for seat in pick.seats) == min(size, wheelchairs)
        chosen.take(pick.seats)
        for each in (1, 2, 3, 4):
            try:
                assert Picker(chosen.layout, chosen.free).best(Party(each)) == chosen.best(Party(each))
            except NotEnoughSeats:
                continue


def test_a_party_sits_at_the_nearest_seats_that_leave_none_alone() -> None:
    chosen = picker("sssss", focus=(15, -20))
    pick = chosen.best(Party(2))
    assert (ids(chosen, pick.seats), pick.step) == (["0-0", "0-1"], Step.TOGETHER)


def test_a_seat_is_left_alone_only_where_the_party_cannot_sit_otherwise() -> None:
    chosen = picker("sss")
    pick = chosen.best(Party(2))
    assert (pick.step, ids(chosen, pick.orphans)) == (Step.ORPHAN, ["0-0"])
    assert picker("sss", "ss").best(Party(2)).seats == (3, 4)


def test_where_no_row_has_room_halves_sit_behind_one_another() -> None:
    chosen = picker("ss___", "ss___", "___ss")
    pick = chosen.best(Party(4))
    assert (ids(chosen, pick.seats), pick.step) == (["0-0", "0-1", "1-0", "1-1"], Step.BEHIND)


def test_then_in_groups_none_of_one_and_then_anywhere() -> None:
    assert picker("sss____", "_____ss").best(Party(5)).step is Step.SPLIT
    assert picker("s_s_s").best(Party(3)).step is Step.ANYWHERE
    with pytest.raises(NotEnoughSeats, match="4 seats wanted, 3 left"):
        picker("s_s_s").best(Party(4))


def test_a_party_larger_than_any_row_is_split() -> None:
    pick = picker("s" * 30, "s" * 30).best(Party(45))
    assert (len(pick.seats), pick.step) == (45, Step.SPLIT)


def test_an_aisle_and_another_category_are_between_seats() -> None:
    chosen = picker("ss_ss", "ssbb")
    assert chosen.best(Party(3)).step is not Step.TOGETHER
    assert ids(chosen, chosen.best(Party(2, "B")).seats) == ["1-2", "1-3"]
    with pytest.raises(NotEnoughSeats, match="3 seats wanted, 2 left"):
        chosen.best(Party(3, "B"))


def test_a_restricted_view_is_given_last() -> None:
    chosen = picker("rrss", "ssss", focus=(0, -10))
    assert ids(chosen, chosen.best(Party(4)).seats) == ["1-0", "1-1", "1-2", "1-3"]


def test_companions_sit_beside_the_wheelchair() -> None:
    chosen = picker("sssss", "sswcc")
    assert ids(chosen, chosen.best(Party(2, wheelchairs=1)).seats) == ["1-2", "1-3"]
    assert ids(chosen, chosen.best(Party(5, wheelchairs=1)).seats) == ["1-0", "1-1", "1-2", "1-3", "1-4"]
    with pytest.raises(NotEnoughSeats, match="2 wheelchair seats wanted, 1 left"):
        chosen.best(Party(2, wheelchairs=2))


def test_wheelchairs_in_two_places_each_have_a_companion() -> None:
    chosen = picker("wc_cw", "ssss")
    pick = chosen.best(Party(4, wheelchairs=2))
    assert (ids(chosen, pick.seats), pick.step) == (["0-0", "0-1", "0-3", "0-4"], Step.SPLIT)


def test_a_seat_is_taken_once_and_given_back_once() -> None:
    chosen = picker("ss")
    chosen.take([0])
    with pytest.raises(ValueError, match="taken already"):
        chosen.take([1, 0])
    assert chosen.is_free(1)
    chosen.give_back([0])
    with pytest.raises(ValueError, match="free already"):
        chosen.give_back([0])


@pytest.mark.parametrize("party", [Party(0), Party(2, wheelchairs=3), Party(1, wheelchairs=-1)])
def test_there_is_no_such_party(party: Party) -> None:
    with pytest.raises(ValueError, match="a party has"):
        picker("ss").best(party)
