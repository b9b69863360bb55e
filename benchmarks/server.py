"""The server that is measured: the real one, a process of its own with an empty data folder, watched from outside."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter, sleep
from types import TracebackType
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import httpx
import msgspec

from benchmarks.checkout import Checkout
from benchmarks.machine import SCRATCH
from benchmarks.processes import TICK, cpu_by_kind, memory_by_kind, most_memory_mib

HAPPY = (
    "OrderPlaced", "SeatsReserved", "TicketReserved", "PaymentCompleted", "SeatsSold", "OrderPaid", "NotificationSent",
    "TicketIssued",
)  # fmt: skip
"""The events of an order that goes well."""

_STOP_SECONDS = 60
_LOG = "server.log"
_PAGE = 200

T = TypeVar("T")


class Cpu(NamedTuple):
    """CPU seconds, user and system: of the process with all that it started, and of its main thread alone."""

    process: float
    main_thread: float

    def since(self, earlier: "Cpu") -> "Cpu":
        """What was used between the two."""
        return Cpu(self.process - earlier.process, self.main_thread - earlier.main_thread)


class ServerEnded(Exception):
    """The server gives no answer any more; the message has its exit status and the end of its log."""


class Wrong(Exception):
    """The server's counts are not what was sent: there is nothing to measure."""


class Progress(NamedTuple):
    """How many events were ever published, and how many are still under way."""

    published: float
    left: float


