"""A Dapr sidecar on loopback: the real daprd over the component files of this project."""

import json
import signal
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from cludale.ports.tracing import UNTRACED
from cludale.web.trust import naming, trust_named_in
from cludale_operations.local.certificate import Certificate
from cludale_operations.local.find import MissingProgram, cache_folder, find
from cludale_operations.local.free_ports import LOOPBACK, free_ports
from cludale_operations.local.part import Launch, Part, answers
from cludale_operations.local.sentry import Sentry

SOURCES = Path(__file__).resolve().parents[3]
COMPONENTS = SOURCES / "docker" / "components"
GRACE_SECONDS = 5
VERSION_SECONDS = 10
TESTED = "1.16.0"
"""The Dapr that everything is tested with, as tools/daprd/go.mod names it."""
BUILT_FOR = "built for Cludale Tickets, over TLS"
"""What our own says after its version."""
ALLOWED_SECRETS = (
    "organizer-key",
    "database-url",
    "token-key",
    "token-key-too",
    "service-key",
    "service-key-too",
    "key-hash",
    "key-hash-too",
    "privacy-key",
    "privacy-key-too",
    "smtp-password",
    "rabbitmq-monitor-url",
)


class Broker(StrEnum):
    """Which broker is between the services."""

    NATS = "nats"
    RABBITMQ = "rabbitmq"


