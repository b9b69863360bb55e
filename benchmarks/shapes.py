"""What is measured beside the embedded server: the distributed shape as `cludale up` starts it, and a textbook peer."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import httpx
import msgspec

from benchmarks import processes
from benchmarks.machine import PROJECT, SCRATCH
from benchmarks.server import Server
from cludale_operations.local.postgres import Postgres

START_SECONDS = 120
STOP_SECONDS = 90
TEXTBOOK = PROJECT / "benchmarks" / "peers" / "textbook"
VENVS = SCRATCH.parent / "peers"


class Running(Server):
    """A platform of several processes. `cpu_by_kind` tells them apart."""

    def kinds(self) -> dict[int, str]:
        """The kind of each process, by its id."""
        raise NotImplementedError

    def cpu_by_kind(self) -> dict[str, float]:
        """CPU seconds so far."""
        return processes.cpu_by_kind(self.kinds())

    def memory_by_kind(self) -> dict[str, float]:
        """Resident MiB now."""
        return processes.memory_by_kind(self.kinds())

    def _wait(self) -> None:
        began = perf_counter()
        while not self._is_ready():
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"it did not start:\n{self.log()}")
            if perf_counter() - began > START_SECONDS:
                raise RuntimeError(f"it was not ready after {START_SECONDS} s:\n{self.log()}")
            sleep(0.05)


class Distributed(Running):
    """`cludale up --distributed`: one process a service, its sidecar, PostgreSQL, NATS and the gateway."""

    def start(self) -> float:
        """Start it and wait until all of it is ready."""
        environment = {
            **os.environ,
            "CLUDALE_DATA_DIR": str(self.data),
            "CLUDALE_PORT": str(self.port),
            "CLUDALE_ORGANIZER_KEY": self.key,
            "CLUDALE_DEMO": "0",
            "CLUDALE_LOG_LEVEL": os.environ.get("CLUDALE_LOG_LEVEL", "warning"),
        }
        began = perf_counter()
        with (self.data / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cludale_operations", "up", "--distributed"],
                cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._wait()
        return perf_counter() - began

    def kinds(self) -> dict[int, str]:
        """Services by their names; sidecars, broker, database and gateway as such."""
        state = msgspec.json.decode((self.data / "up.json").read_bytes(), type=dict[str, Any])
        return {part["pid"]: _kind(part) for part in state["parts"] if part["pid"] is not None}

    def log(self) -> str:
        """The ends of what all of them said."""
        logs = sorted((self.data / "logs").glob("*.log"))
        ends = [f"--- {path.name}\n{path.read_text(errors='replace')[-1_000:]}" for path in logs]
        return "\n".join([super().log(), *ends])

    def _is_ready(self) -> bool:
        return (self.data / "up.json").exists() and super()._is_ready()


def _kind(part: dict[str, Any]) -> str:
    name: str = part["name"]
    if name.endswith("-sidecar"):
        return "sidecars"
    return {"postgres": "database", "nats": "broker"}.get(name) or part.get("service") or name


class Textbook(Running):
    """The peer: one uvicorn process over a PostgreSQL server of the same settings."""

    def __init__(self) -> None:
        super().__init__()
        self._postgres = Postgres(self.data / "postgres")

    def start(self) -> float:
        """Start both and wait until they are ready."""
        began = perf_counter()
        python = _environment_of_its_own()
        asyncio.run(self._postgres.start())
        url = self._postgres.url.replace("postgresql://", "postgresql+asyncpg://")
        with (self.data / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(python), "-m", "uvicorn", "benchmarks.peers.textbook.shop:app", "--port", str(self.port),
                    "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning",
                ],
                cwd=PROJECT, env={**os.environ, "TEXTBOOK_DATABASE_URL": url, "PYTHONPATH": str(PROJECT)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._wait()
        return perf_counter() - began

    def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """End both."""
        try:
            return super().stop(how)
        finally:
            asyncio.run(self._postgres.stop())

    def kinds(self) -> dict[int, str]:
        """The app and its database."""
        found = {self.pid: "app"}
        if self._postgres.pid is not None:
            found[self._postgres.pid] = "database"
        return found

    def put_on_concert(self, seats: int) -> str:
        """A concert with so many seats; its id."""
        return str(self.post("/concerts", {"totalSeats": seats})["id"])

    def _is_ready(self) -> bool:
        with suppress(httpx.TransportError):
            return self.http.get("/readyz").status_code == 200
        return False

    def _clean_up(self) -> None:
        if self._postgres.pid is not None:
            asyncio.run(self._postgres.stop())
        super()._clean_up()


def _environment_of_its_own() -> Path:
    """The interpreter of a virtual environment with just what the peer's lock says, made if need be."""
    lock = TEXTBOOK / "requirements.lock"
    folder = VENVS / f"textbook-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    python, done = folder / "bin" / "python", folder / ".installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=120)
        subprocess.run(
            [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--require-hashes", "-r", lock],
            check=True,
            timeout=600,
        )
        done.touch()
    return python
