"""One server for all of these tests."""

from collections.abc import Iterator

import pytest
from tests.served import Served, serve


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("data")) as running:
        running.concert("the-concert", seats=100_000)
        running.concert("sold-out", seats=1)
        running.concert("later", onSaleAt="2098-01-01T09:00:00Z")
        taken = running.http.post("/orders", json={"concertId": "sold-out", "userId": "me", "quantity": 1})
        assert taken.status_code == 201
        yield running
