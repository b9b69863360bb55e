"""`cludale release`: a new version beside the old one, in Container Apps or behind the gateway.

Exit statuses: 0 done, and the new version is good; 1 it is not, and was taken back; 2 it could not be done.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cludale.services import NAMES
from cludale.wiring.settings import Settings
from cludale_operations.cli.client import Json
from cludale_operations.cli.gateway import CONFIG, Config, control
from cludale_operations.cli.options import filling
from cludale_operations.cli.screen import NO, fail, say, table
from cludale_operations.own_server import own_trust, own_url

if TYPE_CHECKING:
    from cludale_operations.release.azure import AzureDriver
    from cludale_operations.release.driver import Driver
    from cludale_operations.release.release import Ended, Release

app = typer.Typer(no_args_is_help=True, help="Release a new version without a gap, step by step.")


class Platform(StrEnum):
    """Where a release is made."""

    AZURE = "azure"
    GATEWAY = "gateway"


_AZURE = "Azure"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What goes before the command."""

    on: Annotated[Platform, typer.Option(help="Container Apps, or a gateway.")] = Platform.GATEWAY
    resource_group: Annotated[str | None, typer.Option(rich_help_panel=_AZURE, help="The resource group.")] = None
    environment: Annotated[
        str | None, typer.Option(rich_help_panel=_AZURE, help="The environment of the container apps.")
    ] = None
    service_bus: Annotated[str | None, typer.Option(rich_help_panel=_AZURE, help="The namespace.")] = None
    insights_app: Annotated[
        str | None, typer.Option(rich_help_panel=_AZURE, help="Application Insights' application id.")
    ] = None
    subscription: Annotated[
        str | None, typer.Option(rich_help_panel=_AZURE, help="The subscription, if not the usual one.")
    ] = None
    az: Annotated[str, typer.Option(rich_help_panel=_AZURE, envvar="CLUDALE_AZ", help="The program az.")] = "az"
    url: Annotated[str | None, typer.Option(help="The gateway; default: the one in the settings.")] = None
    config: Config = CONFIG
    changed: Annotated[
        list[str] | None,
        typer.Option(help="An event that this release changes: its consumers are released before its producer."),
    ] = None
    canary_events: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="The most events that one process of each service takes at first.")
    ] = 50
    canary_for: Annotated[
        float, typer.Option(min=0, max=86_400, help="Seconds to wait for enough events to judge their handlers by.")
    ] = 360
    enough_events: Annotated[int, typer.Option(min=1, help="Events of a service that are enough for that.")] = 20
    steps: Annotated[str, typer.Option(help="The steps, in per cent of the traffic.")] = "5,25,50,100"
    soak: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds that each step lasts.")] = 300
    watch_for: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds of watching at 100 %.")] = 600
    keep: Annotated[float, typer.Option(min=0, max=604_800, help="Seconds that the version before is kept.")] = 1_800
    check_every: Annotated[float, typer.Option(min=0.05, max=3_600, help="Seconds between two looks.")] = 15
    start_within: Annotated[float, typer.Option(min=1, max=3_600, help="Seconds for new processes to be ready.")] = 300
    most_errors: Annotated[float, typer.Option(min=0, max=1, help="The share of errors that is still good.")] = 0.01
    slowest: Annotated[float, typer.Option(min=0.001, max=600, help="Seconds for 99 % of the answers.")] = 1.0
    waiting_events: Annotated[int, typer.Option(min=0, help="Events that may wait to be delivered.")] = 5_000

    def driver(self) -> "Driver":
        """The driver of the platform that is chosen. Ends the program with one line where something is missing."""
        if self.on is Platform.GATEWAY:
            return gateway_driver(self.url, self.config)
        names = {
            "--resource-group": self.resource_group,
            "--environment": self.environment,
            "--service-bus": self.service_bus,
            "--insights-app": self.insights_app,
        }
        missing = [option for option, value in names.items() if not value]
        if missing:
            fail(f"--on azure needs {', '.join(missing)}")
        group, environment, service_bus, insights = (str(each) for each in names.values())
        return azure_driver(self.az, group, environment, service_bus, insights, self.subscription)

    def release(self, driver: "Driver", version: str | None) -> "Release":
        """A release by these options; with a `version`, of no other one."""
        from cludale.services.catalogue import CATALOGUE, HEARS
        from cludale_operations.release.handlers import EventBounds
        from cludale_operations.release.judgement import Bounds
        from cludale_operations.release.order import hearers_first, publishers
        from cludale_operations.release.release import Pace, Release

        pace = Pace(
            canary_events=self.canary_events,
            canary_seconds=self.canary_for,
            steps=tuple(int(each) for each in self.steps.split(",")),
            soak_seconds=self.soak,
            watch_seconds=self.watch_for,
            keep_seconds=self.keep,
            check_seconds=self.check_every,
            start_seconds=self.start_within,
        )
        bounds = Bounds(error_share=self.most_errors, p99_seconds=self.slowest, waiting_events=self.waiting_events)
        return Release(
            driver,
            hearers_first(HEARS, publishers(CATALOGUE), self.changed or None),
            pace=pace,
            bounds=bounds,
            event_bounds=EventBounds(enough_events=self.enough_events),
            report=say,
            version=version,
        )


