"""A real server in a process of its own, as `cludale serve` starts it, for tests that look from outside."""

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.patience import eventually

from cludale_operations.trust import trust_at

STOPPED_SECONDS = 60
KEY = "the-organizers-key"


def lives(pid: int) -> bool:
    """Is there such a process, and has it not ended?"""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


class Served:
    """A server that runs, and a client that calls it."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, folder: Path) -> None:
        self.process = process
        self.url = url
        self.folder = folder
        self.http = httpx.Client(base_url=url, timeout=20, verify=trust_at(url))
        self.organizer = {"authorization": f"Bearer {KEY}"}

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def concert(self, id: str, *, seats: int = 100, **more: Any) -> dict[str, Any]:
        """Put a concert on."""
        body = {
            "id": id,
            "artist": "The Paper Lanterns",
            "date": "2099-06-05",
            "totalSeats": seats,
            "price": {"amount": 4500, "currency": "EUR"},
            **more,
        }
        answer = self.http.post("/concerts", json=body, headers=self.organizer)
        assert answer.status_code == 201, answer.text
        concert: dict[str, Any] = answer.json()
        return concert

    def tickets(self, concert: str, quantity: int) -> list[dict[str, Any]]:
        """The tickets of an order that is paid."""
        wanted = {"concertId": concert, "userId": "u", "quantity": quantity}
        order = self.http.post("/orders", json=wanted).raise_for_status().json()["id"]
        made: list[dict[str, Any]] = []

        def are_made() -> bool:
            answer = self.http.get("/tickets", params={"order": order}, headers=self.organizer)
            made[:] = answer.json()["items"] if answer.is_success else []
            return len(made) == quantity

        assert eventually(are_made), f"there are no tickets of {order}"
        return made

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stop it, and the exit status."""
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout=STOPPED_SECONDS)


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a server whose data is in `folder`; nothing of our own settings leaks in."""
    own = {name for name in os.environ if name.startswith("CLUDALE_")} - {"CLUDALE_CACHE"}
    clean = {name: value for name, value in os.environ.items() if name not in own}
    return {
        **clean,
        "CLUDALE_DATA_DIR": str(folder),
        "CLUDALE_PORT": "0",
        "CLUDALE_ORGANIZER_KEY": KEY,
        "CLUDALE_LOG_LEVEL": "warning",
        **settings,
    }


def serve(folder: Path, *services: str, settings: Mapping[str, str] | None = None) -> AbstractContextManager[Served]:
    """`cludale serve` on a free port."""
    return _running(["serve", *services], folder, settings or {})


def trusting(part: Mapping[str, Any]) -> ssl.SSLContext:
    """Believes what shows the certificate of this part of `cludale up`, as its state tells of it, and nobody else."""
    return ssl.create_default_context(cafile=part["certificate"])


def up(folder: Path, *options: str, settings: Mapping[str, str] | None = None) -> AbstractContextManager[Served]:
    """`cludale up --distributed` on free ports."""
    return _running(["up", "--distributed", *options], folder, settings or {})


def pages_of(folder: Path, api: str) -> AbstractContextManager[Served]:
    """`cludale pages` on a free port, for the services at this address."""
    return _running(["pages", "--api", api], folder, {})


def gateway(
    folder: Path, routes: Mapping[str, object], settings: Mapping[str, str] | None = None
) -> AbstractContextManager[Served]:
    """`cludale gateway` on a free port, with these routes by service."""
    config = folder / "gateway.json"
    config.write_text(json.dumps({"services": routes}))
    return _running(["gateway", "--config", str(config)], folder, settings or {})


@contextmanager
def _running(command: list[str], folder: Path, settings: Mapping[str, str]) -> Iterator[Served]:
    process = subprocess.Popen(
        [sys.executable, "-m", "cludale_operations", *command],
        env=environment(folder, **settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    greeting = next((line for line in process.stdout if " on http" in line), "")
    assert greeting, f"the server ended with status {process.wait(STOPPED_SECONDS)}, and did not say where it is"
    served = Served(process, greeting.split(" on ")[1].split(" ")[0].strip(), folder)
    try:
        yield served
    finally:
        served.stop()
        process.stdout.close()
