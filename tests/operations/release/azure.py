"""Container apps that the double of `az` keeps, and releases of them."""

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.operations.infra.templates import deployed

from cludale.adapters.dapr.subscriptions import dead_letter_topic
from cludale.services.catalogue import CATALOGUE, HEARS
from cludale.wiring.services import described
from cludale_operations.release.azure import Az, AzureDriver
from cludale_operations.release.azure_commands import Names
from cludale_operations.release.judgement import Bounds
from cludale_operations.release.order import hearers_first, publishers
from cludale_operations.release.release import Pace, Release

DOUBLE = Path(__file__).with_name("az")
NAMES = Names("cludale-test", "cludale-env", "cludale-bus", "00000000-0000-0000-0000-000000000000")
ORDER = hearers_first(HEARS, publishers(CATALOGUE))
PATHS = {service.name: service.prefixes for service in described()}
DEAD_LETTER_TOPICS = [dead_letter_topic(name) for name in HEARS]
OLD = "registry.azurecr.io/cludale@sha256:" + "0" * 64
NEW = "registry.azurecr.io/cludale@sha256:" + "1" * 64
BUILT_ANEW = "registry.azurecr.io/cludale@sha256:" + "2" * 64
_loader = SourceFileLoader("az_double", str(DOUBLE))
_double = ModuleType("az_double")
sys.dont_write_bytecode, _kept = True, sys.dont_write_bytecode
_loader.exec_module(_double)
sys.dont_write_bytecode = _kept
PACE = Pace(
    canary_seconds=60,
    steps=(5, 50, 100),
    soak_seconds=20,
    watch_seconds=20,
    keep_seconds=60,
    check_seconds=10,
    start_seconds=30,
)


class Azure:
    """The double's state, and a release over it whose time passes at once."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.time = 0.0
        self.told: list[str] = []
        self._turn = threading.Lock()
        self.az = Az(str(DOUBLE), pause_seconds=0, run=self.run)
        self.driver = AzureDriver(self.az, NAMES, PATHS, [each.name for each in CATALOGUE.topics], DEAD_LETTER_TOPICS)
        self.at: Callable[[float], None] = lambda _: None
        """Called whenever time passes."""
        self.release = self.of(ORDER)

    def run(self, words: list[str], **_: Any) -> "subprocess.CompletedProcess[str]":
        """The double in this process: a release is hundreds of command lines, and each would start a Python."""
        said = io.StringIO()
        try:
            with self._turn, contextlib.redirect_stderr(said):
                found = _double.answer(words[1:], self.file)
        except SystemExit as end:
            return subprocess.CompletedProcess(words, int(str(end.code)), "", said.getvalue())
        return subprocess.CompletedProcess(words, 0, json.dumps(found), "")

    def of(self, order: list[str], pace: Pace = PACE, version: str | None = None) -> Release:
        return Release(
            self.driver,
            order,
            pace=pace,
            bounds=Bounds(),
            report=self.told.append,
            version=version,
            sleep=self.pass_time,
            now=lambda: self.time,
        )

    def pass_time(self, seconds: float) -> None:
        self.time += seconds
        self.at(self.time)

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text())
        return found

    def change(self, **more: Any) -> None:
        self.file.write_text(json.dumps({**self.state, **more}))

    @property
    def said(self) -> list[list[str]]:
        return [json.loads(line) for line in self.file.with_suffix(".said").read_text().splitlines()]

    def traffic(self) -> dict[str, dict[str, tuple[int, str | None]]]:
        """Service → revision → weight and label, of those that run or have any."""
        found = {}
        for service, each in self.driver.deployed().items():
            found[service] = {
                share.revision: (share.weight, share.label)
                for share in each.traffic
                if each.is_active(share.revision) or share.weight
            }
        return found

    def running(self) -> set[str]:
        return {each["name"] for app in self.state["apps"].values() for each in app["revisions"] if each["active"]}


VAULT = (
    "organizer-key",
    "token-key",
    "token-key-too",
    "service-key",
    "service-key-too",
    "key-hash",
    "key-hash-too",
    "privacy-key",
    "privacy-key-too",
)


OWN_KEYS = ("service-key", "service-key-too")
"""Those of which each app is given its own, `orders-service-key`: at first what all share."""


def old_secret(name: str) -> str:
    """What the vault has at first; the second of two is the same as the first."""
    return f"the-old-{name.removesuffix('-too')}"


def _referred(secrets: list[Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """An app's secrets by name, those of the vault with what they are."""
    return {
        each["name"]: {
            "keyVaultUrl": each["keyVaultUrl"],
            "identity": each["identity"],
            "value": old_secret(each["name"]),
        }
        for each in secrets
        if "keyVaultUrl" in each
    }


def _replica(secrets: Mapping[str, Mapping[str, str]], id: str) -> dict[str, Any]:
    knows = {name: each["value"] for name, each in secrets.items()}
    return {"containerId": f"containerd://{id}", "ready": True, "stale": False, "knows": knows}


@contextmanager
def azure(folder: Path) -> Iterator[Azure]:
    """Five container apps as the templates make them: one revision each, no label, traffic to the latest."""
    file = folder / "azure.json"
    templates = {app.name: app.body["properties"] for app in deployed("prod").of("Microsoft.App/containerApps")}
    environments = {name: each["template"]["containers"][0]["env"] for name, each in templates.items()}
    referred = {name: _referred(each["configuration"]["secrets"]) for name, each in templates.items()}
    apps = {
        service: {
            "traffic": [{"latestRevision": True, "weight": 100}],
            "secrets": referred[service],
            "revisions": [
                {
                    "name": f"{service}--c0",
                    "image": OLD,
                    "env": environments[service],
                    "active": True,
                    "starting": 0,
                    "replicas": [_replica(referred[service], f"{service}-{at}") for at in range(2)],
                    "created": "2026-01-01T00:00:00+00:00",
                }
            ],
        }
        for service in HEARS
    }
    file.write_text(
        json.dumps(
            {
                "group": NAMES.resource_group, "apps": apps, "made": 0, "start": 1, "fail": {}, "bad": {}, "routes": {},
                "accounts": {}, "deleted": {}, "gone": [], "restoring": 0,
                "vault": {
                    own: [{"value": old_secret(name), "tags": None}]
                    for name in VAULT for own in (name, *(f"{app}-{name}" for app in apps if name in OWN_KEYS))
                },
                "begun": 0,
                "stuck": False,
                "waiting": 3, "events": 1_000, "crowd": 0, "unread": {}, "buried": [["2026-01-01T00:00:00Z", 3]],
            }
        )
    )  # fmt: skip
    before = os.environ.get("AZ_DOUBLE")
    os.environ["AZ_DOUBLE"] = str(file)
    try:
        yield Azure(file)
    finally:
        if before is None:
            del os.environ["AZ_DOUBLE"]
        else:
            os.environ["AZ_DOUBLE"] = before
