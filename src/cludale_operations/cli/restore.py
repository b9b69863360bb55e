"""`cludale restore`: the store in Azure as it was at a moment, beside the one in use; a drill, or for good.

Exit statuses: 0 done, and what was restored is whole; 1 it is not; 2 it could not be done.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cludale_operations.cli.release import azure_driver, organizer_key
from cludale_operations.cli.screen import NO, as_moment, fail, say

if TYPE_CHECKING:
    from cludale_operations.release.azure import AzureDriver
    from cludale_operations.restore.drill import Drill, Measured

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True, help="Restore the store in Azure to a moment: try it, measure it, switch to it."
)

Group = Annotated[str, typer.Option("--resource-group", help="The resource group.")]
Environment = Annotated[str, typer.Option("--environment", help="The environment of the container apps: cludale-prod.")]
Subscription = Annotated[str | None, typer.Option("--subscription", help="The subscription, if not the usual one.")]
Program = Annotated[str, typer.Option("--az", envvar="CLUDALE_AZ", help="The program az.")]
Api = Annotated[str, typer.Option("--url", help="The address of the API, whose log is noted first.")]
MaybeApi = Annotated[
    str | None,
    typer.Option(
        "--url", help="The address of the API, whose log is noted first; none if it does not answer any more."
    ),
]
Template = Annotated[Path, typer.Option("--template", help="What is given to a restored store.")]
Target = Annotated[str | None, typer.Option("--target", help="What the restored account is to be called.")]
Moment = Annotated[str | None, typer.Option("--at", help="The moment: 2027-06-05T19:30:00Z. Default: the newest.")]
Within = Annotated[float, typer.Option("--within", min=60, max=172_800, help="Seconds for the restore itself.")]
TEMPLATE = Path("infra/restored.bicep")
WITHIN_SECONDS = 43_200.0


@app.command()
def drill(
    *,
    resource_group: Group,
    environment: Environment,
    url: Api,
    target: Target = None,
    at: Moment = None,
    within: Within = WITHIN_SECONDS,
    template: Template = TEMPLATE,
    subscription: Subscription = None,
    az: Program = "az",
) -> None:
    """Restore, try, measure, and take all of it away again. What serves is not touched."""
    cloud = _Cloud(resource_group, environment, subscription, az, template, within)
    measured = _prepared(cloud, url, target, at)
    _guarded(lambda: cloud.drill("").end(measured.account.name))
    _conclude(measured)


@app.command()
def prepare(
    *,
    resource_group: Group,
    environment: Environment,
    url: MaybeApi = None,
    target: Target = None,
    at: Moment = None,
    within: Within = WITHIN_SECONDS,
    template: Template = TEMPLATE,
    subscription: Subscription = None,
    az: Program = "az",
) -> None:
    """Restore and try, and leave it there: `switch` puts it in the place of the store in use."""
    measured = _prepared(_Cloud(resource_group, environment, subscription, az, template, within), url, target, at)
    say(f"to switch to it: --store {measured.account.endpoint}")
    _conclude(measured)


@app.command()
def switch(
    *,
    resource_group: Group,
    environment: Environment,
    store: Annotated[str, typer.Option(help="The endpoint of the restored store, as `prepare` said it.")],
    subscription: Subscription = None,
    az: Program = "az",
) -> None:
    """Put what was prepared in the place of the store in use. What was written there since the moment is given up."""
    from cludale_operations.restore.switch import Switch

    cloud = _Cloud(resource_group, environment, subscription, az)

    def run() -> None:
        quiet = Switch(cloud.driver(None), cloud.order, store, report=say).run()
        say(f"switched; for {quiet:.0f} s nobody took events")
        say("from now on give existingCosmosName in the parameters file; back again: cludale release rollback")

    _guarded(run)


@app.command()
def remove(
    *,
    resource_group: Group,
    environment: Environment,
    target: Annotated[str, typer.Option("--target", help="The restored account.")],
    subscription: Subscription = None,
    az: Program = "az",
) -> None:
    """Take a restored store away, with what tried it. One that is in use is not."""
    _guarded(lambda: _Cloud(resource_group, environment, subscription, az).drill("").end(target))


class _Cloud:
    """What the options say, as the parts of a restore."""

    def __init__(
        self,
        resource_group: str,
        environment: str,
        subscription: str | None,
        az: str,
        template: Path = TEMPLATE,
        within: float = WITHIN_SECONDS,
    ) -> None:
        from cludale.services.catalogue import CATALOGUE, HEARS
        from cludale_operations.release.order import hearers_first, publishers

        self._group, self._environment, self._subscription, self._az = resource_group, environment, subscription, az
        self.template = template
        self.within = within
        self.order = hearers_first(HEARS, publishers(CATALOGUE), None)

    def driver(self, store: str | None) -> "AzureDriver":
        """One whose new revisions use this store; None: the one in use."""
        return azure_driver(self._az, self._group, self._environment, subscription=self._subscription, store=store)

    def drill(self, organizer_key: str) -> "Drill":
        """The drill itself."""
        from cludale.adapters.cosmos.layout import DATABASE, PROVIDER_CONTAINER
        from cludale.wiring.stores import CONTAINERS
        from cludale_operations.release.azure import Az
        from cludale_operations.release.judgement import Bounds
        from cludale_operations.release.release import Pace, Release
        from cludale_operations.restore.drill import Drill, Trial
        from cludale_operations.restore.preparing import Preparing, Store
        from cludale_operations.restore.store_commands import StoreCommands
        from cludale_operations.restore.verification import verified

        preparing = Preparing(
            Az(self._az, timeout_seconds=1_800),
            Az(self._az, timeout_seconds=self.within),
            StoreCommands(self._group, self._subscription),
            Store(DATABASE, [each.name for each in (*CONTAINERS, PROVIDER_CONTAINER)]),
            environment=self._environment.rpartition("-")[2],
            template=self.template,
            report=say,
        )
        trial = Trial(
            driver=self.driver(None),
            services=self.order,
            release=lambda store: Release(self.driver(store), self.order, pace=Pace(), bounds=Bounds(), report=say),
            verified=lambda address, moment, head: verified(address, organizer_key, moment, head),
        )
        return Drill(preparing, trial, report=say)


def _prepared(cloud: _Cloud, url: str | None, target: str | None, at: str | None) -> "Measured":
    from cludale_operations.release.driver import Address
    from cludale_operations.restore.drill import Noted, name_at
    from cludale_operations.restore.verification import log_of

    moment, key = None if at is None else as_moment(at), organizer_key()
    if not cloud.template.exists():
        fail(f"there is no {cloud.template}: run this in the project's folder, or name the file with --template")

    def run() -> "Measured":
        _, endpoint = cloud.driver(None).serving(cloud.order[0])
        if endpoint is None:
            fail("what serves names no store in CLUDALE_COSMOS_ENDPOINT")
        noted = None
        if url is not None:
            log = log_of(Address(url.rstrip("/"), {}), key)
            noted = Noted.at(datetime.now(UTC), log)
            say(f"the log has {log.events} events, head {log.head}")
        name = target or name_at(endpoint.partition("://")[2].partition(".")[0], datetime.now(UTC))
        say(f"if this is cut off, --target {name} goes on with it, and `cludale restore remove` takes it away")
        return cloud.drill(key).prepare(endpoint, name, at=moment, noted=noted, within_seconds=cloud.within)

    return _guarded(run)


def _guarded(run: Callable[[], T]) -> T:
    from cludale_operations.release.driver import PlatformFailed
    from cludale_operations.release.standing import NotNow

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
