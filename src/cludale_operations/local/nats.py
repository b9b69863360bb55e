"""A NATS server with JetStream on loopback, over a folder of its own. An acknowledged message is on the disk."""

import json
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from cludale_operations.local.find import find
from cludale_operations.local.free_ports import LOOPBACK, free_ports
from cludale_operations.local.part import Launch, Part, answers

USER = "cludale"


class Nats(Part):
    """The server. What its streams hold outlives it."""

    stop_signal: ClassVar = signal.SIGTERM

    def __init__(self, folder: Path, *, port: int = 0, log: Path | None = None) -> None:
        """Data, password, configuration and (unless said otherwise) log go into `folder`; port 0 takes a free one."""
        super().__init__("nats", log or folder / "nats.log")
        self.folder = folder.resolve()
        free, self.monitoring_port = free_ports(2)
        self.port = port or free

    @property
    def url(self) -> str:
        """The server's address, with the password."""
        return f"nats://{USER}:{self._password()}@{LOOPBACK}:{self.port}"

    @property
    def monitoring_url(self) -> str:
        """Where it tells how it is: `/healthz`, `/jsz?consumers=true`, …"""
        return f"http://{LOOPBACK}:{self.monitoring_port}"

    @property
    def http_url(self) -> str:
        """The same as `monitoring_url`."""
        return self.monitoring_url

    @property
    def _password_file(self) -> Path:
        return self.folder / "password"

    def _password(self) -> str:
        return self._password_file.read_text().strip()

    async def prepare(self) -> None:
        """Write the configuration; the password is made once."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._password_file.exists():
            self._password_file.touch(mode=0o600)
            self._password_file.write_text(secrets.token_urlsafe(24))
        configuration = self.folder / "nats.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            json.dumps(
                {
                    "listen": f"{LOOPBACK}:{self.port}",
                    "http": f"{LOOPBACK}:{self.monitoring_port}",
                    "server_name": "cludale",
                    # by default a message is acknowledged first and written to the disk within two minutes
                    "jetstream": {"store_dir": str(self.folder / "jetstream"), "sync_interval": "always"},
                    "authorization": {"user": USER, "password": self._password()},
                    "max_payload": 2**20,
                },
                indent=2,
            )
        )

    def launch(self) -> Launch:
        """The server in the foreground."""
        return Launch([find("nats-server"), "-c", self.folder / "nats.conf"])

    async def is_ready(self) -> bool:
        """JetStream has recovered its streams."""
        return await answers(f"{self.monitoring_url}/healthz")


@asynccontextmanager
async def running_nats(folder: Path, *, port: int = 0) -> AsyncIterator[Nats]:
    """A server over the folder for as long as the block lasts. Raises MissingProgram, PartFailed."""
    async with Nats(folder, port=port).running() as server:
        yield server
