"""What one server's figures are of another's, and who is measured when."""

from collections import Counter

import pytest
from benchmarks.figures import Spread, as_rows, ratio, turns


def test_in_every_round_each_side_takes_each_step_once() -> None:
    plan = turns(rounds=5, steps=3)

    assert Counter(plan) == {(number, step, side): 1 for number in range(5) for step in range(3) for side in range(2)}
    assert [turn.round for turn in plan] == sorted(turn.round for turn in plan)


def test_one_side_takes_a_step_right_after_the_other() -> None:
    plan = turns(rounds=3, steps=4)

    pairs = zip(plan[::2], plan[1::2], strict=True)
    assert all((one.round, one.step) == (other.round, other.step) for one, other in pairs)


def test_who_comes_first_is_swapped_from_round_to_round() -> None:
    first = [turn.side for turn in turns(rounds=4, steps=2)[::4]]

    assert first == [0, 1, 0, 1]


def test_each_round_begins_with_another_step() -> None:
    first = [turn.step for turn in turns(rounds=4, steps=3)[::6]]

    assert first == [0, 1, 2, 0]


def test_figures_are_compared_within_a_round_and_the_median_is_that_of_the_pairs() -> None:
    found = ratio([100.0, 300.0, 90.0], [50.0, 100.0, 90.0])

    assert found.pairs == [2.0, 3.0, 1.0]
    assert found.of_pairs == Spread(2.0, 1.0, 3.0)
    assert (found.ours.median, found.theirs.median) == (100.0, 90.0)  # whose ratio would be 1.11


def test_a_round_without_its_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


def test_the_table_has_both_sides_the_median_ratio_and_each_round() -> None:
    rows = as_rows({"orders at 64: a second": (ratio([100.0, 300.0], [50.0, 100.0]), 0)}, ours="abc", theirs="def")

    assert rows == [
        ["", "abc", "def", "ratio", "round by round"],
        ["orders at 64: a second", "200 (100-300)", "75 (50-100)", "2.50 (2.00-3.00)", "2.00, 3.00"],
    ]
