"""A platform in Azure with its store, over the double of `az`, and restores of it whose time passes at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.operations.infra.templates import INFRA
from tests.operations.release.azure import DEAD_LETTER_TOPICS, NAMES, ORDER, PACE, PATHS, Azure, azure

from cludale.adapters.cosmos.layout import DATABASE
from cludale.services import NAMES as SERVICES
from cludale.services.catalogue import CATALOGUE
from cludale_operations.release.azure import AzureDriver
from cludale_operations.release.driver import Address
from cludale_operations.release.judgement import Bounds
from cludale_operations.release.release import Release
from cludale_operations.restore.drill import Drill, Trial
from cludale_operations.restore.preparing import Ask, Preparing, Store
from cludale_operations.restore.store_commands import StoreCommands
from cludale_operations.restore.switch import Switch
from cludale_operations.restore.verification import Log, Verified

BEGAN = datetime(2027, 6, 5, 19, 30, tzinfo=UTC)
SOURCE, ENDPOINT = "cludale-prod", "https://cludale-prod.documents.azure.com:443/"
TARGET, RESTORED = "cludale-prod-r1", "https://cludale-prod-r1.documents.azure.com:443/"
BACKED_UP_SECONDS = 40
"""How old the newest second is that can be restored."""
WHOLE = Log(is_whole=True, events=12, head="cafe", noted_at=10, what="")


class World:
    """The cloud, and what restores it."""

    def __init__(self, cloud: Azure) -> None:
        self.cloud = cloud
        self.log, self.wrong = WHOLE, list[str]()
        self.asked_for: list[tuple[datetime, str | None]] = []
        self.preparing = self.preparing_by(cloud.az)
        trial = Trial(
            driver=self.driver(None),
            services=ORDER,
            release=self.release,
            verified=self._verified,
        )
        self.drill = Drill(self.preparing, trial, report=cloud.told.append, now=self.now)

    def preparing_by(self, long_az: Ask) -> Preparing:
        """What restores, with something else in the place of what takes hours."""
        return Preparing(
            self.cloud.az,
            long_az,
            StoreCommands(NAMES.resource_group),
            Store(DATABASE, SERVICES),
            environment="prod",
            template=INFRA / "restored.bicep",
            report=self.cloud.told.append,
            sleep=self.sleep,
            now=self.now,
        )

    def _verified(self, _: Address, moment: datetime, head: str | None) -> Verified:
        self.asked_for.append((moment, head))
        return Verified(self.log, 0, self.wrong)

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.cloud.time)

    def sleep(self, seconds: float) -> None:
        """Time passes, and is backed up."""
        self.cloud.time += seconds
        accounts = self.cloud.state["accounts"]
        if SOURCE in accounts:
            accounts[SOURCE]["backup"] += seconds
        self.cloud.change(accounts=accounts)

    def driver(self, store: str | None) -> AzureDriver:
        topics = [each.name for each in CATALOGUE.topics]
        return AzureDriver(self.cloud.az, NAMES, PATHS, topics, DEAD_LETTER_TOPICS, store=store)

    def release(self, store: str | None) -> Release:
        return Release(
            self.driver(store),
            ORDER,
            pace=PACE,
            bounds=Bounds(),
            report=self.cloud.told.append,
            sleep=self.sleep,
            now=lambda: self.cloud.time,
        )

    def switch(self, store: str = RESTORED) -> Switch:
        return Switch(
            self.driver(None),
            ORDER,
            store,
            report=self.cloud.told.append,
            start_seconds=30,
            sleep=self.sleep,
            now=lambda: self.cloud.time,
        )

    def stores(self) -> dict[str, str]:
        """Each running revision, and its store."""
        return {
            revision["name"]: next(v["value"] for v in revision["env"] if v["name"] == "CLUDALE_COSMOS_ENDPOINT")
            for app in self.cloud.state["apps"].values()
            for revision in app["revisions"]
            if revision["active"]
        }


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Five container apps over one closed store, as production has it."""
    with azure(folder) as cloud:
        apps = cloud.state["apps"]
        for app in apps.values():
            for variable in app["revisions"][0]["env"]:
                if variable["name"] == "CLUDALE_COSMOS_ENDPOINT":
                    variable["value"] = ENDPOINT
        roles = [[each, each] for each in SERVICES]
        account = {
            "endpoint": ENDPOINT, "location": "West Europe", "closed": True, "state": "Succeeded", "looks": 0,
            "roles": roles, "endpoints": [f"{SOURCE}-store-endpoint"],
            "regions": [{"locationName": "West Europe", "failoverPriority": 0, "isZoneRedundant": True}],
            "throughput": 20_000,
            "backup": BEGAN.timestamp() - BACKED_UP_SECONDS, "keeps": BEGAN.timestamp() - 7 * 86_400,
        }  # fmt: skip
        cloud.change(apps=apps, accounts={SOURCE: account}, restoring=2, throughput=20_000)
        yield World(cloud)
