"""A store restored to a moment, beside the one in use: restored, taken in, and away again.

Each step looks first whether it is done, so what was cut off is taken up by the same call.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from cludale_operations.release.azure_words import Words
from cludale_operations.release.driver import PlatformFailed
from cludale_operations.restore.store_commands import StoreCommands

Ask = Callable[[Words], Any]

LONGEST_NAME = 44
"""The longest name of an account, in letters."""
PAUSE_SECONDS = 15.0
TIME = "%Y-%m-%dT%H:%M:%SZ"
SUCCEEDED = "Succeeded"
UNDER_WAY = frozenset({"Creating", "Updating", "Restoring"})


class Account(NamedTuple):
    """A Cosmos DB account, as far as a restore asks."""

    name: str
    location: str
    endpoint: str
    state: str
    is_closed: bool
    """To the outside: only through private endpoints."""
    is_continuous: bool
    """Backed up so that any second can be restored."""
    is_serverless: bool
    """Without reserved throughput."""
    set_up: Mapping[str, str]
    """How it is set up, in words: what a restore might not bring along."""
    deleted: datetime | None = None
    """When it was, if it is not there any more."""


class Store(NamedTuple):
    """What is in an account."""

    database: str
    containers: Sequence[str]


class Preparing:
    """Restores an account of one resource group. Raises PlatformFailed throughout."""

    def __init__(
        self,
        az: Ask,
        long_az: Ask,
        commands: StoreCommands,
        store: Store,
        *,
        environment: str,
        template: Path,
        report: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`long_az` is for what may take hours; `environment`: dev, test or prod; `template`: restored.bicep."""
        self._az = az
        self._long_az = long_az
        self._commands = commands
        self._store = store
        self._environment = environment
        self._template = template
        self._report = report
        self._sleep = sleep
        self._now = now

    def account(self, name: str) -> Account | None:
        """The account of this name, if it is there."""
        return next((each for each in self._accounts() if each.name == name), None)

    def in_use(self, endpoint: str) -> Account:
        """The account that answers at this endpoint, or did before it was deleted."""
        found = next((each for each in self._accounts() if _same(each.endpoint, endpoint)), None)
        if found is None:
            return self._deleted(endpoint)
        if not found.is_continuous:
            raise PlatformFailed(f"{found.name} is not backed up continuously: no second of it can be restored")
        return found

    def _deleted(self, endpoint: str) -> Account:
        name = _host(endpoint).partition(".")[0]
        gone = [each for each in self._az(self._commands.restorable(name)) if each.get("deletionTime")]
        if not gone:
            raise PlatformFailed(f"no account of this resource group answers at {endpoint}, or did")
        last = max(gone, key=lambda each: str(each["deletionTime"]))
        is_closed = any(each["name"] == _endpoint_of(name) for each in self._az(self._commands.endpoints()))
        deleted = _time(last["deletionTime"])
        return Account(
            name=name,
            location=last["location"],
            endpoint=endpoint,
            state="Deleted",
            is_closed=is_closed,
            is_continuous=True,
            is_serverless=True,  # as far as is known: there is no throughput to compare with
            set_up={},
            deleted=deleted,
        )

    def _accounts(self) -> list[Account]:
        return [_account(each) for each in self._az(self._commands.accounts())]

    def restorable(self, source: Account) -> datetime:
        """Up to when all of its containers can be restored."""
        return min(
            _moment(
                self._az(self._commands.latest_backup(source.name, source.location, self._store.database, container))
            )
            for container in self._store.containers
        )

    def wait_restorable(self, source: Account, moment: datetime, within_seconds: float) -> datetime:
        """Until that moment can be restored; up to when it then can be."""
        end = self._now().timestamp() + within_seconds
        while True:
            latest = self.restorable(source)
            if latest >= moment:
                return latest
            if self._now().timestamp() >= end:
                raise PlatformFailed(f"{source.name} can be restored up to {latest:{TIME}}, not to {moment:{TIME}}")
            self._sleep(PAUSE_SECONDS)

    def restore(self, source: Account, target: str, moment: datetime, within_seconds: float) -> Account:
        """The account as it was then, as another; hours for much data."""
        if len(target) > LONGEST_NAME:
            raise PlatformFailed(f"{target}: an account's name has at most {LONGEST_NAME} letters")
        found = self.account(target)
        if found is None:
            self._report(f"restoring {source.name} as of {moment:{TIME}} as {target}")
            words = self._commands.restore(source.name, source.location, target, moment, is_closed=source.is_closed)
            try:
                self._long_az(words)
            except PlatformFailed:
                if self.account(target) is None:  # else it was begun, and only the answer is lost
                    raise
        else:
            self._report(f"{target} is there already ({found.state})")
        return self._wait_made(target, within_seconds)

    def _wait_made(self, target: str, within_seconds: float) -> Account:
        end = self._now().timestamp() + within_seconds
        while True:
            found = self.account(target)
            state = "not there" if found is None else found.state
            if found is not None and state == SUCCEEDED:
                return found
            if state not in UNDER_WAY or self._now().timestamp() >= end:
                raise PlatformFailed(f"{target} is {state}, not restored")
            self._sleep(PAUSE_SECONDS)

    def lacking(self, source: Account, restored: Account) -> list[str]:
        """What the restored one has not as the other has it: regions, zones, consistency, backups, throughput."""
        pairs = [(what, value, restored.set_up.get(what, "")) for what, value in source.set_up.items()]
        if not source.is_serverless:
            pairs += [
                (
                    f"throughput of {container}",
                    self._throughput(source, container),
                    self._throughput(restored, container),
                )
                for container in self._store.containers
            ]
        return [f"{what}: {now or 'none'}, was {before}" for what, before, now in pairs if now != before]

    def _throughput(self, account: Account, container: str) -> str:
        told = self._az(self._commands.throughput(account.name, self._store.database, container))["resource"]
        most = (told.get("autoscaleSettings") or {}).get("maxThroughput")
        return f"{told.get('throughput')} RU/s" if most is None else f"up to {most} RU/s"

    def take_in(self, account: Account) -> None:
        """Give it what a restore leaves behind: the services' roles, a private endpoint, where its logs go."""
        self._report(f"{account.name}: roles, endpoint, logs")
        self._az(
            self._commands.deploy(
                f"restored-{account.name}",
                self._template,
                {
                    "environmentName": self._environment,
                    "accountName": account.name,
                    "privateNetwork": str(account.is_closed).lower(),
                },
            )
        )

    def remove(self, target: str) -> None:
        """Take it away again, with its endpoint."""
        endpoint = _endpoint_of(target)
        if any(each["name"] == endpoint for each in self._az(self._commands.endpoints())):
            self._az(self._commands.delete_endpoint(endpoint))
        if self.account(target) is not None:
            self._report(f"deleting {target}")
            self._long_az(self._commands.delete(target))


