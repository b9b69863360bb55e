"""What servers needed in instructions, as a table."""

from benchmarks.instructions import as_rows


def test_each_kind_is_held_against_each_other_build_by_the_medians() -> None:
    found = {
        "order": {"ours": [2_000.0, 2_100.0, 2_200.0], "before": [2_500.0, 2_400.0, 2_000.0]},
        "hold": {"ours": [500.0], "before": [400.0]},
    }

    assert as_rows(found) == [
        ["thousands of instructions each", "ours", "before", "over before"],
        ["order", "2,100 (2,000-2,200)", "2,400 (2,000-2,500)", "0.88"],
        ["hold", "500 (500-500)", "400 (400-400)", "1.25"],
    ]
