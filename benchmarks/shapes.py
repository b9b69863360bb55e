"""What is measured beside the embedded server: the distributed shape as `cludale up` starts it, and the peers."""

import asyncio
import hashlib
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
import msgspec

from benchmarks import processes
from benchmarks.machine import PROJECT, SCRATCH
from benchmarks.server import Progress, Server, Wrong
from cludale_operations.local.postgres import Postgres

PEERS = PROJECT / "benchmarks" / "peers"
VENVS = SCRATCH.parent / "peers"


class Running(Server):
    """A platform of several processes. `cpu_by_kind` tells them apart."""

    START_SECONDS = 120

    def kinds(self) -> dict[int, str]:
        """The kind of each process, by its id."""
        raise NotImplementedError

    def cpu_by_kind(self) -> dict[str, float]:
        """CPU seconds so far."""
        return processes.cpu_by_kind(self.kinds())

    def memory_by_kind(self) -> dict[str, float]:
        """Resident MiB now."""
        return processes.memory_by_kind(self.kinds())


class Distributed(Running):
    """`cludale up --distributed`: one process a service, its sidecar, PostgreSQL, NATS and the gateway."""

    def start(self) -> float:
        """Start it and wait until all of it is ready."""
        command = [sys.executable, "-m", "cludale_operations", "up", "--distributed"]
        return self._started(command, self._set_to(), PROJECT)

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
        python = environment_of("textbook")
        asyncio.run(self._postgres.start())
        url = self._postgres.url.replace("postgresql://", "postgresql+asyncpg://")
        self._started(_uvicorn(python, "textbook", self.port), {"TEXTBOOK_DATABASE_URL": url}, PROJECT)
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


class Embedded(Server):
    """The peer of our embedded shape: one uvicorn process over one SQLite file."""

    EVENTS_AN_ORDER = 4

    def __init__(self, **settings: str) -> None:
        """With settings of the shop's, by their names."""
        super().__init__()
        self._settings = settings

    def start(self) -> float:
        """Start it and wait until it is ready."""
        settings = {"SHOP_FILE": str(self.data / "shop.db"), **self._settings}
        return self._started(_uvicorn(environment_of("embedded"), "embedded", self.port), settings, PROJECT)

    def progress(self) -> Progress:
        """How far its outbox is."""
        outbox = self.get("/outbox")
        return Progress(outbox["logged"], outbox["waiting"])

    def check_orders(self, concert_id: str, count: int, *, quantity: int = 1) -> None:
        """By its API: exactly so many orders, all Paid and confirmed, and as many seats sold. Raises Wrong."""
        concert = self.get(f"/concerts/{concert_id}")
        found = [concert[name] for name in ("paidOrders", "confirmedOrders", "soldSeats", "heldSeats")]
        if found != [count, count, count * quantity, 0]:
            raise Wrong(f"{count} accepted, but the peer has {concert}")


def environment_of(peer: str) -> Path:
    """The interpreter of a virtual environment with just what the peer's lock says, made if need be."""
    lock = PEERS / peer / "requirements.lock"
    folder = VENVS / f"{peer}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
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


def _uvicorn(python: Path, peer: str, port: int) -> list[str]:
    return [
        str(python), "-m", "uvicorn", f"benchmarks.peers.{peer}.shop:app", "--port", str(port),
        "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
