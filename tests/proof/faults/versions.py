"""Versions of the platform that exist for tests only, and what starts them beside the one that runs.

A version is a copy of the sources with a patch: text that has to be there once, and what stands there instead.
"""

import asyncio
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.proof.faults.apart import Apart

import cludale
from cludale.services import NAMES
from cludale.services.orders.events import OrderPaid
from cludale.web.trust import naming
from cludale_operations.local.certificate import Certificate, make_certificate
from cludale_operations.local.daprd import Broker, Daprd, resources_for
from cludale_operations.local.part import PartFailed
from cludale_operations.local.services import ServiceProcess
from cludale_operations.release.driver import PlatformFailed

SOURCES = Path(cludale.__file__).parent


class Patch(NamedTuple):
    """One change to one file."""

    file: str
    before: str
    after: str


CHANGED_VERSION = "1.99"
CHANGED_EVENT = (
    Patch(
        "services/orders/events.py",
        f'it is a ticket."""\n\n    data_version: ClassVar[str] = "{OrderPaid.data_version}"\n',
        f'it is a ticket."""\n\n    data_version: ClassVar[str] = "{CHANGED_VERSION}"\n'
        '    channel: str = "box-office"\n',
    ),
)
"""The version after: OrderPaid says more, and says that it does."""

ANSWERS_500 = (
    Patch(
        "services/orders/api.py",
        "        wanted = OrderRequest(\n",
        '        raise RuntimeError("this version is bad on purpose")\n        wanted = OrderRequest(\n',
    ),
)
"""A bad version: it takes no order."""

IS_SLOW = (
    Patch(
        "services/orders/api.py",
        "        wanted = OrderRequest(\n",
        "        await __import__('asyncio').sleep(4)\n        wanted = OrderRequest(\n",
    ),
)
"""A bad version: it takes every order, but four seconds for each."""

BREAKS_AT_EVENTS = (
    Patch(
        "services/payments/service.py",
        "        return domain.begin(payment, event.data",
        '        if __import__("zlib").crc32(event.id.encode()) % 2:\n'
        '            raise RuntimeError("this version is bad on purpose")\n'
        "        return domain.begin(payment, event.data",
    ),
)
"""A bad version: payments breaks at each second TicketReserved, however often it comes."""


def version(folder: Path, *patches: Patch) -> Path:
    """A copy of the sources with these changes; what goes into PYTHONPATH."""
    package = folder / "cludale"
    shutil.copytree(SOURCES, package)  # compiled as they are: only what is patched is compiled anew
    for file, before, after in patches:
        text = (package / file).read_text()
        assert text.count(before) == 1, f"{file} has changed: the patch does not fit any more"
        (package / file).write_text(text.replace(before, after))
    return folder


class Beside:
    """Starts revisions beside a platform that `cludale up` runs, as it starts its own: a process and a sidecar each."""

    def __init__(self, platform: Apart, folder: Path, settings: dict[str, str]) -> None:
        self._platform = platform
        self._folder = folder
        self._settings = settings
        self._running: dict[tuple[str, str], tuple[ServiceProcess, Daprd]] = {}
        self._images: dict[str, str] = {}
        self._stopping = ThreadPoolExecutor(len(NAMES), thread_name_prefix="stopping")
        self._ending: list[Future[None]] = []

    def start(self, service: str, image: str, revision: str) -> list[str]:
        """One process that takes no events yet.

        Those of the other services are started at once with the first one, so that a test waits for all of them
        together.
        """
        suffix = revision.removeprefix(f"{service}--")
        for each in NAMES:
            if (each, f"{each}--{suffix}") not in self._running:
                self._begin(each, image, f"{each}--{suffix}")
        process, sidecar = self._running[service, revision]
        try:
            asyncio.run(_wait_until_ready(process, sidecar))
        except PartFailed as failed:
            raise PlatformFailed(str(failed)) from failed
        return [process.address]

    def _begin(self, service: str, image: str, revision: str) -> None:
        state, gateway = self._platform.state(), self._platform.part("gateway")
        folder = self._folder / revision
        certificate, of_sidecar = (_certificate(folder / name) for name in ("certificate", "sidecar-certificate"))
        sidecar = Daprd(
            service,
            folder,
            certificate=of_sidecar,
            app_certificate=certificate.certificate,
            name=f"{revision}-sidecar",
            resources=resources_for(Broker.NATS),
            secrets={
                "broker-url": state["brokerUrl"],
                "state-url": state["databaseUrls"][service],
                "database-url": state["databaseUrls"][service],
                "organizer-key": state["organizerKey"],
            },
            api_token="an-api-token",
            app_token="an-app-token",
            # Container Apps sends a sidecar's call where the weights say. Here sidecars call whom they find, and one
            # whose app takes no events lets no call through: so each colour finds its own.
            neighbours=self._folder / "neighbours.db",
        )
        environment = {
            **self._settings,
            **sidecar.environment,
            "CLUDALE_DAPR": "1",
            "CLUDALE_CONSUME": "0",
            "CLUDALE_TRIAL_URL": f"{gateway['url']}{naming(Path(gateway['certificate']))}",
            "CONTAINER_APP_REVISION": revision,
            "CLUDALE_DATA_DIR": state["data"],
            "CLUDALE_DATABASE_URL": state["databaseUrls"][service],
            "CLUDALE_ORGANIZER_KEY": state["organizerKey"],
            "CLUDALE_TOKEN_KEY": (Path(state["data"]) / "token.key").read_text().strip(),
            "PYTHONPATH": image,
        }
        process = ServiceProcess(service, revision, folder / f"{revision}.log", environment, certificate=certificate)
        sidecar.app_port = process.port
        self._images[revision] = image
        self._running[service, revision] = process, sidecar
        asyncio.run(_begin(process, sidecar))

    def stop(self, service: str, revision: str) -> None:
        """Have it end, if it is one of ours; the first version is left to `cludale up`.

        As in Azure it is not waited for, since each takes seconds: close() does.
        """
        parts = self._running.pop((service, revision), None)
        if parts is not None:
            self._ending.append(self._stopping.submit(asyncio.run, _stop(*parts)))

    def image(self, service: str, revision: str) -> str:
        """Its sources."""
        return self._images.get(revision, "")

    def running(self) -> set[str]:
        return {revision for _, revision in self._running}

    def close(self) -> None:
        """Stop all that is left, and wait until everything has ended."""
        for service, revision in list(self._running):
            self.stop(service, revision)
        self._stopping.shutdown()
        for ended in self._ending:
            ended.result()


def _certificate(folder: Path) -> Certificate:
    folder.mkdir(parents=True)
    return make_certificate(folder, "beside")


async def _begin(process: ServiceProcess, sidecar: Daprd) -> None:
    await sidecar.begin()
    await process.begin()


async def _wait_until_ready(process: ServiceProcess, sidecar: Daprd) -> None:
    await sidecar.wait_until_ready()
    await process.wait_until_ready()


async def _stop(process: ServiceProcess, sidecar: Daprd) -> None:
    await process.stop()
    await sidecar.stop()
