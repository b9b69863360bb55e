"""What builds that are measured in turns need for an order, as a table."""

from benchmarks.cpu import Cell, as_rows


def test_each_kind_is_held_against_each_other_build_by_the_leasts_and_pair_by_pair() -> None:
    found = {
        "plain": {"ours": Cell([1_200.0, 1_000.0], 0), "before": Cell([1_000.0, 800.0], 3)},
        "with a key": {"ours": Cell([2_000.0, 2_400.0], 0), "before": Cell([2_000.0, 2_000.0], 0)},
    }

    assert as_rows(found) == [
        ["CPU µs an order: least, median (most)", "ours", "before", "over before"],
        ["plain", "1000, 1100 (1200)", "800, 900 (1000); 3 refused", "1.25, 1.23 (1.20-1.25) in pairs"],
        ["with a key", "2000, 2200 (2400)", "2000, 2000 (2000)", "1.00, 1.10 (1.00-1.20) in pairs"],
    ]