_chosen: list[Options] = []


@app.callback()
@filling(Options)
def options(*, options: Options) -> None:
    """What goes before the command."""
    from cludale.services.catalogue import CATALOGUE

    strangers = sorted(set(options.changed or ()) - set(CATALOGUE.types))
    if strangers:
        fail(f"--changed: there is no event {', '.join(strangers)}")
    if not all(each.strip().isdigit() for each in options.steps.split(",")):
        fail(f"--steps {options.steps}: expected something like 5,25,50,100")
    _chosen[:] = [options]


def gateway_driver(url: str | None, config: Path) -> "Driver":
    """The driver of the gateway at `url`, or of the one in the settings."""
    from cludale_operations.release.local import LocalDriver, NoLauncher

    settings = Settings.from_env(os.environ)
    there = (url or own_url(settings)).rstrip("/")
    return LocalDriver(control(config), there, organizer_key(), NoLauncher(), trust=own_trust(there, settings))


def azure_driver(
    az: str,
    group: str,
    environment: str,
    service_bus: str = "",
    insights: str = "",
    subscription: str | None = None,
    *,
    store: str | None = None,
) -> "AzureDriver":
    """The driver for Container Apps, which calls the program `az`.

    The broker and Application Insights are needed only to judge traffic. `store`: the endpoint of the store that new
    revisions use; None: that of what serves.
    """
    from cludale.adapters.dapr.subscriptions import dead_letter_topic
    from cludale.services.catalogue import CATALOGUE
    from cludale.wiring.services import described
    from cludale_operations.release.azure import Az, AzureDriver
    from cludale_operations.release.azure_commands import Names

    return AzureDriver(
        Az(az),
        Names(group, environment, service_bus, insights, subscription),
        {service.name: service.prefixes for service in described()},
        [topic.name for topic in CATALOGUE.topics],
        [dead_letter_topic(name) for name in NAMES],
        store=store,
    )


def organizer_key() -> str:
    """The organizer's key: the setting's, or the data folder's. Ends the program with one line if there is none."""
    settings = Settings.from_env(os.environ)
    file: Path = settings.data_dir / "organizer.key"
    if settings.organizer_key is not None:
        return settings.organizer_key
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError as error:
        fail(f"the organizer's key is needed: in CLUDALE_ORGANIZER_KEY, or in {file} ({error.strerror})")


@contextmanager
def _release(image: str | None = None, commit: str | None = None) -> "Iterator[tuple[Release, Driver]]":
    """A release; with an image and its commit, of no other version."""
    from cludale_operations.gateway.runtime import GatewayRefused
    from cludale_operations.proof import ProofMissing
    from cludale_operations.release.deployed import NotNow
    from cludale_operations.release.driver import PlatformFailed
    from cludale_operations.release.naming import suffix_of

    if (image is None) != (commit is None):
        fail("--image and --commit go together")
    (chosen,) = _chosen
    try:
        version = None if image is None or commit is None else suffix_of(commit, image)
        driver = chosen.driver()
        yield chosen.release(driver, version), driver
    except (PlatformFailed, NotNow, GatewayRefused, ProofMissing) as error:
        fail(str(error))


def _conclude(ended: "Ended") -> None:
    if not ended.is_good:
        fail("rolled back: " + "; ".join(ended.reasons), NO)


