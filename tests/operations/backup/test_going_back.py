"""A backup is made while buyers come, and brought back: what it says was kept, all of it holds, and it goes on."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.patience import eventually
from tests.proof.faults.apart import Stream
from tests.proof.faults.crowd import Crowd
from tests.served import Served, environment, serve

pytestmark = pytest.mark.slow

SETTINGS = {"CLUDALE_ADMISSION_SECONDS": "25"}


def cludale(*words: str | Path, folder: Path, status: int = 0, settings: Mapping[str, str] | None = None) -> Any:
    """What the command says, from JSON, or its one line of error."""
    done = subprocess.run(
        [sys.executable, "-m", "cludale_operations", *words],
        env=environment(folder, **settings or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else (done.stdout + done.stderr).strip()


@pytest.fixture
def recipient(tmp_path: Path) -> str:
    return str(cludale("backup", "key", tmp_path / "backup.key", folder=tmp_path))


def sold_while_copied(
    served: Served, tmp_path: Path, recipient: str, settings: Mapping[str, str] | None = None
) -> set[str]:
    """Make a backup beside buyers who come all the time. The orders that were confirmed before it began."""
    served.concert("c-1", seats=100_000)
    crowd = Crowd(["c-1"], seed=1)
    crowd.rush(served, 60)
    before = set(crowd.accepted)
    for buyer in ("anna", "berta"):
        wanted = {"concertId": "c-1", "userId": buyer, "quantity": 1, "email": f"{buyer}@example.org"}
        assert served.http.post("/orders", json=wanted).status_code == 201
    with Stream(crowd, served, connections=8, a_second=40):
        made = cludale(
            *("backup", "create", tmp_path / "all.backup", "--recipient", recipient, "--json"),
            folder=tmp_path / "data",
            settings=settings,
        )
    assert made["bytes"] > 100_000
    assert len(crowd.accepted) > len(before), "somebody bought meanwhile"
    asked = {"userId": "anna"}
    erased = served.http.post("/orders/-/buyers/erase", json=asked, headers=served.organizer).json()
    (tmp_path / "erased.txt").write_text("\n".join(each["orderId"] for each in erased["items"]))
    return before


def addresses(served: Served) -> set[str | None]:
    """What is known of the two buyers."""
    found = set()
    for buyer in ("anna", "berta"):
        asked = {"userId": buyer, "limit": 200}
        page = {"next": None}
        while True:
            body = {**asked, "after": page["next"]}
            page = served.http.post("/orders/-/buyers/export", json=body, headers=served.organizer).json()
            found |= {each["email"] for each in page["items"]}
            if page["next"] is None:
                break
    return found


def assert_goes_on(served: Served, before: set[str]) -> None:
    """What was confirmed before the backup is there, and more can be bought."""
    for order in list(before)[:50]:
        assert served.http.get(f"/orders/{order}", headers=served.organizer).status_code == 200
    crowd = Crowd(["c-1"], seed=2)
    crowd.rush(served, 20)
    assert crowd.accepted


def differences(data: Path) -> int:
    """How many records are not as the log says."""
    command = [sys.executable, "-m", "cludale_operations", "audit", "replay", "--data", str(data), "--json"]
    done = subprocess.run(command, env=environment(data), capture_output=True, text=True, timeout=60, check=False)
    return len(json.loads(done.stdout)["differences"])


@pytest.mark.timeout(400)  # among the longest: its file begins early
def test_a_data_folder_comes_back_as_it_was_at_one_instant_and_goes_on(tmp_path: Path, recipient: str) -> None:
    with serve(tmp_path / "data", settings=SETTINGS) as served:
        before = sold_while_copied(served, tmp_path, recipient)
    back = tmp_path / "back"
    came = cludale(
        *(
            "backup",
            "restore",
            tmp_path / "all.backup",
            "--identity",
            tmp_path / "backup.key",
            "--into",
            back,
            "--json",
        ),
        folder=tmp_path / "data",
    )
    assert came["erasures"] == "1 buyers erased again; 1 orders were named", "the folder in use knows who it was"
    assert (came["log"], came["check"]) == ("whole", "every promise holds")
    assert came["events"] > 200
    assert {file.name for file in back.iterdir()} >= {"cludale.db", "simulated-provider.db", "token.key"}
    with serve(back, settings=SETTINGS) as served:
        assert addresses(served) == {None, "berta@example.org"}
        assert_goes_on(served, before)
        assert eventually(lambda: differences(back) == 0, seconds=30), "what waited in the outbox comes into the log"


@pytest.mark.timeout(400)  # among the longest: its file begins early
def test_a_database_comes_back_as_it_was_at_one_instant_and_goes_on(
    tmp_path: Path, recipient: str, database_url: str, another_database_url: str
) -> None:
    there = {"CLUDALE_DATABASE_URL": database_url}
    with serve(tmp_path / "data", settings={**SETTINGS, **there}) as served:
        before = sold_while_copied(served, tmp_path, recipient, there)
    back = {"CLUDALE_DATABASE_URL": another_database_url}
    words = (
        "backup",
        "restore",
        tmp_path / "all.backup",
        "--identity",
        tmp_path / "backup.key",
        "--into",
        tmp_path / "back",
    )
    came = cludale(*words, "--json", folder=tmp_path, settings=back)
    assert (came["log"], came["check"]) == ("whole", "every promise holds")
    assert came["erasures"].startswith("owed")
    refused = cludale("serve", folder=tmp_path / "back", status=2, settings={**back, "CLUDALE_PORT": "0"})
    assert "buyers who were erased since that backup are in it again" in refused
    settle = ("backup", "settle", "--into", tmp_path / "back", "--json")
    other = ("--former", tmp_path / "other")
    with serve(tmp_path / "other") as served:
        served.concert("c-2")
    assert "the log there is another" in cludale(*settle, *other, folder=tmp_path, status=2, settings=back)
    listed = ("--erased", tmp_path / "erased.txt")
    settled = cludale(*settle, *listed, folder=tmp_path, settings=back)
    assert settled["erasures"] == "1 buyers erased again; 1 orders were named"
    with serve(tmp_path / "back", settings={**SETTINGS, **back}) as served:
        assert addresses(served) == {None, "berta@example.org"}
        assert_goes_on(served, before)
    words = (*words[:-1], tmp_path / "again")
    assert "the database is not empty" in cludale(*words, folder=tmp_path, status=2, settings=back)
    assert not (tmp_path / "again").exists()


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which one concert is, its backup, and the key."""
    folder = tmp_path_factory.mktemp("originals")
    with serve(folder / "data") as served:
        served.concert("c-1")
    recipient = cludale("backup", "key", folder / "backup.key", folder=folder)
    (folder / "recipient").write_text(recipient)
    cludale("backup", "create", folder / "small", "--recipient", recipient, folder=folder / "data")
    return folder


