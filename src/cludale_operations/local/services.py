"""The services and the gateway as processes: what `cludale serve` and `cludale gateway` start."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from cludale.web.http1 import url_of
from cludale.web.trust import naming, trust_named_in
from cludale_operations.local.certificate import Certificate
from cludale_operations.local.free_ports import LOOPBACK, free_port
from cludale_operations.local.part import Launch, Part, answers

START_SECONDS = 60
STOP_SECONDS = 30
"""More than CLUDALE_SHUTDOWN_SECONDS by default."""


class _Answering(Part):
    """Answers HTTP at a port of this machine, over TLS alone if it shows a certificate."""

    certificate: Certificate | None
    inside_port: int
    """Where this machine's own parts reach it."""

    @property
    def url(self) -> str:
        """Its address, as this machine's own parts reach it."""
        return f"http{'' if self.certificate is None else 's'}://{LOOPBACK}:{self.inside_port}"

    @property
    def http_url(self) -> str:
        """The same as `url`."""
        return self.url

    @property
    def trusted(self) -> Path | None:
        """What it shows there."""
        return None if self.certificate is None else self.certificate.certificate

    @property
    def address(self) -> str:
        """The same as `url`, with whom to trust there (web/trust.py)."""
        return self.url if self.trusted is None else f"{self.url}{naming(self.trusted)}"

    async def says(self, path: str) -> bool:
        """Does it answer there with a good status?"""
        return await answers(f"{self.url}{path}", trust=trust_named_in(self.address))


class _Server(_Answering):
    """What `cludale` serves on a free port of this machine, with this Python."""

    ready_seconds: ClassVar[float] = START_SECONDS

    def __init__(
        self,
        name: str,
        log: Path,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        stop_seconds: float,
        certificate: Certificate | None,
    ) -> None:
        """`stop_seconds`: how long it may take to end by itself before it is ended.

        With a `certificate`, which it shows, it is reached over TLS alone.
        """
        super().__init__(name, log)
        self.certificate = certificate
        self.stop_seconds = stop_seconds
        self.port = self.inside_port = free_port()
        self._command = command
        self._environment = environment

    async def prepare(self) -> None:
        """Nothing: it makes what it needs."""

    def launch(self) -> Launch:
        """The command."""
        own = {
            "CLUDALE_HOST": LOOPBACK,
            "CLUDALE_PORT": str(self.port),
            "CLUDALE_INSIDE_CERTIFICATE": str(self.trusted or ""),
        }
        return Launch([sys.executable, "-m", "cludale_operations", *self._command], {**self._environment, **own})


class ServiceProcess(_Server):
    """One replica of a service. Ready when it answers and its sidecar is there."""

    def __init__(
        self,
        service: str,
        name: str,
        log: Path,
        environment: Mapping[str, str],
        *,
        stop_seconds: float = STOP_SECONDS,
        certificate: Certificate | None = None,
    ) -> None:
        """As `_Server`."""
        command = ("serve", service)
        super().__init__(name, log, command, environment, stop_seconds=stop_seconds, certificate=certificate)
        self.service = service

    async def is_ready(self) -> bool:
        """It says so itself."""
        return await self.says("/readyz/replica")

    async def is_well(self) -> bool:
        """It says that store and broker do their work."""
        return await self.says("/readyz")


class PagesProcess(_Server):
    """The pages that people see, which reach the services through the gateway."""

    def __init__(
        self,
        log: Path,
        *,
        api: str,
        environment: Mapping[str, str],
        stop_seconds: float,
        certificate: Certificate | None = None,
    ) -> None:
        """`api`: the gateway's address."""
        command = ("pages", "--api", api)
        super().__init__("pages", log, command, environment, stop_seconds=stop_seconds, certificate=certificate)

    async def is_ready(self) -> bool:
        """It says so itself."""
        return await self.says("/readyz")

    async def is_well(self) -> bool:
        """It answers."""
        return await self.is_ready()


class GatewayProcess(_Answering):
    """The gateway before all replicas."""

    ready_seconds: ClassVar[float] = START_SECONDS

    def __init__(
        self,
        folder: Path,
        log: Path,
        *,
        host: str,
        port: int,
        backends: Mapping[str, list[str]],
        environment: Mapping[str, str],
        stop_seconds: float,
        certificate: Certificate,
    ) -> None:
        """`backends`: the addresses of each service's replicas; port 0 takes a free one.

        `certificate`: what it shows to this machine's own parts.
        """
        super().__init__("gateway", log)
        self.stop_seconds = stop_seconds
        self.host = host
        self.port = port or free_port()
        self.routes = folder / "gateway.json"
        self._backends = backends
        self.pages_url: str | None = None
        """Where the pages for people are."""
        self._environment = dict(environment)
        self._is_public_secure = bool(environment.get("CLUDALE_TLS_CERTIFICATE"))
        self.inside_port = free_port()
        self.certificate = certificate
        self._written = False

    @property
    def public_url(self) -> str:
        """The same, as people reach it."""
        url = url_of(self.host, self.port)
        return f"https{url.removeprefix('http')}" if self._is_public_secure else url

    async def prepare(self) -> None:
        """Write the routes, once: what is changed while it runs outlives a restart of the gateway."""
        if not self._written:
            self.routes.parent.mkdir(parents=True, exist_ok=True)
            services = {name: {"backends": [{"url": url} for url in urls]} for name, urls in self._backends.items()}
            self.routes.write_text(json.dumps({"services": services}, indent=2))
            self._written = True

    def launch(self) -> Launch:
        """`cludale gateway`, with this Python."""
        own = {
            "CLUDALE_HOST": self.host,
            "CLUDALE_PORT": str(self.port),
            "CLUDALE_INSIDE_CERTIFICATE": str(self.trusted),
        }
        argv: list[str | Path] = [sys.executable, "-m", "cludale_operations", "gateway", "--config", self.routes]
        if self.pages_url is not None:
            argv += ["--pages", self.pages_url]
        argv += ["--inside-port", str(self.inside_port)]
        return Launch(argv, self._environment | own)

    async def is_ready(self) -> bool:
        """Every service has a replica that is up."""
        return await self.says("/readyz/replica")

    async def is_well(self) -> bool:
        """Every service has a replica that is ready."""
        return await self.says("/readyz")