Image = Annotated[str, typer.Option(help="The image, by digest: registry/cludale@sha256:…")]
Commit = Annotated[str, typer.Option(help="The commit that it is of: with the image it names the revisions.")]
ItsImage = Annotated[str | None, typer.Option("--image", help="The image that green has to be of; with --commit.")]
ItsCommit = Annotated[str | None, typer.Option("--commit", help="The commit that green has to be of; with --image.")]


@app.command()
def plan(*, image: Image, commit: Commit) -> None:
    """Say what would be done, and do nothing."""
    from cludale_operations.release.naming import suffix_of

    with _release() as (release, _):
        for line in release.planned(image, suffix_of(commit, image)):
            say(line)


@app.command()
def deploy(*, image: Image, commit: Commit) -> None:
    """Start the new version of all services as green: no traffic, no events."""
    from cludale_operations.release.naming import suffix_of

    with _release() as (release, _):
        release.deploy(image, suffix_of(commit, image))


@app.command(name="try")
def try_green(
    *,
    image: ItsImage = None,
    commit: ItsCommit = None,
    buyers: Annotated[int, typer.Option(min=0, max=1_000_000, help="Buyers of the short rehearsal; 0: none.")] = 200,
    seats: Annotated[int, typer.Option(min=1, max=1_000_000, help="Seats that they want.")] = 100,
    answer_within: Annotated[
        float, typer.Option(min=0, max=3_600, help="Seconds for green's address to answer at all.")
    ] = 300,
) -> None:
    """Try green at its label: a smoke test, then a short rehearsal of an on-sale. If it fails, stop green."""
    from cludale_operations.release.reachable import wait_until_reachable
    from cludale_operations.release.trial import tried

    with _release(image, commit) as (release, driver):
        key = organizer_key()
        release.check()
        address = driver.try_address("green")
        wait_until_reachable(address, within_seconds=answer_within)
        wrong = tried(address, key, buyers=buyers, seats=seats, report=say)
        if wrong:
            for each in wrong:
                say(f"NOT GOOD: {each}")
            release.roll_back()
            fail(f"green was stopped: {'; '.join(wrong)}", NO)


@app.command()
def canary(*, image: ItsImage = None, commit: ItsCommit = None) -> None:
    """Give one green process of each service a few events; then green, if its handlers are good, else go back."""
    with _release(image, commit) as (release, _):
        _conclude(release.canary())


@app.command()
def promote(*, image: ItsImage = None, commit: ItsCommit = None) -> None:
    """Do what `canary` does, then give green more and more of the traffic, as long as it is good; else go back."""
    with _release(image, commit) as (release, _):
        _conclude(release.promote())


@app.command()
def watch(*, image: ItsImage = None, commit: ItsCommit = None) -> None:
    """Watch green with everything on it. If it stays good it is blue from then on, else all of it goes back."""
    with _release(image, commit) as (release, _):
        _conclude(release.watch())


@app.command()
def retire() -> None:
    """Keep the version before for its time (--keep), then stop it."""
    with _release() as (release, _):
        release.retire()


@app.command()
def rollback(
    *,
    image: ItsImage = None,
    commit: ItsCommit = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Only a release that has not ended; without one, do nothing.")
    ] = False,
) -> None:
    """Back to the version before: from any step, or after the end of the release as long as that is kept."""
    with _release(image, commit) as (release, _):
        if unfinished and not release.is_unfinished():
            say("nothing is unfinished")
            return
        release.roll_back()


@app.command()
def parameters() -> None:
    """Print what runs, as parameters of infra/main.bicep: a deployment with them leaves the apps as they are."""
    from cludale_operations.release.deployed import live_parameters

    with _release() as (_, driver):
        say(" ".join(f"{name}={value}" for name, value in live_parameters(driver.deployed()).items()))


@app.command()
def status(*, json: Json = False) -> None:
    """Show every service's revisions: label, weight, image, whether they run."""
    with _release() as (_, driver):
        rows = []
        for service, each in driver.deployed().items():
            for name, revision in each.revisions.items():
                label = next((share.label for share in each.traffic if share.revision == name), None)
                state = "stopped" if not revision.active else "ready" if revision.ready else "not ready"
                rows.append(
                    {
                        "service": service,
                        "revision": name,
                        "label": label,
                        "weight": each.weight(name),
                        "state": state,
                        "image": revision.image,
                    }
                )
    columns = ("service", "revision", "label", "weight", "state", "image")
    table(rows, columns=columns, as_json=json, wide=("image",), marked=lambda row: bool(row["weight"]))
