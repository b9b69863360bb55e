"""`cludale keys`, against a server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.served import KEY, Served, serve
from typer.testing import CliRunner

from cludale_operations.cli import app, offline
from cludale_proof.checker import DataFolder, check

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("data")) as running:
        yield running


def told(served: Served, *arguments: str, key: str = KEY, status: int = 0) -> Any:
    environment = {
        "CLUDALE_DATA_DIR": str(served.folder),
        "CLUDALE_PORT": str(served.port),
        "CLUDALE_ORGANIZER_KEY": key,
    }
    result = CliRunner().invoke(app, ["keys", *arguments], env=environment)
    assert result.exit_code == status, result.output
    return json.loads(result.stdout) if "--json" in arguments else result.stdout


def test_keys_are_made_listed_replaced_and_ended(served: Served) -> None:
    made = told(served, "create", "box office", "--scope", "read", "--scope", "sell", "--organizer", "acme", "--json")
    assert made["scopes"] == ["read", "sell"]
    assert "box office" in told(served, "list")
    new = told(served, "rotate", made["id"], "--overlap", "60", "--json")
    assert new["key"] != made["key"]
    told(served, "revoke", new["id"])
    assert [each["id"] for each in told(served, "list", "--organizer", "acme", "--json")] == [new["id"], made["id"]]


def test_another_scope_than_those_is_refused_with_their_names(served: Served) -> None:
    told(served, "create", "x", "--scope", "everything", status=2)


def test_a_key_without_the_scope_is_told_so(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    made = told(served, "create", "reads", "--scope", "read", "--json")
    told(served, "list", key=made["key"], status=1)


def test_what_there_is_not_can_not_end(served: Served, tmp_path: Path) -> None:
    told(served, "revoke", "key-none", status=1)


def test_the_log_tells_of_the_keys_what_the_store_has_of_them(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        made = told(served, "create", "door", "--scope", "door", "--organizer", "acme", "--json")
        told(served, "rotate", made["id"], "--overlap", "60")
        told(served, "revoke", made["id"])
        body = {"artist": "A", "date": "2099-01-01", "totalSeats": 1}
        key = told(served, "create", "acme", "--scope", "catalogue", "--organizer", "acme", "--json")["key"]
        assert served.http.post("/concerts", json=body, headers={"authorization": f"Bearer {key}"}).status_code == 201
        assert served.stop() == 0
    outcome = offline.replay(tmp_path, None, until=None, into=None, show=(), progress=lambda *_: None)
    assert outcome.differences == []
    assert outcome.events == 6
    with DataFolder(tmp_path) as data:
        assert check(data).ok