class Daprd(Part):
    """The sidecar of one process. Ready when its components are; it waits for the app by itself."""

    stop_signal: ClassVar = signal.SIGTERM
    stop_seconds: float = GRACE_SECONDS + 5

    def __init__(
        self,
        app_id: str,
        folder: Path,
        *,
        app_port: int | None = None,
        http_port: int = 0,
        resources: Sequence[Path] = (),
        secrets: Mapping[str, str] | None = None,
        api_token: str | None = None,
        app_token: str | None = None,
        neighbours: Path | None = None,
        otlp_endpoint: str | None = None,
        sentry: Sentry | None = None,
        certificate: Certificate | None = None,
        app_certificate: Path | None = None,
        name: str | None = None,
        log: Path | None = None,
    ) -> None:
        """A sidecar over the component files in the folders `resources`.

        `folder` takes its configuration; `neighbours` is the SQLite file where the sidecars of one machine find each
        other, beside the folder unless said otherwise. `secrets` is what the secret store `secrets` holds.
        `api_token` is asked of the app, `app_token` is shown to it. Where there is a `sentry`, which has to run,
        sidecars call each other by mutual TLS and not otherwise. With a `certificate`, which it shows, its API is
        reached over TLS alone, and with an `app_certificate` it calls the app over TLS, and nobody who shows another
        one: both need the daprd of tools/daprd. Port 0 takes a free one.
        """
        super().__init__(name or f"{app_id}-sidecar", log or folder / f"{name or app_id}-sidecar.log")
        self.app_id = app_id
        self.folder = folder.resolve()
        self.app_port = app_port
        free, self.grpc_port, self.internal_port = free_ports(3)
        self.port = self.http_port = http_port or free
        self.api_token = api_token
        self.app_token = app_token
        self._resources = list(resources)
        self._secrets = dict(secrets or {})
        self._neighbours = (neighbours or self.folder / "neighbours.db").resolve()
        self._otlp_endpoint = otlp_endpoint
        self._sentry = sentry
        self._certificate = certificate
        self.app_certificate = app_certificate

    def know(self, secrets: Mapping[str, str]) -> None:
        """What its secret store holds from its next start on."""
        self._secrets = dict(secrets)

    @property
    def http_url(self) -> str:
        """The same as `url`."""
        return self.url

    @property
    def url(self) -> str:
        """Where the app finds it."""
        return f"http{'' if self._certificate is None else 's'}://{LOOPBACK}:{self.http_port}"

    @property
    def trusted(self) -> Path | None:
        """What it shows its app."""
        return None if self._certificate is None else self._certificate.certificate

    @property
    def _trust(self) -> ssl.SSLContext | None:
        return None if self.trusted is None else trust_named_in(naming(self.trusted))

    @property
    def environment(self) -> dict[str, str]:
        """What the app has to know of it, under Dapr's own names."""
        known = {"DAPR_HTTP_PORT": str(self.http_port), "DAPR_GRPC_PORT": str(self.grpc_port), "APP_ID": self.app_id}
        if self._certificate is not None:
            known["CLUDALE_SIDECAR_CERTIFICATE"] = str(self._certificate.certificate)
        if self.api_token:
            known["DAPR_API_TOKEN"] = self.api_token
        if self.app_token:
            known["APP_API_TOKEN"] = self.app_token
        return known

    @property
    def _configuration(self) -> Path:
        return self.folder / f"{self.name}.json"

    async def prepare(self) -> None:
        """Write the configuration."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # JSON is YAML
        self._configuration.write_text(json.dumps(self._configured(), indent=2))
        if self._certificate is not None:
            self._sockets.mkdir(mode=0o700, exist_ok=True)

    @property
    def _sockets(self) -> Path:
        """Where it runs, and has sockets of its own: by their names alone, for a path may have some 100 bytes."""
        return self.folder / self.name

    def _configured(self) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "tracing": {"samplingRate": "0"},
            "metrics": {"enabled": False},
            "nameResolution": {
                "component": "sqlite",
                "configuration": {"connectionString": str(self._neighbours), "updateInterval": "2s"},
            },
            "secrets": {
                "scopes": [{"storeName": "secrets", "defaultAccess": "deny", "allowedSecrets": list(ALLOWED_SECRETS)}]
            },
        }
        if self._otlp_endpoint is not None:
            # host and port are all that it takes, and it sends to /v1/traces there
            there = urlsplit(self._otlp_endpoint)
            is_secure = there.scheme == "https"
            port = there.port or (443 if is_secure else 80)
            endpoint = f"{there.netloc.rpartition('@')[2].removesuffix(f':{port}')}:{port}"
            spec["tracing"] = {
                "samplingRate": "1",
                "otel": {"endpointAddress": endpoint, "protocol": "http", "isSecure": is_secure},
            }
        return {
            "apiVersion": "dapr.io/v1alpha1",
            "kind": "Configuration",
            "metadata": {"name": "cludale"},
            "spec": spec,
        }

    def launch(self) -> Launch:
        """The sidecar in the foreground, listening on loopback only."""
        options: dict[str, object] = {
            "app-id": self.app_id,
            "app-protocol": "http" if self.app_certificate is None else "https",
            "dapr-http-port": self.http_port,
            "dapr-grpc-port": self.grpc_port,
            "dapr-internal-grpc-port": self.internal_port,
            "dapr-listen-addresses": LOOPBACK,
            "dapr-internal-grpc-listen-address": LOOPBACK,
            "dapr-graceful-shutdown-seconds": GRACE_SECONDS,
            "config": self._configuration,
            "log-level": "info",
            "enable-metrics": "false",
        }
        argv: list[str | Path] = [find("daprd")]
        for option, value in options.items():
            argv.append(f"--{option}={value}")
        for folder in self._resources:
            argv += ["--resources-path", folder]
        if self.app_port is not None:
            # an app that is not ready gets no events
            argv += ["--app-port", str(self.app_port), "--app-channel-address", LOOPBACK]
            argv += ["--enable-app-health-check", "--app-health-check-path", "/dapr/healthz"]
            argv += ["--app-health-probe-interval", "1", "--app-health-threshold", "3"]
        environment = {"DAPR_HOST_IP": LOOPBACK, **self._secrets}
        if self._sentry is not None:
            argv += ["--enable-mtls", "--sentry-address", self._sentry.address]
            environment["DAPR_TRUST_ANCHORS"] = self._sentry.trust_anchors
            environment["DAPR_SENTRY_TOKEN_FILE"] = str(self._sentry.token_of(self.app_id))
        if self.app_certificate is not None:
            environment["DAPRD_APP_CERTIFICATE"] = str(self.app_certificate)
        if self.api_token:
            environment["DAPR_API_TOKEN"] = self.api_token
        if self.app_token:
            environment["APP_API_TOKEN"] = self.app_token
        if self._certificate is None:
            return Launch(argv, environment)
        environment["DAPRD_API_CERTIFICATE"] = str(self._certificate.certificate)
        environment["DAPRD_API_KEY"] = str(self._certificate.key)
        return Launch(argv, environment, folder=self._sockets)

    async def is_ready(self) -> bool:
        """Its components are there, so that an app can start; whether the app is, is another matter."""
        return await answers(f"{self.url}/v1.0/healthz/outbound", trust=self._trust)

    async def reaches_its_app(self) -> bool:
        """Does it let calls through? Only once it has seen for itself that the app takes events."""
        token = {"dapr-api-token": self.api_token} if self.api_token else {}
        headers = {"traceparent": UNTRACED, **token}
        return await answers(f"{self.url}/v1.0/invoke/{self.app_id}/method/livez", headers, self._trust)


class ForeignSidecar(Exception):
    """The sidecar that is found can't be used; the message says why, and what to do."""


def untested() -> str | None:
    """What is to be said of a sidecar of ours that is not the one that was tested; None if it is, or if there is none.

    Raises ForeignSidecar for one that is not ours.
    """
    try:
        program = find("daprd")
        version = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        ).stdout.strip()
    except (MissingProgram, OSError, subprocess.TimeoutExpired):
        return None  # a start of it says more
    if version == f"{TESTED}, {BUILT_FOR}":
        return None
    if version.endswith(BUILT_FOR):
        return f"{program} is Dapr {version.partition(',')[0]}; everything here is tested with {TESTED}"
    raise ForeignSidecar(
        f"{program} ({version or 'of no version'}) is not the sidecar of tools/daprd as it is now: it speaks no TLS "
        "with its service, can't read the bulks of events that ours has left in NATS, and on RabbitMQ it loses events "
        "when the broker goes away. `make daprd` builds ours; put its "
        f"folder first in the PATH: {cache_folder() / 'bin'}"
    )


def resources_for(broker: Broker) -> list[Path]:
    """The folders of component files for a sidecar."""
    return [COMPONENTS / "common", COMPONENTS / broker]