@pytest.fixture
def small(tmp_path: Path, originals: Path) -> Path:
    """A backup, with the folder that it is of and the key beside it."""
    shutil.copytree(originals, tmp_path, dirs_exist_ok=True)
    return tmp_path / "small"


def test_a_restore_writes_over_nothing(small: Path, tmp_path: Path) -> None:
    words = ("backup", "restore", small, "--identity", tmp_path / "backup.key", "--into", tmp_path / "data")
    assert "is not empty" in cludale(*words, folder=tmp_path, status=2)


def test_a_backup_is_held_against_its_digests_and_shown_without_bringing_it_back(small: Path, tmp_path: Path) -> None:
    with_key = ("--identity", tmp_path / "backup.key")
    checked = cludale("backup", "check", small, *with_key, "--json", folder=tmp_path)
    assert checked == cludale("backup", "show", small, *with_key, "--json", folder=tmp_path)
    assert checked["holds"][:1] == ["cludale.db"]
    os.truncate(small, small.stat().st_size - 1)
    assert "decryption error" in cludale("backup", "check", small, *with_key, folder=tmp_path, status=1)
    words = ("backup", "restore", small, *with_key, "--into", tmp_path / "back")
    assert "decryption error" in cludale(*words, folder=tmp_path, status=1)
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["backup", "create", "small", "--recipient", "{recipient}"], "small is there already"),
        (["backup", "create", "other", "--recipient", "age1nope"], "no recipient"),
        (["backup", "create", "other", "--recipient", "{recipient}", "--data", "nowhere"], "there is no store in"),
        (["backup", "create", "no/folder/other", "--recipient", "{recipient}"], "No such file"),
        (["backup", "key", "backup.key"], "is there already"),
        (["backup", "restore", "none", "--identity", "backup.key"], "none: No such file"),
        (["backup", "restore", "small", "--identity", "none.key"], "none.key: No such file"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(words: list[str], why: str, small: Path, tmp_path: Path) -> None:
    names = {"small": small, "other": tmp_path / "other", "backup.key": tmp_path / "backup.key"}
    recipient = (tmp_path / "recipient").read_text()
    said = [str(names.get(word, word)).format(recipient=recipient) for word in words]
    line = cludale(*said, folder=tmp_path / "data", status=2)
    assert why in line
    assert len(line.splitlines()) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["backup.key", "data", "recipient", "small"]
