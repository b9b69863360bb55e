"""From the store in use to a restored one that has been tried, with what that took: the drill, and the real thing.

The restored store is tried by revisions of all services over it, without traffic and without events, at green's label.
They publish what their outboxes held at the moment that was restored to: events that everybody has had, by their ids.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cludale_operations.release.azure import AzureDriver
from cludale_operations.release.deployed import GREEN, NotNow
from cludale_operations.release.driver import Address
from cludale_operations.release.release import Release
from cludale_operations.restore.preparing import LONGEST_NAME, TIME, Account, Preparing
from cludale_operations.restore.verification import Log, Verified

BACKUP_SECONDS = 1_800.0
"""How long a moment that has passed may take to be backed up; Azure says 100 s."""
CLOCKS_SECONDS = 10.0
"""How far this machine's clock may be from Azure's."""


class Noted(NamedTuple):
    """The log as it stood before: what a store restored to this moment or later has to have."""

    moment: datetime
    log: Log

    @classmethod
    def at(cls, seen: datetime, log: Log) -> "Noted":
        """What was seen then, by a clock that may be behind Azure's."""
        return cls(seen + timedelta(seconds=CLOCKS_SECONDS), log)


class Measured(NamedTuple):
    """What a drill found."""

    account: Account
    moment: datetime
    """What was restored to."""
    lost_seconds: float
    """How far back the newest second was that could be had when it was asked for: RPO, were all lost then."""
    phases: dict[str, float]
    """Seconds of each phase."""
    found: Verified
    lacking: list[str]
    """How the account is set up otherwise than the one in use."""

    @property
    def seconds(self) -> float:
        """All of them: RTO, but for the switch."""
        return sum(self.phases.values())


class Trial(NamedTuple):
    """How the restored store is tried."""

    driver: AzureDriver
    services: Sequence[str]
    release: Callable[[str], Release]
    """A release over the store at this endpoint."""
    verified: Callable[[Address, datetime, str | None], Verified]
    """What is found at green's address; the head has to be in the log."""


class Drill:
    """One restore. Raises PlatformFailed, NotNow."""

    def __init__(
        self,
        preparing: Preparing,
        trial: Trial,
        *,
        report: Callable[[str], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._preparing = preparing
        self._trial = trial
        self._report = report
        self._now = now

    def prepare(
        self, endpoint: str, target: str, *, at: datetime | None, noted: Noted | None, within_seconds: float
    ) -> Measured:
        """Restore the store at `endpoint` as `target` and try it.

        `at`: the moment; without it the newest that can be had, no older than `noted`.
        """
        phases: dict[str, float] = {}
        source, asked = self._preparing.in_use(endpoint), self._now()
        if source.deleted is None:
            moment, lost = self._newest(source, at, noted, phases)
        elif at is None or at >= source.deleted:
            raise NotNow(f"{source.name} was deleted at {source.deleted:{TIME}}: say a moment before that (--at)")
        else:
            moment, lost = at, (source.deleted - at).total_seconds()
        with self._phase(phases, "restore"):
            account = self._preparing.restore(source, target, moment, within_seconds)
        with self._phase(phases, "roles, endpoint, logs"):
            self._preparing.take_in(account)
        with self._phase(phases, "revisions over it"):
            image, _ = self._trial.driver.serving(self._trial.services[0])
            self._trial.release(account.endpoint).deploy(image, suffix_at(asked))
        with self._phase(phases, "verification"):
            head = noted.log.head if noted is not None and noted.moment <= moment else None
            found = self._trial.verified(self._trial.driver.try_address(GREEN), moment, head)
        return Measured(account, moment, lost, phases, found, self._preparing.lacking(source, account))

    def _newest(
        self, source: Account, at: datetime | None, noted: Noted | None, phases: dict[str, float]
    ) -> tuple[datetime, float]:
        """The moment to restore to, once it can be had; and how old the newest was when it was asked for."""
        latest, asked = self._preparing.restorable(source), self._now()
        if at is not None and at > asked:
            raise NotNow(f"{at:{TIME}} has not come yet")
        lost = max(0.0, (asked - latest).total_seconds())
        self._report(f"{source.name} can be restored up to {latest:{TIME}}, {lost:.0f} s ago")
        with self._phase(phases, "waiting for the backup"):
            wanted = at or (noted.moment if noted is not None else latest)
            latest = self._preparing.wait_restorable(source, wanted, BACKUP_SECONDS)
        return at or latest, lost

    def end(self, target: str) -> None:
        """Take a restored store and its trial away. Raises NotNow if anything that serves uses it."""
        account = self._preparing.account(target)
        if account is None:
            raise NotNow(f"there is no account {target}")
        driver, deployed = self._trial.driver, self._trial.driver.deployed()
        tried = {service: driver.over(service, account.endpoint) for service in self._trial.services}
        serving = [name for service, names in tried.items() for name in names if deployed[service].weight(name)]
        if serving:
            raise NotNow(f"{target} is in use: {', '.join(serving)}")
        for service, names in tried.items():
            for name in names:
                driver.deactivate(service, name)
        self._preparing.remove(target)

    @contextmanager
    def _phase(self, phases: dict[str, float], name: str) -> Iterator[None]:
        began = self._now()
        yield
        phases[name] = (self._now() - began) / timedelta(seconds=1)


def suffix_at(moment: datetime) -> str:
    """The suffix of the revisions over a store that is restored now; the time in it makes it a new one."""
    return f"d{moment:%m%d%H%M%S}"


def name_at(source: str, moment: datetime) -> str:
    """A name for the account: the source's without what an earlier restore put there, and the time."""
    base, _, before = source.rpartition("-r")
    own = base if before.isdigit() and base else source
    ending = f"-r{moment:%m%d%H%M%S}"
    return own[: LONGEST_NAME - len(ending)] + ending
