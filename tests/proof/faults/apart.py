"""The distributed shape as a victim: started as `cludale up --distributed`, its parts hurt one by one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Any, Self

from tests.parts import need
from tests.patience import eventually
from tests.proof.faults.crowd import Crowd
from tests.proof.faults.victims import HASTE, PROJECT, Stillborn
from tests.served import Served, environment, lives

from cludale_operations.local.daprd import Broker

SERVER = {Broker.NATS: "nats-server", Broker.RABBITMQ: "rabbitmq-server"}
STARTED_SECONDS = 120
STOPPED_SECONDS = 120
GONE_SECONDS = 30
BACK_SECONDS = 240
"""How long a part that was killed may take until all of the platform is ready again."""


class Apart(Served):
    """A distributed platform that runs."""

    def state(self) -> dict[str, Any]:
        """What runs where, as `cludale up` wrote it down last."""
        state: dict[str, Any] = json.loads((self.folder / "up.json").read_text())
        return state

    @property
    def database_url(self) -> str:
        return str(self.state()["databaseUrl"])

    def part(self, name: str) -> dict[str, Any]:
        """One part of `state`."""
        return next(part for part in self.state()["parts"] if part["name"] == name)

    def names(self) -> list[str]:
        """All parts, in the order in which they were started."""
        return [part["name"] for part in self.state()["parts"]]

    def kill(self, name: str) -> None:
        """SIGKILL to a part, and wait until it was started again and all of them are ready."""
        self.end([name], signal.SIGKILL)

    def end(self, names: Sequence[str], how: signal.Signals, *, until_all: bool = True) -> None:
        """Send a signal to these parts at once, and wait until they were started again and are ready: they, or all."""
        before = {name: self.part(name) for name in names}
        for part in before.values():
            os.kill(part["pid"], how)

        def are_back() -> bool:
            parts = {part["name"]: part for part in self.state()["parts"]}
            awaited = parts.values() if until_all else [parts[name] for name in names]
            return all(parts[name]["restarts"] > before[name]["restarts"] for name in names) and all(
                part["state"] == "ready" for part in awaited
            )

        if not eventually(are_back, seconds=BACK_SECONDS):
            standing = {part["name"]: part["state"] for part in self.state()["parts"] if part["state"] != "ready"}
            raise AssertionError(f"after the end of {', '.join(names)} not all is back: {standing or 'no restart'}")

    def kill_all(self) -> None:
        """SIGKILL to `cludale up` itself, with which all of its parts end: wait until the last one is gone."""
        pids = [part["pid"] for part in self.state()["parts"]]
        self.process.kill()
        assert eventually(lambda: not any(lives(pid) for pid in pids), seconds=GONE_SECONDS), "something outlived it"

    def restart(self, *names: str) -> None:
        """`cludale up restart`."""
        subprocess.run(
            [sys.executable, "-m", "cludale_operations", "up", "restart", *names],
            cwd=PROJECT,
            env=environment(self.folder),
            check=True,
            timeout=600,
        )


@contextmanager
def apart(
    folder: Path, *, replicas: Sequence[str], settings: Mapping[str, str] = HASTE, broker: Broker = Broker.NATS
) -> Iterator[Apart]:
    """The platform over `folder` on a free port; what it says goes to `<folder>.log`. Raises Stillborn."""
    for program in ("daprd", SERVER[broker], "postgres"):
        need(program)
    (folder / "up.json").unlink(missing_ok=True)  # of one that was killed
    options = [part for wanted in replicas for part in ("--replicas", wanted)]
    with Path(f"{folder}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cludale_operations", "up", "--distributed", "--broker", broker, *options],
            cwd=PROJECT,
            env=environment(folder, **settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            text=True,
        )

    def address() -> str | None:
        try:
            found = json.loads((folder / "up.json").read_text())["address"]
        except (FileNotFoundError, KeyError):
            return None
        return None if found is None else str(found)

    try:
        eventually(lambda: address() is not None or process.poll() is not None, seconds=STARTED_SECONDS)
        url = address()
        if url is None:
            process.terminate()
            raise Stillborn(process.wait(STOPPED_SECONDS))
        platform = Apart(process, url, folder)
        try:
            yield platform
        finally:
            platform.http.close()
    finally:
        process.terminate()
        try:
            process.wait(STOPPED_SECONDS)
        finally:
            process.kill()


class Stream:
    """Buyers who keep coming while a block lasts: so many a second, or as many as are served where that is None."""

    def __init__(self, crowd: Crowd, served: Served, *, connections: int, a_second: float | None = None) -> None:
        self._crowd = crowd
        self._served = served
        self._connections = connections
        self._each_seconds = 0.0 if a_second is None else connections / a_second
        self._over = Event()
        self._thread = Thread(target=self._run, name="stream of buyers")
        self._failed: BaseException | None = None

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                began = monotonic()
                count = self._connections if self._each_seconds else 100
                self._crowd.rush(self._served, count, connections=self._connections)
                self._over.wait(max(0.0, began + self._each_seconds - monotonic()))
        except BaseException as error:  # noqa: BLE001 - handed to who waits for the end of the stream
            self._failed = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        if self._failed is not None and error is None:
            raise self._failed
