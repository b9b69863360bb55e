"""Everything that runs, laid out: which parts there are, with which ports, tokens, folders and environments."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cludale.adapters.system.keys import kept_key
from cludale.services import NAMES
from cludale.web.service_keys import keys_from
from cludale.wiring.keys import keep_key_hash
from cludale.wiring.settings import Settings
from cludale.wiring.stores import STATE_STORE_USERS
from cludale_operations.local.certificate import Certificate, make_certificate
from cludale_operations.local.daprd import Broker, Daprd, resources_for
from cludale_operations.local.free_ports import LOOPBACK
from cludale_operations.local.kept_pairs import KeptPairs
from cludale_operations.local.nats import Nats
from cludale_operations.local.part import Part
from cludale_operations.local.postgres import CONNECTIONS, Postgres
from cludale_operations.local.rabbitmq import RabbitMq
from cludale_operations.local.sentry import Sentry
from cludale_operations.local.service_logins import ServiceLogins
from cludale_operations.local.services import GatewayProcess, PagesProcess, ServiceProcess
from cludale_operations.rotation import PAIRED, SERVICE_KEY, TOO

MAX_REPLICAS = 16
CONNECTIONS_EACH = 10
"""At the database, for a replica: the store's five, the provider's ledger, the sidecar's four."""
CONNECTIONS_BESIDES = 20
"""For tools, and what the database keeps for itself."""
STOP_SECONDS_MORE = 10
"""How much longer than CLUDALE_SHUTDOWN_SECONDS a service has to end by itself, before it is killed."""
STATE_STORE = "state"
"""What the component of the state store is called (docker/components/common/state.yaml)."""
_OWN_STORES = ("database_url", "cosmos_endpoint")


class UnusableReplicas(ValueError):
    """`--replicas` says something that can't be; the message says what would do."""


class NotDistributed(ValueError):
    """A setting that can't be followed here; the message names it."""


class Replica(NamedTuple):
    """One process of a service, and its sidecar."""

    service: ServiceProcess
    sidecar: Daprd


