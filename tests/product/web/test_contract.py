"""The API keeps its own contract, whatever is sent: schemathesis reads /openapi.json and tries."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.served import Served, serve
from tools.fuzz.api import BOUNDED, tried

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """One of its own: what is sent ends others' orders, too."""
    with serve(tmp_path / "data") as running:
        running.concert("the-concert", seats=100_000)
        yield running


@pytest.mark.timeout(1000)  # 9,000 cases, two minutes if nothing runs beside it: its file begins early
@pytest.mark.slow
def test_the_api_keeps_its_contract_whatever_is_sent(served: Served, tmp_path: Path) -> None:
    ended = tried(
        served.url,
        served.organizer["authorization"],
        tmp_path,
        examples=1,
        seed=1,
        phases=BOUNDED,
        seconds=900,
    )
    assert ended.status == 0, ended.said
    paths = served.http.get("/openapi.json").json()["paths"]
    assert ended.operations == sum(len(METHODS & item.keys()) for item in paths.values()) > 100
    assert ended.cases > 300
