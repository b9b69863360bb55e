"""`cludale restore`: the store in Azure as it was at a moment, beside the one in use; a drill, or for good.

Exit statuses: 0 done, and what was restored is whole; 1 it is not; 2 it could not be done.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer

from cludale_operations.cli.options import filling
from cludale_operations.cli.release import azure_driver, organizer_key
from cludale_operations.cli.screen import NO, as_moment, fail, say

if TYPE_CHECKING:
    from cludale_operations.release.azure import AzureDriver
    from cludale_operations.restore.drill import Drill, Measured

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True, help="Restore the store in Azure to a moment: try it, measure it, switch to it."
)

TEMPLATE = Path("infra/restored.bicep")
WITHIN_SECONDS = 43_200.0


class Cloud(msgspec.Struct, frozen=True, kw_only=True):
    """Where the store is."""

    resource_group: Annotated[str, typer.Option(help="The resource group.")]
    environment: Annotated[str, typer.Option(help="The environment of the container apps: cludale-prod.")]
    subscription: Annotated[str | None, typer.Option(help="The subscription, if not the usual one.")] = None
    az: Annotated[str, typer.Option(envvar="CLUDALE_AZ", help="The program az.")] = "az"

    def driver(self, store: str | None) -> "AzureDriver":
        """One whose new revisions use this store; None: the one in use."""
        return azure_driver(self.az, self.resource_group, self.environment, subscription=self.subscription, store=store)


class Restoring(Cloud, frozen=True, kw_only=True):
    """What is restored, too."""

    target: Annotated[str | None, typer.Option(help="What the restored account is to be called.")] = None
    at: Annotated[str | None, typer.Option(help="The moment: 2027-06-05T19:30:00Z. Default: the newest.")] = None
    within: Annotated[float, typer.Option(min=60, max=172_800, help="Seconds for the restore itself.")] = WITHIN_SECONDS
    template: Annotated[Path, typer.Option(help="What is given to a restored store.")] = TEMPLATE


@app.command()
@filling(Restoring)
def drill(
    *, url: Annotated[str, typer.Option(help="The address of the API, whose log is noted first.")], options: Restoring
) -> None:
    """Restore, try, measure, and take all of it away again. What serves is not touched."""
    measured = _prepared(options, url)
    _guarded(lambda: _drill(options).end(measured.account.name))
    _conclude(measured)


@app.command()
@filling(Restoring)
def prepare(
    *,
    url: Annotated[
        str | None,
        typer.Option(help="The address of the API, whose log is noted first; none if it does not answer any more."),
    ] = None,
    options: Restoring,
) -> None:
    """Restore and try, and leave it there: `switch` puts it in the place of the store in use."""
    measured = _prepared(options, url)
    say(f"to switch to it: --store {measured.account.endpoint}")
    _conclude(measured)


@app.command()
@filling(Cloud)
def switch(
    *,
    store: Annotated[str, typer.Option(help="The endpoint of the restored store, as `prepare` said it.")],
    options: Cloud,
) -> None:
    """Put what was prepared in the place of the store in use. What was written there since the moment is given up."""
    from cludale_operations.restore.switch import Switch

    def run() -> None:
        quiet = Switch(options.driver(None), _order(), store, report=say).run()
        say(f"switched; for {quiet:.0f} s nobody took events")
        say("from now on give existingCosmosName in the parameters file; back again: cludale release rollback")

    _guarded(run)


@app.command()
@filling(Cloud)
def remove(*, target: Annotated[str, typer.Option(help="The restored account.")], options: Cloud) -> None:
    """Take a restored store away, with what tried it. One that is in use is not."""
    _guarded(lambda: _drill(options).end(target))


def _order() -> list[str]:
    """The services in the order in which a release takes them."""
    from cludale.services.catalogue import CATALOGUE, HEARS
    from cludale_operations.release.order import hearers_first, publishers

    return hearers_first(HEARS, publishers(CATALOGUE), None)


def _drill(
    cloud: Cloud, organizer_key: str = "", *, template: Path = TEMPLATE, within: float = WITHIN_SECONDS
) -> "Drill":
    from cludale.adapters.cosmos.layout import DATABASE, PROVIDER_CONTAINER
    from cludale.wiring.stores import CONTAINERS
    from cludale_operations.release.azure import Az
    from cludale_operations.release.judgement import Bounds
    from cludale_operations.release.release import Pace, Release
    from cludale_operations.restore.drill import Drill, Trial
    from cludale_operations.restore.preparing import Preparing, Store
    from cludale_operations.restore.store_commands import StoreCommands
    from cludale_operations.restore.verification import verified

    order = _order()
    preparing = Preparing(
        Az(cloud.az, timeout_seconds=1_800),
        Az(cloud.az, timeout_seconds=within),
        StoreCommands(cloud.resource_group, cloud.subscription),
        Store(DATABASE, [each.name for each in (*CONTAINERS, PROVIDER_CONTAINER)]),
        environment=cloud.environment.rpartition("-")[2],
        template=template,
        report=say,
    )
    trial = Trial(
        driver=cloud.driver(None),
        services=order,
        release=lambda store: Release(cloud.driver(store), order, pace=Pace(), bounds=Bounds(), report=say),
        verified=lambda address, moment, head: verified(address, organizer_key, moment, head),
    )
    return Drill(preparing, trial, report=say)


def _prepared(options: Restoring, url: str | None) -> "Measured":
    from cludale_operations.release.driver import Address
    from cludale_operations.restore.drill import Noted, name_at
    from cludale_operations.restore.verification import log_of

    moment, key = None if options.at is None else as_moment(options.at), organizer_key()
    if not options.template.exists():
        fail(f"there is no {options.template}: run this in the project's folder, or name the file with --template")

    def run() -> "Measured":
        _, endpoint = options.driver(None).serving(_order()[0])
        if endpoint is None:
            fail("what serves names no store in CLUDALE_COSMOS_ENDPOINT")
        noted = None
        if url is not None:
            log = log_of(Address(url.rstrip("/"), {}), key)
            noted = Noted.at(datetime.now(UTC), log)
            say(f"the log has {log.events} events, head {log.head}")
        name = options.target or name_at(endpoint.partition("://")[2].partition(".")[0], datetime.now(UTC))
        say(f"if this is cut off, --target {name} goes on with it, and `cludale restore remove` takes it away")
        drill = _drill(options, key, template=options.template, within=options.within)
        return drill.prepare(endpoint, name, at=moment, noted=noted, within_seconds=options.within)

    return _guarded(run)


def _guarded(run: Callable[[], T]) -> T:
    from cludale_operations.release.deployed import NotNow
    from cludale_operations.release.driver import PlatformFailed

    try:
        return run()
    except (PlatformFailed, NotNow) as error:
        fail(str(error))


def _conclude(measured: "Measured") -> None:
    log = measured.found.log
    say(f"restored to {measured.moment:%Y-%m-%dT%H:%M:%SZ}: {log.events} events, head {log.head}")
    say(f"{measured.found.records} records of the last events were held against the log")
    say(f"RPO: the newest second that could be had was {measured.lost_seconds:.0f} s old")
    for phase, seconds in measured.phases.items():
        say(f"  {seconds:8.0f} s  {phase}")
    say(f"RTO: {measured.seconds:.0f} s to a store that is restored and tried, before the switch")
    for each in measured.lacking:
        say(f"did not come along: {each}")
    if measured.found.wrong:
        for each in measured.found.wrong:
            say(f"NOT WHOLE: {each}")
        fail("what was restored is not whole", NO)
