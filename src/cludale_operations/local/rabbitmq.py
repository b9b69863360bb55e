"""A RabbitMQ broker on loopback, over a folder of its own, with all exchanges and queues from the start."""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import re
import shlex
import signal
from collections.abc import Collection, Sequence
from subprocess import CalledProcessError
from typing import Any, ClassVar

from cludale.adapters.dapr.probing import PROBES
from cludale.services import NAMES
from cludale.web.trust import trust_named_in
from cludale_operations.local.brokers import BrokerPart, NamedLogins
from cludale_operations.local.find import find
from cludale_operations.local.free_ports import LOOPBACK, free_ports
from cludale_operations.local.logins import Login, kept_login, new_login
from cludale_operations.local.part import Launch, PartFailed
from cludale_operations.local.tether import tethered
from cludale_operations.local.topology import TOPICS, dead_letters_of, topics_heard, topics_told

USER = "cludale"
MONITOR = "monitor"
"""The user that reads the broker's figures for the services, and may do nothing else."""
_LOOK_SECONDS = 2
_COUNTED_MS = 2_000
"""How often it counts what is in its queues."""
_CONTROL_SECONDS = 60
_GREETING = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME = 1


class RabbitMq(BrokerPart):
    """The broker, with the Erlang port mapper that it needs."""

    ready_seconds: ClassVar[float] = 180
    """Its runtime alone has needed 40 s on a machine that does much else."""
    stop_seconds: float = 20
    kind: ClassVar = "rabbitmq"
    watchers: ClassVar = (MONITOR,)

    def _take_ports(self) -> int:
        free, self._distribution_port, self._mapper_port, self._management_port = free_ports(4)
        return free

    def _url_as(self, login: Login) -> str:
        return f"amqp{self._s}://{login.user}:{login.password}@{LOOPBACK}:{self.port}/{self._trusting}"

    @property
    def management_url(self) -> str:
        """The address of its management API, whom to trust there, and a login that may only look at figures."""
        user, password = self._logins.get(MONITOR) or kept_login(self.folder)
        return f"http{self._s}://{user}:{password}@{LOOPBACK}:{self._management_port}{self._trusting}"

    @property
    def _s(self) -> str:
        return "s" if self._has_tls else ""

    async def prepare(self) -> None:
        """Write the configuration, too."""
        await super().prepare()
        (self.folder / "rabbitmq.conf").write_text(
            f"{self._listeners()}"
            f"load_definitions = {self.folder / 'definitions.json'}\n"
            # the API for the console's figures alone, with none that it would have to work out
            "management.rates_mode = none\n"
            f"collect_statistics_interval = {_COUNTED_MS}\n"
            "log.console = true\n"
            "log.console.level = info\n"
            "log.file = false\n"
            # by default it stops taking messages at 40 % of the machine's memory, which is not all ours
            "vm_memory_high_watermark.absolute = 1GB\n"
            "disk_free_limit.absolute = 200MB\n"
        )
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management].\n")

    def _listeners(self) -> str:
        kind = "tcp" if self._certificate is None else "ssl"
        lines = [
            f"listeners.{kind}.1 = {LOOPBACK}:{self.port}",
            f"management.{kind}.ip = {LOOPBACK}",
            f"management.{kind}.port = {self._management_port}",
        ]
        if self._certificate is not None:
            certificate, key = self._certificate
            lines.append("listeners.tcp = none")
            for options in ("ssl_options", "management.ssl"):
                lines += [f"{options}.certfile = {certificate}", f"{options}.keyfile = {key}"]
                lines.append(f"{options}.versions.1 = tlsv1.3")
        return "".join(f"{line}\n" for line in lines)

    def _configure(self, owners: Collection[Login], services: NamedLogins) -> None:
        """Of each service's two users one that is not named gets a password that nobody has."""
        definitions = self.folder / "definitions.json"
        definitions.touch(mode=0o600)
        named = {login.user for _, login in services}
        unused = [(service, new_login(login, of=service)) for service, login in services]
        services = [*services, *(each for each in unused if each[1].user not in named)]
        definitions.write_text(json.dumps(definitions_for(NAMES, owners=owners, users=services), indent=2))

    async def _let_in(self, owners: Sequence[Login], services: NamedLogins) -> None:
        self._configure(owners, services)
        try:
            await self.control("import_definitions", str(self.folder / "definitions.json"))
        except (CalledProcessError, TimeoutError) as error:
            raise PartFailed(f"rabbitmq does not take a new user: {error}") from error

    async def end_login(self, former: Login) -> None:
        """Let nobody in but the one that is used; whoever is there as another is sent away. Raises PartFailed."""
        ended = [former.user, *(new_login(each, of=service).user for service, each in self._logins.items())]
        users = ", ".join(f'<<"{user}">>' for user in ended)
        each = f"[rabbit_auth_backend_internal:delete_user(User, <<{json.dumps(USER)}>>) || User <- [{users}]]."
        try:
            await self.control("eval", each)
        except (CalledProcessError, TimeoutError) as error:
            raise PartFailed(f"rabbitmq does not end a user: {error}") from error
        self._configure([kept_login(self.folder)], self._logins.items())

    async def control(self, *command: str) -> None:
        """Run `rabbitmqctl`. Raises MissingProgram, CalledProcessError, TimeoutError."""
        program = [str(find("rabbitmqctl")), *command]
        process = await asyncio.create_subprocess_exec(
            *program,
            env={**os.environ, **self._environment()},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(_CONTROL_SECONDS):
                status = await process.wait()
        except TimeoutError:
            process.kill()
            raise
        if status:
            raise CalledProcessError(status, program)

    def launch(self) -> Launch:
        """The broker in the foreground, and its port mapper beside it, which ends with it."""
        mapper = tethered(
            [find("epmd"), "-address", LOOPBACK, "-port", str(self._mapper_port)], when_orphaned=signal.SIGKILL
        )
        program = f"{shlex.join(mapper)} & exec {shlex.quote(str(find('rabbitmq-server')))}"
        return Launch(["/bin/sh", "-c", program], self._environment(), folder=self.folder)

    def _environment(self) -> dict[str, str]:
        return {
            # the folder is where Erlang keeps its cookie
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": "cludale@localhost",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "rabbitmq.pid"),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # no more schedulers than there are cores, and none that spins while it waits
            "RABBITMQ_SCHEDULER_BIND_TYPE": "u",
            "RABBITMQ_SERVER_START_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_EPMD_PORT": str(self._mapper_port),
        }

    async def is_ready(self) -> bool:
        """It answers AMQP's greeting, which it does once the definitions are loaded."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                reader, writer = await asyncio.open_connection(LOOPBACK, self.port, ssl=trust_named_in(self.url))
                try:
                    writer.write(_GREETING)
                    return (await reader.readexactly(1))[0] == _METHOD_FRAME
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
        except (OSError, TimeoutError, EOFError):
            return False


def permissions_of(service: str) -> dict[str, str]:
    """What a service's user may do: tell its own events, hear those for it, and make or end nothing.

    To bind its queues, as it does once more at its start, it has to write to them and to read what they are bound to;
    nothing can be sent to a queue by that.
    """
    if service == MONITOR:
        return dict.fromkeys(("configure", "write", "read"), "^$")
    heard = topics_heard(service)
    dead = dead_letters_of(service)
    queues = [f"{service}-{topic}" for topic in [*heard, dead]]
    return {
        "configure": "^$",
        "write": _one_of([*topics_told(service), dead, PROBES, *queues]),
        "read": _one_of([*queues, *heard, dead]),
    }


def _one_of(names: Collection[str]) -> str:
    return f"^({'|'.join(map(re.escape, names))})$"


def _user(login: Login, tags: str) -> dict[str, str]:
    salt = os.urandom(4)
    hashed = salt + hashlib.sha256(salt + login.password.encode()).digest()
    return {
        "name": login.user,
        "password_hash": base64.b64encode(hashed).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": tags,
    }


def definitions_for(
    services: Collection[str], *, owners: Collection[Login], users: Collection[tuple[str, Login]] = ()
) -> dict[str, Any]:
    """RabbitMQ's definitions: who may do everything, users of services, an exchange a topic, a queue for each that
    hears it.

    Names and arguments are those that Dapr's component declares itself: a queue that is there already is taken as it
    is, and no event is lost for want of one.
    """
    bindings = {
        f"{service}-{topic}": topic
        for service in services
        for topic in [*topics_heard(service), dead_letters_of(service)]
    }
    bindings[PROBES] = PROBES
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        "users": [
            *(_user(each, "administrator") for each in owners),
            *(_user(login, "monitoring" if of == MONITOR else "") for of, login in users),
        ],
        "vhosts": [{"name": "/"}],
        "permissions": [
            *({"user": each.user, "vhost": "/", **everything} for each in owners),
            *({"user": login.user, "vhost": "/", **permissions_of(service)} for service, login in users),
        ],
        "exchanges": [
            {
                "name": name,
                "vhost": "/",
                "type": "fanout",
                "durable": True,
                "auto_delete": False,
                "internal": False,
                "arguments": {},
            }
            for name in [*TOPICS, *map(dead_letters_of, services), PROBES]
        ],
        "queues": [
            {
                "name": queue,
                "vhost": "/",
                "durable": True,
                "auto_delete": False,
                # nobody takes from the queue of the probes, which holds the last one
                "arguments": {"x-queue-type": "classic"} | ({"x-max-length": 1} if queue == PROBES else {}),
            }
            for queue in bindings
        ],
        "bindings": [
            {
                "source": topic,
                "vhost": "/",
                "destination": queue,
                "destination_type": "queue",
                "routing_key": "",
                "arguments": {},
            }
            for queue, topic in bindings.items()
        ],
    }