class Deployment:
    """The parts of one platform on this machine, over one data folder. Starts nothing."""

    def __init__(self, settings: Settings, *, broker: Broker, replicas: Mapping[str, int]) -> None:
        """`replicas`: how many processes of each service. Raises NotDistributed, OSError, UnusableKey."""
        _check(settings)
        self.settings = settings
        self.broker_kind = broker
        self.folder = settings.data_dir.resolve()
        self.logs = self.folder / "logs"
        self.organizer_key = settings.organizer_key or kept_key(self.folder / "organizer.key")
        self.pairs = KeptPairs(self.folder, settings)
        if settings.key_hash is None:
            keep_key_hash(self.folder, self.organizer_key)
        self._stop_seconds = settings.shutdown_seconds + STOP_SECONDS_MORE
        processes = sum(replicas.get(service, 1) for service in NAMES)
        self.postgres = Postgres(
            self.folder / "postgres",
            log=self._log("postgres"),
            max_connections=max(CONNECTIONS, processes * CONNECTIONS_EACH + CONNECTIONS_BESIDES),
            tls=True,
        )
        self.logins = ServiceLogins(self.postgres)
        self.sentry = Sentry(self.folder / "sentry", NAMES, log=self._log("sentry"))
        make = Nats if broker is Broker.NATS else RabbitMq
        self.broker: Nats | RabbitMq = make(self.folder / broker, log=self._log(broker), tls=True, services=NAMES)
        self.replicas: list[Replica] = []
        self._replica_counts = replicas
        self.gateway: GatewayProcess | None = None
        self.pages: PagesProcess | None = None

    def add_services(self) -> None:
        """Lay out the services, once database and broker run and have addresses. Raises OSError."""
        self.replicas = [
            self._replica(service, number)
            for service in NAMES
            for number in range(1, self._replica_counts.get(service, 1) + 1)
        ]
        certificate = self.settings.tls_certificate
        self.gateway = GatewayProcess(
            self.folder,
            self._log("gateway"),
            host=self.settings.host,
            port=self.settings.port,
            backends={
                service: [each.service.address for each in self.replicas if each.service.service == service]
                for service in NAMES
            },
            environment={
                "CLUDALE_DATA_DIR": str(self.folder),
                "CLUDALE_TRUSTED_PROXIES": self._trusted,
                **({} if certificate is None else {"CLUDALE_TLS_CERTIFICATE": str(certificate)}),
                "CLUDALE_HSTS_SUBDOMAINS": "1" if self.settings.hsts_subdomains else "0",
            },
            stop_seconds=self._stop_seconds,
            certificate=self._certificate("gateway"),
        )
        self.pages = PagesProcess(
            self._log("pages"),
            api=self.gateway.address,
            environment={"CLUDALE_DATA_DIR": str(self.folder), "CLUDALE_TLS_CERTIFICATE": ""},
            stop_seconds=self._stop_seconds,
            certificate=self._certificate("pages"),
        )
        self.gateway.pages_url = self.pages.address

    def parts(self) -> list[Part]:
        """All of them, in the order in which they are started."""
        return [
            self.postgres,
            self.broker,
            self.sentry,
            *(each.sidecar for each in self.replicas),
            *(each.service for each in self.replicas),
            *([self.pages] if self.pages is not None else []),
            *([self.gateway] if self.gateway is not None else []),
        ]

    def secrets(self, service: str) -> dict[str, str]:
        """What the secret store of this service's sidecars holds: the master key of personal data for orders alone."""
        found = {
            "broker-url": self.broker.url_of(service),
            "state-url": self.logins.url(service),
            "database-url": self.logins.url(service),
            "organizer-key": self.organizer_key,
        }
        if isinstance(self.broker, RabbitMq):
            found["rabbitmq-monitor-url"] = self.broker.management_url
        for name in PAIRED:
            if name == "privacy-key" and service != "orders":
                continue
            pair = self.pairs.pair(name)
            if name == SERVICE_KEY:  # each has a key of its own, which follows from what no service has
                found |= {name: keys_from(pair.secret, NAMES)[service], name + TOO: keys_from(pair.too, NAMES)[service]}
            else:
                found |= {name: pair.secret, name + TOO: pair.too}
        return found

    def _replica(self, service: str, number: int) -> Replica:
        name = f"{service}-{number}"
        certificate = self._certificate(name)
        sidecar = Daprd(
            service,
            self.folder / "dapr",
            name=f"{name}-sidecar",
            log=self._log(f"{name}-sidecar"),
            resources=resources_for(self.broker_kind),
            secrets=self.secrets(service),
            api_token=secrets.token_urlsafe(24),
            app_token=secrets.token_urlsafe(24),
            otlp_endpoint=self.settings.otlp_endpoint,
            sentry=self.sentry,
            certificate=self._certificate(f"{name}-sidecar"),
            app_certificate=certificate.certificate,
        )
        process = ServiceProcess(
            service,
            name,
            self._log(name),
            self._environment(service, number, sidecar),
            stop_seconds=self._stop_seconds,
            certificate=certificate,
        )
        sidecar.app_port = process.port
        return Replica(process, sidecar)

    @property
    def _trusted(self) -> str:
        """The gateway and the pages say whom they ask for, as do the proxies that are trusted anyway."""
        return ",".join(filter(None, (self.settings.trusted_proxies, f"{LOOPBACK}/32")))

    def _environment(self, service: str, number: int, sidecar: Daprd) -> dict[str, str]:
        """What differs from our own environment, whose settings mean the same to a service as they do embedded.

        Keys and the database's password are not in it, also not from our own: a service asks its sidecar for them.
        """
        return {
            **sidecar.environment,
            "CLUDALE_DAPR": "1",
            "CLUDALE_TLS_CERTIFICATE": "",  # it is the gateway's
            "CLUDALE_TRUSTED_PROXIES": self._trusted,
            "CLUDALE_DATA_DIR": str(self.folder),
            "CLUDALE_SECRETS": "secrets",
            "CLUDALE_NATS_MONITOR_URL": self.broker.monitoring_url if isinstance(self.broker, Nats) else "",
            "CLUDALE_RABBITMQ_MONITOR_URL": "",
            "CLUDALE_DATABASE_URL": "",
            **{
                f"CLUDALE_{user.upper()}_STATE": (_state_store(self.settings, user) or "") if service == user else ""
                for user in STATE_STORE_USERS
            },
            "CLUDALE_ORGANIZER_KEY": "",
            "CLUDALE_TOKEN_KEY": "",
            "CLUDALE_SERVICE_KEY": "",
            "CLUDALE_TOKEN_KEY_TOO": "",
            "CLUDALE_SERVICE_KEY_TOO": "",
            "CLUDALE_KEY_HASH": "",
            "CLUDALE_KEY_HASH_TOO": "",
            "CLUDALE_PRIVACY_KEY": "",
            "CLUDALE_PRIVACY_KEY_TOO": "",
            # the first start of one process puts the demo concerts on, not that of each
            "CLUDALE_DEMO": "1" if self.settings.demo and (service, number) == ("concerts", 1) else "0",
        }

    def _certificate(self, name: str) -> Certificate:
        """What a part shows to those that ask it: a new one at each start of all."""
        folder = self.folder / "certificates" / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return make_certificate(folder, name)

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def _check(settings: Settings) -> None:
    """Everything is kept in a PostgreSQL of this machine's own, directly or by a sidecar. Raises NotDistributed."""
    for field in _OWN_STORES:
        if getattr(settings, field) is not None:
            raise NotDistributed(
                f"CLUDALE_{field.upper()} is set, and `cludale up --distributed` keeps everything in a PostgreSQL that "
                "it starts itself: unset it, or start the services one by one (`cludale serve SERVICE`)"
            )
    for user in STATE_STORE_USERS:
        name = _state_store(settings, user)
        if name not in (None, STATE_STORE):
            raise NotDistributed(
                f"CLUDALE_{user.upper()}_STATE={name}: the sidecars that `cludale up --distributed` starts have one "
                f"state store, {STATE_STORE!r}"
            )


def _state_store(settings: Settings, user: str) -> str | None:
    """The state store that is named for this service."""
    named: str | None = getattr(settings, f"{user}_state")
    return named


def replicas_from(options: list[str]) -> dict[str, int]:
    """`["concerts=2", "all=1"]` as numbers by service; a service's own number counts more than `all`'s.

    Raises UnusableReplicas.
    """
    numbers: dict[str, int] = {}
    for option in options:
        name, _, text = option.partition("=")
        if name != "all" and name not in NAMES:
            raise UnusableReplicas(f"there is no service {name!r}; these are: all, {', '.join(NAMES)}")
        if not text.isdecimal() or not 1 <= int(text) <= MAX_REPLICAS:
            raise UnusableReplicas(f"--replicas {option}: expected {name}=N, N from 1 to {MAX_REPLICAS}")
        numbers[name] = int(text)
    return {service: numbers.get(service, numbers.get("all", 1)) for service in NAMES}
