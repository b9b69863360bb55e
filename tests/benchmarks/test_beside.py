"""What two servers, measured in turns, come to."""

import pytest
from benchmarks.beside import Found, circumstances, compared
from benchmarks.measure import Measured
from benchmarks.onsale import of_the_key, steps
from benchmarks.server import Wrong

TODO = [step for step in steps(count=100, connections=[64], with_keys=True) if step.name == "orders at 64"]


def measured(*, what: str = "orders at 64", rate: float = 500, p99: float | None = 100, cpu: float = 1_000,
             others: dict[str, int] | None = None) -> Measured:  # fmt: skip
    return Measured(
        what=what,
        connections=64,
        succeeded=100,
        others=others or {},
        answer_seconds=1,
        complete_seconds=1,
        per_second=rate,
        server_cpu_us=cpu,
        server_main_thread_cpu_us=cpu,
        generator_cpu_us=1,
        p50_ms=p99,
        p95_ms=p99,
        p99_ms=p99,
        largest_ms=p99,
        server_memory_mib=100,
        others_cpu_percent=40,
    )


def test_each_figure_of_ours_is_held_against_the_others_of_the_same_round() -> None:
    rounds = [
        [Found("ours", [measured(rate=1_000, cpu=500)], 6_000), Found("theirs", [measured(rate=500)], 12_000)],
        [Found("ours", [measured(rate=300, p99=300)], 6_000), Found("theirs", [measured(rate=100)], 10_000)],
    ]

    pairs = {name: ratio.pairs for name, (ratio, _) in compared(TODO, rounds).items()}

    assert pairs == {
        "orders at 64: a second": [2.0, 3.0],
        "orders at 64: p99 ms": [1.0, 3.0],
        "orders at 64: server µs each": [0.5, 1.0],
        "bytes on disk an order": [0.5, 0.6],
    }


def test_refusals_and_what_others_took_of_the_machine_are_in_the_table() -> None:
    rounds = [
        [Found("ours", [measured(others={"503": 7})], 1), Found("theirs", [measured()], 1)],
        [Found("ours", [measured()], 1), Found("theirs", [measured()], 1)],
    ]

    assert circumstances(TODO, rounds) == [
        ["orders at 64: answered otherwise", "7, 0", "0, 0", "", ""],
        ["the machine's CPU that others used, %", "40 (40-40)", "40 (40-40)", "", ""],
    ]


def test_a_figure_that_is_missing_is_refused() -> None:
    rounds = [[Found("ours", [measured(p99=None)], 1), Found("theirs", [measured()], 1)]]

    with pytest.raises(Wrong, match="ours, orders at 64: no p99Ms"):
        compared(TODO, rounds)


def test_what_a_key_costs_is_said_run_by_run() -> None:
    runs = [
        [measured(cpu=1_300), measured(what="no key, at 64", cpu=1_000)],
        [measured(cpu=1_100), measured(what="no key, at 64", cpu=1_000)],
    ]

    assert of_the_key(runs, 64).pairs == [1.3, 1.1]