def _account(shown: Any) -> Account:
    return Account(
        name=shown["name"],
        location=shown["location"],
        endpoint=shown.get("documentEndpoint") or "",
        state=shown.get("provisioningState") or "",
        is_closed=(shown.get("publicNetworkAccess") or "Enabled").lower() == "disabled",
        is_continuous=(shown.get("backupPolicy") or {}).get("type") == "Continuous",
        is_serverless=any(each["name"] == "EnableServerless" for each in shown.get("capabilities") or ()),
        set_up=_set_up(shown),
    )


def _set_up(shown: Any) -> dict[str, str]:
    policy = shown.get("backupPolicy") or {}
    regions = sorted(shown.get("locations") or (), key=lambda each: each.get("failoverPriority", 0))
    return {
        "regions": ", ".join(
            each["locationName"] + (" over zones" if each.get("isZoneRedundant") else "") for each in regions
        ),
        "consistency": (shown.get("consistencyPolicy") or {}).get("defaultConsistencyLevel") or "",
        "backups": (policy.get("continuousModeProperties") or {}).get("tier") or "",
        "fails over by itself": "yes" if shown.get("enableAutomaticFailover") else "no",
    }


def _same(one: str, other: str) -> bool:
    """An endpoint with and without its port and slash."""
    return _host(one) == _host(other) != ""


def _host(endpoint: str) -> str:
    return endpoint.partition("://")[2].partition("/")[0].partition(":")[0].lower()


def _moment(answer: Any) -> datetime:
    """As az shows it: 10/26/2021 5:27:45 PM, in UTC; as an RFC 3339 time where it ever does so."""
    text = str(answer["continuousBackupInformation"]["latestRestorableTimestamp"])
    for form in ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return _time(text)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise PlatformFailed(f"az says {text!r}, which is no time that is known here") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _endpoint_of(account: str) -> str:
    """The name of its private endpoint, as the templates give it."""
    return f"{account}-store-endpoint"
