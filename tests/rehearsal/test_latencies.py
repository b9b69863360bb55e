"""Latencies in buckets."""

from random import Random

import pytest

from cludale.rehearsal.latencies import Latencies


def of(*seconds: float) -> Latencies:
    latencies = Latencies()
    for each in seconds:
        latencies.add(each)
    return latencies


def test_without_latencies_there_is_no_quantile_and_no_mean() -> None:
    assert Latencies().quantile(0.5) is None
    assert Latencies().mean is None


@pytest.mark.parametrize("seconds", [0.0, 0.000_001, 0.000_255, 0.000_256, 0.001_234, 0.5, 1.0, 59.9, 3600.0])
def test_a_latency_comes_back_within_one_percent_or_a_microsecond(seconds: float) -> None:
    latencies = of(seconds, 40_000.0)
    found = latencies.quantile(0.5)
    assert found == pytest.approx(seconds, rel=0.01, abs=0.000_001)


def test_quantiles_are_those_of_the_sorted_latencies() -> None:
    random = Random(1)
    seconds = sorted(random.lognormvariate(-5, 1) for _ in range(10_000))
    latencies = of(*seconds)
    for share in (0.5, 0.95, 0.99, 0.999):
        assert latencies.quantile(share) == pytest.approx(seconds[round(share * 10_000) - 1], rel=0.01)
    assert latencies.quantile(1.0) == latencies.largest_seconds == seconds[-1]
    assert latencies.mean == pytest.approx(sum(seconds) / 10_000)


def test_what_cannot_be_is_counted_at_the_ends_of_the_scale() -> None:
    latencies = of(-0.5, 1e9)
    assert latencies.count == 2
    assert latencies.quantile(0.5) == pytest.approx(0, abs=1e-6)
    assert latencies.quantile(1.0) == pytest.approx(68_719, rel=0.01)


def test_merged_latencies_are_those_of_all_parts() -> None:
    merged = Latencies.merged([of(0.001, 0.002), of(0.003), Latencies()])
    assert merged.count == 3
    assert merged.quantile(1.0) == pytest.approx(0.003, rel=0.01)
    assert merged.quantile(0.3) == pytest.approx(0.001, rel=0.01)
    assert merged.mean == pytest.approx(0.002)