class Server:
    """`cludale serve` with its data in a temporary folder that goes with it. A context manager.

    It is this tree's unless another checkout is named.
    """

    START_SECONDS: ClassVar = 60
    EVENTS_AN_ORDER: int = len(HAPPY)

    def __init__(self, checkout: Checkout | None = None) -> None:
        self._checkout = Checkout.here() if checkout is None else checkout
        self.happy: tuple[str, ...] = HAPPY
        if not (self._checkout.path / "src/cludale/services/tickets").is_dir():
            self.happy = HAPPY[:-1]  # of before there were tickets
        self.EVENTS_AN_ORDER = len(self.happy)
        SCRATCH.mkdir(parents=True, exist_ok=True)
        self.data = Path(tempfile.mkdtemp(prefix="data-", dir=SCRATCH))
        self.key = secrets.token_urlsafe(24)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=60)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._process is not None:
                self.stop()
        finally:
            self._clean_up()

    def start(self) -> float:
        """Start it and wait until it is ready; the seconds that took."""
        environment = {**self._checkout.environment(), **self._set_to()}
        return self._started(self._checkout.command("serve"), environment, self._checkout.path)

    def _set_to(self) -> dict[str, str]:
        """What a server that is measured is set to."""
        return {
            "CLUDALE_DATA_DIR": str(self.data),
            "CLUDALE_PORT": str(self.port),
            "CLUDALE_ORGANIZER_KEY": self.key,
            "CLUDALE_DEMO": "0",
            "CLUDALE_LOG_LEVEL": os.environ.get("CLUDALE_LOG_LEVEL", "warning"),
        }

    def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """End it by a signal and wait for that; the seconds that took."""
        process, self._process = self._process, None
        if process is None:
            raise RuntimeError("it is not running")
        began = perf_counter()
        process.send_signal(how)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"the server did not stop within {_STOP_SECONDS} s:\n{self.log()}") from None
        return perf_counter() - began

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise RuntimeError("it is not running")
        return self._process.pid

    def log(self) -> str:
        """The end of what it said."""
        return (self.data / _LOG).read_text(errors="replace")[-4000:]

    def cpu(self) -> Cpu:
        """The CPU it has used so far."""
        process = cpu_by_kind({self.pid: "server"})["server"]
        return Cpu(process, _cpu_seconds(f"/proc/{self.pid}/task/{self.pid}/stat"))

    def memory_mib(self) -> tuple[float, float]:
        """The resident memory of all its processes now, and the sum of the most that each ever had, in MiB."""
        return memory_by_kind({self.pid: "server"})["server"], most_memory_mib(self.pid)

    def data_bytes(self) -> int:
        """The size of all its files but its log."""
        files = (path for path in self.data.rglob("*") if path.is_file() and path.name != _LOG)
        return sum(path.stat().st_size for path in files)

    def data_mib(self) -> float:
        """The same in MiB."""
        return self.data_bytes() / 2**20

    def metrics(self) -> dict[str, float]:
        """`/metrics`, by name with labels."""
        found = {}
        for line in self.get_bytes("/metrics").decode().splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found

    def progress(self) -> Progress:
        """How far its events are."""
        metrics = self.metrics()
        left = (
            value
            for name, value in metrics.items()
            if name == "cludale_events_under_way" or name.startswith("cludale_queue_depth")
        )
        return Progress(metrics["cludale_events_published_total"], sum(left))

    def check_orders(self, concert_id: str, count: int, *, quantity: int = 1) -> None:
        """By the API: exactly so many orders of so many tickets, all Paid, each with its events and a notification.

        Raises Wrong.
        """
        statuses = Counter(order.status for order in self._all("/orders", _Order, concertId=concert_id))
        if statuses != {"Paid": count}:
            raise Wrong(f"{count} accepted, but orders are {dict(statuses)}")
        events = Counter(event.event_type for event in self._all("/audit/events", _Event, concertId=concert_id))
        if events != {"ConcertScheduled": 1} | dict.fromkeys(self.happy, count):
            raise Wrong(f"{count} accepted, but the audit has {dict(events)}")
        concert = self.get(f"/concerts/{concert_id}")
        if (concert["soldSeats"], concert["heldSeats"]) != (count * quantity, 0):
            raise Wrong(f"{count} accepted, but {concert['soldSeats']} sold and {concert['heldSeats']} held")

    def get(self, path: str, **asked: str | int) -> Any:
        """The JSON at `path`."""
        return msgspec.json.decode(self.get_bytes(path, **asked))

    def get_bytes(self, path: str, **asked: str | int) -> bytes:
        """What is at `path`. Raises ServerEnded if nobody answers any more."""
        try:
            return self.http.get(path, params=asked).raise_for_status().content
        except httpx.TransportError as error:
            status = None if self._process is None else self._process.poll()
            raise ServerEnded(f"GET {path}: {error}; the server's exit status is {status}\n{self.log()}") from error

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """The JSON that posting `body` gives."""
        answer = self.http.post(path, json=body)
        if not answer.is_success:
            raise RuntimeError(f"POST {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    def put_on_concert(self, seats: int) -> str:
        """A concert with so many seats, all in one section; its id."""
        price = {"amount": 4500, "currency": "EUR"}
        wanted = {"artist": "Benchmark", "date": "2099-12-31", "totalSeats": seats, "price": price}
        return str(self.post("/concerts", wanted)["id"])

    def put_on_sections(self, sections: int, seats: int) -> str:
        """A concert with so many sections of so many seats, each dearer than the one before; its id."""
        plans = [
            {"id": f"s{n}", "totalSeats": seats, "price": {"amount": 4500 + 100 * n, "currency": "EUR"}}
            for n in range(sections)
        ]
        return str(self.post("/concerts", {"artist": "Benchmark", "date": "2099-12-31", "sections": plans})["id"])

    def _all(self, path: str, kind: type[T], **asked: str) -> Iterator[T]:
        """The items of all pages, one page at a time in memory."""
        decoder = msgspec.json.Decoder(_Page[kind])  # type: ignore[valid-type] # a type at run time
        after: dict[str, str] = {}
        while True:
            page = decoder.decode(self.get_bytes(path, limit=_PAGE, **asked, **after))
            yield from page.items
            if page.next is None:
                return
            after = {"after": page.next}

    def _started(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> float:
        """Start a process in a folder, with more environment, and wait until it is ready; the seconds that took."""
        began = perf_counter()
        with (self.data / _LOG).open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        while not self._is_ready():
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended with status {self._process.returncode}:\n{self.log()}")
            if perf_counter() - began > self.START_SECONDS:
                raise RuntimeError(f"the server was not ready after {self.START_SECONDS} s:\n{self.log()}")
            sleep(0.01)
        return perf_counter() - began

    def _is_ready(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _clean_up(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.http.close()
        shutil.rmtree(self.data)


class _Order(msgspec.Struct, frozen=True):
    status: str


class _Event(msgspec.Struct, frozen=True, rename="camel"):
    event_type: str


class _Page(msgspec.Struct, Generic[T], frozen=True):
    items: list[T]
    next: str | None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _cpu_seconds(path: str) -> float:
    # The name in brackets may hold anything, so count from its end: user and system time are fields 14 and 15.
    fields = Path(path).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK
