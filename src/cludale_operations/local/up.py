"""The whole platform on this machine: started in order, kept running, changed while it runs, stopped in order."""

import asyncio
import fcntl
import json
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from cludale.adapters.system.keys import UnusableKey
from cludale.services import NAMES
from cludale_operations.gateway.control import Control
from cludale_operations.gateway.routes import BackendRoute, ServiceRoutes
from cludale_operations.gateway.runtime import GatewayRefused
from cludale_operations.local.daprd import ForeignSidecar, untested
from cludale_operations.local.deployment import Deployment, Replica
from cludale_operations.local.free_ports import LOOPBACK
from cludale_operations.local.jetstream import BrokerRefused, ensure_streams
from cludale_operations.local.nats import Nats
from cludale_operations.local.part import Part, PartFailed
from cludale_operations.local.rotating import rotated
from cludale_operations.local.watched import Say, Watched
from cludale_operations.rotation import NotRotated

STATE_FILE = "up.json"
LOCK_FILE = "up.lock"
LOOK_SECONDS = 2
REACHED_SECONDS = 15
LOG_BYTES = 32 * 2**20
_SECRET_MODE = 0o600
_FOLDER_MODE = 0o700


class AlreadyUp(Exception):
    """Another one runs over this data folder."""


class NoSuchPart(ValueError):
    """There is nothing of that name; the message says what there is."""


