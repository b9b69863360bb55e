"""Latencies."""

from random import Random

from cludale_proof.rehearsal.latencies import Latencies


def of(*seconds: float) -> Latencies:
    latencies = Latencies()
    for each in seconds:
        latencies.add(each)
    return latencies


def test_without_latencies_there_is_no_quantile() -> None:
    assert Latencies().quantile(0.5) is None


def test_quantiles_are_those_of_the_sorted_latencies() -> None:
    random = Random(1)
    seconds = sorted(random.lognormvariate(-5, 1) for _ in range(10_000))
    latencies = of(*seconds)
    for share in (0.5, 0.95, 0.99, 0.999):
        assert latencies.quantile(share) == seconds[round(share * 10_000) - 1]
    assert latencies.quantile(1.0) == seconds[-1]


def test_merged_latencies_are_those_of_all_parts() -> None:
    merged = Latencies.merged([of(0.001, 0.002), of(0.003), Latencies()])
    assert merged.count == 3
    assert merged.quantile(1.0) == 0.003
    assert merged.quantile(0.3) == 0.001
