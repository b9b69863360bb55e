"""The examples of the documents work: their blocks of shell run one after another over a real server.

A block of JSON behind a block of shell is what that answers; the answer may have more fields.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.parts import need
from tests.served import KEY, Served, serve

from cludale_operations.local.free_ports import free_port

PROJECT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(sh|json)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
END = "== end of a block =="


class Step(NamedTuple):
    """A block of shell, and the answer that the document shows."""

    script: str
    answer: Any


def steps(document: str) -> Iterator[Step]:
    blocks = BLOCK.findall((PROJECT / document).read_text(encoding="utf-8"))
    for at, (language, text) in enumerate(blocks):
        if language == "sh":
            shown = at + 1 < len(blocks) and blocks[at + 1][0] == "json"
            yield Step(text, json.loads(blocks[at + 1][1]) if shown else None)


def missing(shown: Any, answer: Any, where: str = "answer") -> list[str]:
    """What the document shows and the answer does not have."""
    if isinstance(shown, dict) and isinstance(answer, dict):
        absent = [f"{where}.{name}" for name in shown if name not in answer]
        return absent + [
            each for name in shown.keys() & answer for each in missing(shown[name], answer[name], f"{where}.{name}")
        ]
    if isinstance(shown, list) and isinstance(answer, list) and len(shown) == len(answer):
        return [
            each for at, pair in enumerate(zip(shown, answer, strict=True)) for each in missing(*pair, f"{where}[{at}]")
        ]
    return [] if shown == answer else [f"{where} is {answer!r}, not {shown!r}"]


def run(script: str, served: Served, folder: Path, **variables: str) -> str:
    """What bash says. The server's address and the command are those of this test."""
    ours = {".venv/bin/cludale": f"{sys.executable} -m cludale_operations", ".venv/bin/python": sys.executable}
    script = re.sub(r"\.venv/bin/\w+", lambda found: ours[found[0]], script)
    script = script.replace("http://127.0.0.1:8080", served.url)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLUDALE_")}
    own = {"CLUDALE_URL": served.url, "CLUDALE_DATA_DIR": str(served.folder), "CLUDALE_ORGANIZER_KEY": KEY}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**environment, **own, **variables},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    need("curl")
    wanted = {"CLUDALE_DEMO": "1", "CLUDALE_WEBHOOK_HTTP": "1", "CLUDALE_WEBHOOK_NETWORKS": "127.0.0.0/8"}
    with serve(tmp_path_factory.mktemp("data"), settings=wanted) as running:
        yield running


@pytest.fixture(scope="module")
def order(served: Served) -> str:
    """An order to look at."""
    body = {"concertId": "demo-club", "userId": "me", "quantity": 1}
    placed = served.http.post("/orders", json=body).json()
    watched = {"authorization": f"Bearer {placed['accessToken']}"}
    assert served.http.get(f"/orders/{placed['id']}?wait=5", headers=watched).json()["status"] == "Paid"
    return str(placed["id"])


def test_a_buyer_who_follows_the_page_gets_the_answers_that_it_shows(served: Served, tmp_path: Path) -> None:
    all_steps = list(steps("docs/use/buying.md"))
    said = run(f"\necho; echo '{END}'\n".join(step.script for step in all_steps), served, tmp_path).split(END)
    assert len(said) == len(all_steps)
    wrong = [
        f"{step.script}{fault}"
        for step, output in zip(all_steps, said, strict=True)
        if step.answer is not None
        for fault in missing(step.answer, json.loads(output))
    ]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("document", ["docs/use/selling.md", "docs/run/checking.md"])
def test_each_command_for_whoever_sells_or_looks_after_it_works(
    document: str, served: Served, order: str, tmp_path: Path
) -> None:
    script = "\n".join(step.script for step in steps(document))
    # there is no dead letter to show here: tests/proof/journeys has some
    script = "\n".join(line for line in script.splitlines() if "$LETTER" not in line)
    assert order in run(script, served, tmp_path, ID=order)


@pytest.mark.slow
def test_each_command_about_keys_works(served: Served, tmp_path: Path) -> None:
    made = served.http.post(
        "/concerts/-/keys", json={"name": "to be replaced", "scopes": ["read"]}, headers=served.organizer
    ).json()
    paired = served.concert("paired")["id"]
    said = run(
        "\n".join(step.script for step in steps("docs/use/keys.md")), served, tmp_path, KEY=made["id"], CONCERT=paired
    )
    assert "box office" in said
    assert "acme" in said
    listed = served.http.get("/concerts/-/keys", headers=served.organizer).json()["items"]
    assert [each["name"] for each in listed if each["id"] == made["id"] and each["endsAt"]] == ["to be replaced"]


@pytest.mark.slow
def test_the_receiver_of_webhooks_verifies_what_it_gets(served: Served, tmp_path: Path) -> None:
    page = (PROJECT / "docs/use/webhooks.md").read_text(encoding="utf-8")
    (tmp_path / "receiver.py").write_text(re.findall(r"^```python\n(.*?)^```\n", page, re.DOTALL | re.MULTILINE)[0])
    port, log = free_port(), tmp_path / "log"
    with log.open("w") as out:
        receiver = subprocess.Popen([sys.executable, "receiver.py", str(port)], cwd=tmp_path, stdout=out, stderr=out)
    try:
        made, pinged, *others = [step.script.replace(":9000", f":{port}") for step in steps("docs/use/webhooks.md")]
        run(f"{made}\necho $HOOK > hook", served, tmp_path)
        body = {"concertId": "demo-club", "userId": "me", "quantity": 1}
        order = served.http.post("/orders", json=body).json()
        hook = (tmp_path / "hook").read_text().strip()
        assert "Pending" in run(pinged, served, tmp_path, HOOK=hook) or "Delivered" in log.read_text()
        deadline = time.monotonic() + 20
        while order["id"] not in log.read_text() or "webhook.ping" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        said = run("\n".join(others), served, tmp_path, HOOK=hook)
        assert "0 are sent again." in said
        assert "is deleted" in said
    finally:
        receiver.terminate()
        receiver.wait(10)
    assert log.read_text().count("order.paid") == 1


@pytest.mark.slow
def test_a_backup_of_the_data_folder_comes_back_whole(served: Served, order: str, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(served.folder)
    (served.folder / "organizer.key").write_text(KEY)
    key, one_process, *_others = steps("docs/run/backup.md")
    said = run(key.script + one_process.script, served, tmp_path)
    assert "every promise holds" in said
    assert "OK: everything holds." in said
    with serve(tmp_path / "restored") as restored:
        orders = [each.http.get(f"/orders/{order}", headers=each.organizer).json() for each in (served, restored)]
    assert orders[0] == orders[1]