class Up:
    """One platform, running."""

    def __init__(self, deployment: Deployment, say: Say) -> None:
        self.deployment = deployment
        self.watched: dict[str, Watched] = {}
        self.control_token = secrets.token_urlsafe(24)
        self.control_port = 0
        self.address: str | None = None
        self._say = say
        self._lock: TextIO | None = None
        self._rolling = asyncio.Lock()
        self._started_at = time.time()

    async def start(self) -> None:
        """Everything, until all of it is ready. Raises AlreadyUp, PartFailed, MissingProgram, OSError."""
        layout = self.deployment
        for folder in (layout.folder, layout.logs):
            folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        self._lock = _locked(layout.folder / LOCK_FILE)
        _shorten(layout.logs)
        try:
            warning = await asyncio.to_thread(untested)
        except ForeignSidecar as foreign:
            raise PartFailed(str(foreign)) from foreign
        if warning is not None:
            self._say(f"WARNING: {warning}")
        await self._start_all([layout.postgres, layout.broker, layout.sentry])
        await asyncio.gather(self._set_up_broker(), layout.logins.make())
        layout.add_services()
        assert layout.gateway is not None  # noqa: S101 - add_services has made it
        assert layout.pages is not None  # noqa: S101 - so is this
        processes = [part for replica in layout.replicas for part in (replica.sidecar, replica.service)]
        await self._start_all([*processes, layout.pages, layout.gateway])
        await asyncio.gather(*(self._reached(replica) for replica in layout.replicas))
        await self._until(layout.gateway.is_well, "the gateway does not find all services ready yet")
        self.address = layout.gateway.public_url
        self.write_state()

    async def _start_all(self, parts: Iterable[Part]) -> None:
        for part in parts:
            self.watched[part.name] = Watched(part, self._say, self.write_state)
        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(self.watched[part.name].start())
        except ExceptionGroup as errors:
            # the others were cancelled for the first one's sake
            raise errors.exceptions[0] from None

    async def _reached(self, replica: Replica) -> None:
        """Return when others can call it: its sidecar looks once a second, and turns calls away until it has looked."""
        if not self.deployment.settings.consume:
            return  # then its sidecar is to turn them away
        complaint = f"{replica.sidecar.name} does not forward calls to {replica.service.name} yet"
        await self._until(replica.sidecar.reaches_its_app, complaint)

    async def _until(self, condition: Callable[[], Awaitable[bool]], complaint: str) -> None:
        """Return when it holds; or after REACHED_SECONDS, and say that it does not."""
        until = time.monotonic() + REACHED_SECONDS
        while not await condition():
            if time.monotonic() > until:
                self._say(complaint)
                return
            await asyncio.sleep(0.1)

    async def _set_up_broker(self) -> None:
        broker = self.deployment.broker
        if isinstance(broker, Nats):
            try:
                await ensure_streams(broker.url, NAMES)
            except (TimeoutError, BrokerRefused) as error:
                raise PartFailed(f"the stream could not be made: {error}") from error

    async def stop(self) -> None:
        """Services first, then sidecars, gateway, broker, database; each within its own time."""
        if self._lock is None:
            return  # nothing was started, and what is in the folder is another's
        layout = self.deployment
        gateway = [layout.gateway] if layout.gateway is not None else []
        pages = [layout.pages] if layout.pages is not None else []
        for stage in (
            [replica.service for replica in layout.replicas],
            [replica.sidecar for replica in layout.replicas],
            [*gateway, *pages],
            [layout.broker, layout.sentry],
            [layout.postgres],
        ):
            stopping = [self.watched[part.name].stop() for part in stage if part.name in self.watched]
            await asyncio.gather(*stopping)
        with suppress(FileNotFoundError):
            (layout.folder / STATE_FILE).unlink()
        self._lock.close()

    async def kill(self) -> None:
        """All at once, by force."""
        await asyncio.gather(*(each.kill() for each in self.watched.values()))

    async def restart(self, name: str, tell: Callable[[str], Awaitable[None]]) -> None:
        """Restart a part; of a service, or of `all` services, one replica after the other, each ready before the next.

        A replica gets no new requests while it is restarted, where there is another one. Raises NoSuchPart, PartFailed.
        """
        replicas = [each for each in self.deployment.replicas if name in {"all", each.service.service}]
        if not replicas and name not in self.watched:
            raise NoSuchPart(f"there is no part {name!r}; these are: all, {', '.join([*NAMES, *self.watched])}")
        async with self._rolling:
            if not replicas:
                await self.watched[name].restart()
                await tell(f"{name} was restarted")
            for replica in replicas:
                await self._restart_replica(replica)
                await tell(f"{replica.service.name} was restarted")

    async def _restart_replica(self, replica: Replica, *, with_sidecar: bool = False) -> None:
        others = [
            each
            for each in self.deployment.replicas
            if each.service.service == replica.service.service and each is not replica
        ]
        routes = await asyncio.to_thread(self._take_out, replica) if others else None
        try:
            between = self.watched[replica.sidecar.name].restart if with_sidecar else None
            await self.watched[replica.service.name].restart(between)
            await self._reached(replica)
        finally:
            if routes is not None:
                await asyncio.to_thread(self._put_back, replica, routes)

    async def rotate(
        self,
        names: Sequence[str],
        tell: Callable[[str], Awaitable[None]],
        *,
        finish: bool,
        algorithm: str | None = None,
    ) -> None:
        """Give all processes other secrets, step by step, each known to all before the next (rotation.py).

        `database` and `broker` are the passwords of those. Raises NotRotated, PartFailed, UnusableKey, OSError.
        """
        async with self._rolling:
            await rotated(self.deployment, names, self._renew_all, tell, finish=finish, algorithm=algorithm)
            self.write_state()

    async def _renew_all(self) -> None:
        """Start all sidecars and services again with the secrets as they are now: of each service one at a time."""
        for replica in self.deployment.replicas:
            replica.sidecar.know(self.deployment.secrets(replica.service.service))

        async def of_service(name: str) -> None:
            for replica in self.deployment.replicas:
                if replica.service.service == name:
                    await self._restart_replica(replica, with_sidecar=True)

        async with asyncio.TaskGroup() as group:
            for name in NAMES:
                group.create_task(of_service(name))

    def _take_out(self, replica: Replica) -> BackendRoute | None:
        """Let the gateway send it nothing more; what is under way there goes on."""
        taken: list[BackendRoute] = []

        def without(routes: ServiceRoutes) -> ServiceRoutes:
            mine = [each for each in routes.backends if each.url == replica.service.address]
            left = tuple(each for each in routes.backends if each not in mine)
            # the last one of a revision that gets requests stays: the gateway would have nobody to send them to
            if not mine or not any(each.revision == mine[0].revision for each in left):
                return routes
            taken.extend(mine)
            return ServiceRoutes(left, routes.traffic)

        try:
            self._gateway().change(replica.service.service, without)
        except GatewayRefused as error:
            self._say(f"{replica.service.name} is restarted without being taken out of the gateway: {error}")
        return taken[0] if taken else None

    def _put_back(self, replica: Replica, route: BackendRoute) -> None:
        def with_it(routes: ServiceRoutes) -> ServiceRoutes:
            return routes if route in routes.backends else ServiceRoutes((*routes.backends, route), routes.traffic)

        try:
            self._gateway().change(replica.service.service, with_it)
        except GatewayRefused as error:
            self._say(f"{replica.service.name} could not be put back into the gateway: {error}")

    def _gateway(self) -> Control:
        gateway = self.deployment.gateway
        if gateway is None:
            raise GatewayRefused("there is no gateway yet")
        return Control(gateway.routes, self.deployment.folder)

    def state(self) -> dict[str, Any]:
        """What runs where, for tests and tools. It holds passwords."""
        layout = self.deployment
        known: dict[str, Any] = {
            "address": self.address,
            "pid": os.getpid(),
            "startedAt": self._started_at,
            "data": str(layout.folder),
            "organizerKey": layout.organizer_key,
            "control": {"port": self.control_port, "token": self.control_token},
            "broker": str(layout.broker_kind),
            "parts": [self._described(each) for each in self.watched.values()],
        }
        if layout.gateway is not None:
            known["gateway"] = {"routes": str(layout.gateway.routes)}
            known["databaseUrl"] = layout.postgres.url
            known["databaseUrls"] = {service: layout.logins.url(service) for service in NAMES}
            known["brokerUrl"] = layout.broker.url
        return known

    def _described(self, watched: Watched) -> dict[str, Any]:
        part = watched.part
        told: dict[str, Any] = {
            "name": part.name,
            "state": str(watched.state),
            "pid": part.pid,
            "port": part.port,
            "url": part.http_url,
            "certificate": None if part.trusted is None else str(part.trusted),
            "restarts": watched.restarts,
            "log": str(part.log),
        }
        for replica in self.deployment.replicas:
            if part is replica.service:
                told |= {"service": replica.service.service, "sidecar": replica.sidecar.name}
            if part is replica.sidecar:
                told |= {"service": replica.service.service, "of": replica.service.name}
                told |= {"apiToken": replica.sidecar.api_token, "appToken": replica.sidecar.app_token}
        return told

    def write_state(self) -> None:
        """Put `state` into the data folder, whole."""
        file = self.deployment.folder / STATE_FILE
        draft = file.with_name(f".{STATE_FILE}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _SECRET_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(self.state(), out, indent=2)
        draft.replace(file)

    async def look(self) -> None:
        """Look after everything for ever, every `LOOK_SECONDS`."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.gather(*(each.look() for each in self.watched.values()))

    async def serve_control(self) -> asyncio.Server:
        """Take orders on loopback, from whoever can read the state file: one JSON line each, answered by lines."""
        server = await asyncio.start_server(self._obey, LOOPBACK, 0, limit=4_096)
        self.control_port = int(server.sockets[0].getsockname()[1])
        self.write_state()
        return server

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def tell(**message: str) -> None:
            writer.write(json.dumps(message).encode() + b"\n")
            await writer.drain()

        try:
            if (order := await self._order(reader)) is None:
                await tell(refused="the token is wrong")
            elif "rotate" in order:
                await self.rotate(
                    order["rotate"],
                    lambda line: tell(said=line),
                    finish=bool(order.get("finish")),
                    algorithm=order.get("algorithm"),
                )
                await tell(done="yes")
            else:
                await self.restart(str(order.get("restart")), lambda line: tell(said=line))
                await tell(done="yes")
        except (NoSuchPart, PartFailed, NotRotated, UnusableKey) as error:
            with suppress(OSError):
                await tell(refused=str(error))
        except ExceptionGroup as errors:
            with suppress(OSError):
                await tell(refused="; ".join(map(str, errors.exceptions)))
        except Exception as error:  # noqa: BLE001 - whatever kept it from being done is said to who asked, who may be gone
            with suppress(OSError):
                await tell(refused=f"{type(error).__name__}: {error}")
        finally:
            writer.close()

    async def _order(self, reader: asyncio.StreamReader) -> dict[str, Any] | None:
        """What is asked for; None where the token is not ours. Raises TimeoutError, ValueError."""
        async with asyncio.timeout(10):
            line = await reader.readline()
        order: dict[str, Any] = json.loads(line)
        return order if secrets.compare_digest(str(order.get("token")), self.control_token) else None


def _locked(file: Path) -> TextIO:
    """Held until this process ends. Raises AlreadyUp."""
    held = file.open("a")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise AlreadyUp(f"another `cludale up` runs over {file.parent}") from None
    return held


def _shorten(logs: Path) -> None:
    """Put logs that have become long aside, in place of those put aside before."""
    for log in logs.glob("*.log"):
        if log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
