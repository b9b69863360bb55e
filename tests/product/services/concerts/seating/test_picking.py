"""Which seats a party gets, beside a picker that tries everything."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.product.services.concerts.seating.halls import ACCESSIBLE, hall
from tests.product.services.concerts.seating.reference import Chosen, Reference

from cludale.services.concerts.numbered import Hall, best
from cludale.services.concerts.seating.layout import Flags, Layout, Seat
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
@given(ROWS, st.lists(st.tuples(st.integers(1, 7), st.integers(0, 9), st.integers(0, 2**48)), max_size=25))
def test_each_party_gets_the_seats_that_trying_every_place_finds(
    rows: list[str], parties: list[tuple[int, int, int]]
) -> None:
    """Seats are taken and given back, one party's or any at once. A seat goes twice to nobody."""
    layout = hall(*rows)
    chosen, reference = Picker(layout).copy(), Reference(layout, rows)
    free, sold = set(range(len(layout))), list[list[int]]()
    for size, what, any_of_them in parties:
        if sold and what == 0:
            free |= set(sold[0])
            chosen.give_back(sold.pop(0))
        elif what == 1:
            others = any_of_them & (1 << len(layout)) - 1
            chosen.toggle(0, others)
            free ^= {seat for seat in range(len(layout)) if others >> seat & 1}
            sold.clear()
        expected = reference.best(free, size)
        try:
            pick = chosen.best(Party(size))
        except NotEnoughSeats:
            assert expected is None
            continue
        assert Chosen(pick.seats, pick.step) == expected
        assert len(set(pick.seats)) == size
        assert set(pick.seats) <= free
        assert not any(layout.flags[seat] & ACCESSIBLE for seat in pick.seats)
        chosen.take(pick.seats)
        free -= set(pick.seats)
        sold.append(list(pick.seats))
    assert {seat for seat in range(len(layout)) if chosen.is_free(seat)} == free


def test_however_many_seats_change_at_once_the_next_party_gets_the_best() -> None:
    """A section with more rows than the index looks at together, seen from the middle and from behind."""
    choices = random.Random(3)
    rows = ["".join(choices.choices("sssssssss_r", k=14)) for _ in range(70)]
    for focus in ((70.0, -20.0), (0.0, 400.0)):
        layout = hall(*rows, focus=focus)
        seats, reference, free = Hall(layout).apart(), Reference(layout, rows), set(range(len(layout)))
        for many in (0, 3, 500, 40, 0, 1, 200, 5):
            free ^= set(choices.sample(range(len(layout)), min(many, len(layout))))
            taken = sum(1 << seat for seat in range(len(layout)) if seat not in free)
            text = taken.to_bytes((len(layout) + 7) >> 3, "little")
            assert seats.left(text) == len(free)
            for size in choices.sample(range(1, 12), 3):
                expected = reference.best(free, size)
                assert expected is not None
                assert [seat.at for seat in best(seats, text, size)] == list(expected.seats)


@pytest.mark.parametrize(("seed", "bend"), [(1, 0.0), (2, 0.004), (3, -0.003)])
def test_until_the_last_seat_every_party_gets_the_best_though_others_give_seats_back(seed: int, bend: float) -> None:
    """Parties of all sizes, in straight rows and curved ones. Every few parties several give their seats back at once,
    and in the end, where hardly any two are neighbours, all sit in halves and groups.
    """
    choices = random.Random(seed)
    rows = ["".join(choices.choices("sssssssssssss_cr", k=18)) for _ in range(12)]
    layout = hall(*rows, focus=(85.0, -30.0), bend=bend)
    chosen, reference = Hall(layout).apart(), Reference(layout, rows)
    free, had, steps = set(range(len(layout))), list[list[int]](), set[Step]()
    for turn in range(260):
        if turn % 9 == 0 and len(had) > 6:
            for _ in range(5 if turn < 140 else 2):
                free |= {*had.pop(choices.randrange(len(had)))}
        size = choices.choice((1, 1, 2, 2, 2, 2, 3, 4, 5, 7, 12, 17, 24))
        taken = sum(1 << seat for seat in range(len(layout)) if seat not in free)
        text = taken.to_bytes((len(layout) + 7) >> 3, "little")
        expected = reference.best(free, size)
        try:
            seats = chosen.best(text, Party(size))
        except NotEnoughSeats:
            assert expected is None
            continue
        assert expected is not None
        assert seats == expected.seats
        steps.add(expected.step)
        free -= {*seats}
        had.append(list(seats))
    assert steps == set(Step)


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


def test_a_size_that_is_asked_for_late_is_looked_up_as_seats_are_now() -> None:
    """Row 0 is nearer while its first seats are free, and row 1 once they are not."""
    chosen = picker("s" * 10, "s" * 10, focus=(0, -20)).copy()
    chosen.best(Party(5))
    chosen.take([0, 1])
    chosen.best(Party(5))
    chosen.take([9])
    assert chosen.best(Party(3)).seats == (10, 11, 12)


def test_a_party_sits_at_the_nearest_seats_that_leave_none_alone() -> None:
    chosen = picker("sssss", focus=(15, -20))
    pick = chosen.best(Party(2))
    assert (ids(chosen, pick.seats), pick.step) == (["0-0", "0-1"], Step.TOGETHER)


def test_a_seat_is_left_alone_only_where_the_party_cannot_sit_otherwise() -> None:
    chosen = picker("sss")
    pick = chosen.best(Party(2))
    assert (pick.step, ids(chosen, chosen.orphans(pick.seats))) == (Step.ORPHAN, ["0-0"])
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


def test_wheelchair_seats_of_two_categories_in_a_row_are_all_there() -> None:
    seats = [Seat(f"{at}", f"{at}", at * 10.0, 0.0, "AB"[at > 1], Flags.WHEELCHAIR) for at in range(4)]
    chosen = Picker(Layout([("1", seats)], focus=(20, -20)))
    assert chosen.best(Party(4, wheelchairs=4)).seats == (0, 1, 2, 3)
    with pytest.raises(NotEnoughSeats, match="3 wheelchair seats wanted, 2 left"):
        chosen.best(Party(3, "B", wheelchairs=3))


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
