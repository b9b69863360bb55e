"""A real server in a process of its own, as `cludale serve` starts it, for tests that look from outside."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

STARTED_SECONDS = 20
KEY = "the-organizers-key"


class Served:
    """A server that runs, and a client that calls it."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, folder: Path) -> None:
        self.process = process
        self.url = url
        self.folder = folder
        self.http = httpx.Client(base_url=url, timeout=20)
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

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stop it, and the exit status."""
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout=30)


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a server whose data is in `folder`; nothing of our own settings leaks in."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CLUDALE_")}
    return {
        **clean,
        "CLUDALE_DATA_DIR": str(folder),
        "CLUDALE_PORT": "0",
        "CLUDALE_ORGANIZER_KEY": KEY,
        "CLUDALE_LOG_LEVEL": "warning",
        **settings,
    }


@contextmanager
def serve(folder: Path, *services: str, settings: Mapping[str, str] | None = None) -> Iterator[Served]:
    """`cludale serve` on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cludale", "serve", *services],
        env=environment(folder, **(settings or {})),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    greeting = process.stdout.readline()
    assert " on http://" in greeting, f"the server said {greeting!r}"
    served = Served(process, greeting.split(" on ")[1].split(" ")[0].strip(), folder)
    try:
        yield served
    finally:
        served.stop()
        process.stdout.close()
