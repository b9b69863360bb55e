"""Container Apps as a platform of releases, by the command line `az`.

A revision's environment can't be changed, so a revision that takes events is another one than the trial that takes
none: a copy of it, `…-on`. The canary that takes a few is one, too, of one replica: `…-1`. And one that is to take no
events any more is stopped. What answers at an address can be there some minutes before the metrics of it are.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cludale_operations.release.azure_commands import (
    Commands,
    Names,
    Replicas,
    dead_letters,
    handler_outcomes,
    route_rules,
    slowest_requests,
)
from cludale_operations.release.azure_words import Words
from cludale_operations.release.deployed import BLUE, GREEN, Deployed, DeployedService, Revision, Share
from cludale_operations.release.driver import Address, PlatformFailed
from cludale_operations.release.handlers import Handled, Tries
from cludale_operations.release.judgement import Backlog, Figures
from cludale_operations.release.naming import CANARY, ON, trial_of

TIMEOUT_SECONDS = 300.0
TRIES = 3
PAUSE_SECONDS = 2.0
AT_ONCE = 5
FRESH_SECONDS = 5.0
"""How long figures that were asked for are as good as new."""
EARLIER = timedelta(hours=6)
"""How far back the version before is looked for that has no requests any more."""
CONSUME = "CLUDALE_CONSUME"
CONSUME_MOST = "CLUDALE_CONSUME_MOST"
STORE = "CLUDALE_COSMOS_ENDPOINT"


class Az:
    """Runs `az`, and reads its JSON."""

    def __init__(
        self,
        program: str = "az",
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
        run: Callable[..., "subprocess.CompletedProcess[str]"] = subprocess.run,
    ) -> None:
        self._run = run
        self._program = program
        self._timeout_seconds = timeout_seconds
        self._pause_seconds = pause_seconds

    def __call__(self, words: Words) -> Any:
        """The answer. Tried a few times: all that is asked here may be asked again. Raises PlatformFailed."""
        why = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(self._pause_seconds * attempt)
            try:
                done = self._run(  # our own words, no shell
                    [self._program, *words],
                    capture_output=True,
                    text=True,
                    timeout=self._timeout_seconds,
                    check=False,
                    stdin=subprocess.DEVNULL,
                )
            except subprocess.TimeoutExpired:
                why = f"no end in {self._timeout_seconds:g} s"
                continue
            except OSError as error:
                raise PlatformFailed(f"{self._program} can't be run: {error.strerror}") from error
            if done.returncode == 0:
                return _decoded(words, done.stdout)
            why = done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"
        raise PlatformFailed(f"az {' '.join(words[:4])} …: {why}")


def _decoded(words: Words, text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else None
    except ValueError as error:
        raise PlatformFailed(f"az {' '.join(words[:4])} … answered no JSON: {text[:80]!r}") from error


class AzureDriver:
    """Container Apps."""

    def __init__(
        self,
        az: Callable[[Words], Any],
        names: Names,
        paths: Mapping[str, Sequence[str]],
        topics: Sequence[str],
        dead_letter_topics: Sequence[str],
        *,
        store: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`paths`: each service → the first parts of its paths, from its manifest.

        `store`: the endpoint of the store that new revisions use; without it, that of what serves.
        """
        self._az = az
        self._commands = Commands(names)
        self._services = list(paths)
        self._topics = topics
        self._dead_letter_topics = dead_letter_topics
        self._paths = paths
        self._store = store
        self._now = now
        self._began = now()
        self._ids: dict[str, str] = {}
        self._measured: dict[tuple[str, str], Figures] = {}
        self._measured_since: object = None
        self._measured_at = 0.0

    def deployed(self) -> Deployed:
        """What runs where, now."""
        return dict(zip(self._services, self._ask_all(self._service, self._services), strict=True))

    def deployed_service(self, service: str) -> DeployedService:
        """What runs of one service, now: two command lines, where all services take ten."""
        return self._service(service)

    def _service(self, service: str) -> DeployedService:
        app = self._az(self._commands.show(service))
        self._ids[service] = app["id"]
        listed = self._az(self._commands.revisions(service))
        latest = app["properties"].get("latestRevisionName", "")
        return DeployedService(
            revisions={each["name"]: _revision(each) for each in listed},
            traffic=tuple(
                Share(
                    latest if each.get("latestRevision") else each["revisionName"],
                    each.get("weight") or 0,
                    each.get("label") or None,
                )
                for each in app["properties"]["configuration"]["ingress"]["traffic"]
            ),
        )

    def deploy(self, service: str, image: str, suffix: str) -> str:
        """Start a revision that gets no traffic and takes no events, or find it there; its name."""
        name = f"{service}--{suffix}"
        known = self._find_revision(service, name)
        if known is None:
            variables = self._store_of_new(service)
            self._az(self._commands.update(service, image, suffix, variables, self._replicas(service)))
        elif _image(known) != image:
            raise PlatformFailed(f"{name} is there with another image, {_image(known)}: take another suffix")
        elif not known["properties"]["active"]:
            self._az(self._commands.activate(service, name))
        return name

    def _store_of_new(self, service: str) -> dict[str, str]:
        """The variable that says where its store is: as what serves has it, unless another was asked for.

        Said each time: the app's template has what was deployed last, and that may be the trial of a restored store.
        """
        if self._store is not None:
            return {STORE: self._store}
        known = self._find_revision(service, self._service(service).blue or "")
        return {} if known is None else _store(known)

    def _replicas(self, service: str) -> Replicas | None:
        """Blue's, where what was deployed last is a canary with its one; None: as the app's template says."""
        if not _takes_few(self._az(self._commands.show(service))):
            return None
        blue = self._find_revision(service, self._service(service).blue or "")
        if blue is None:
            return None
        scale = blue["properties"]["template"]["scale"]
        return Replicas(scale["minReplicas"], scale["maxReplicas"])

    def label(self, service: str, label: str, revision: str) -> None:
        """Give the label to the revision."""
        self._az(self._commands.label(service, label, revision))

    def swap(self, service: str) -> None:
        """Blue becomes green, green becomes blue."""
        self._az(self._commands.swap(service, BLUE, GREEN))

    def weigh(self, service: str, weights: Mapping[str, int]) -> None:
        """Give the service's revisions these shares of its traffic; a revision that is not named gets none."""
        app = self._az(self._commands.show(service))
        others = {}
        for each in app["properties"]["configuration"]["ingress"]["traffic"]:
            name = "latest" if each.get("latestRevision") else each["revisionName"]
            if name not in weights and each.get("weight"):
                others[name] = 0
        self._az(self._commands.traffic(service, {**others, **weights}))

    def consume(self, service: str, revision: str) -> None:
        """Let it take events: as it is, if its environment says so; else as a copy that does, with its label."""
        known = self._find_revision(service, revision)
        if known is None:
            raise PlatformFailed(f"there is no revision {revision}")
        if _takes_events(known) and not _takes_few(known):
            if not known["properties"]["active"]:
                self._az(self._commands.activate(service, revision))
            return
        self._become_green(service, revision, self.consuming(service, revision))

    def consume_few(self, service: str, revision: str, most: int) -> None:
        """Let a copy of one replica take so many events, with its label; one that is there begins to count anew."""
        canary = trial_of(revision) + CANARY
        if revision == canary:
            self._az(self._commands.deactivate(service, canary))
            self._az(self._commands.activate(service, canary))
            return
        copy = self._copy(service, revision, canary, most=most, replicas=Replicas(1, 1))
        self._become_green(service, revision, copy)

    def consuming(self, service: str, revision: str) -> str:
        """Start a copy of the revision that takes events, unless it is there already; returns the copy's name.

        The copy uses the same store and has no label.
        """
        return self._copy(service, revision, trial_of(revision) + ON)

    def _copy(self, service: str, revision: str, copy: str, *, most: int = 0, replicas: Replicas | None = None) -> str:
        """Start a copy of the version's trial with this revision's image and store, or find it there; its name."""
        known, there = self._find_revision(service, revision), self._find_revision(service, copy)
        if known is None:
            raise PlatformFailed(f"there is no revision {revision}")
        if there is None:
            trial, suffix = trial_of(revision), copy.partition("--")[2]
            image, variables = _image(known), _store(known)
            self._az(self._commands.copy(service, trial, image, suffix, variables, most=most, replicas=replicas))
        elif not there["properties"]["active"]:
            self._az(self._commands.activate(service, copy))
        return copy

    def _become_green(self, service: str, revision: str, copy: str) -> None:
        """The copy has the label in the place of this revision, which is stopped."""
        self._az(self._commands.label(service, GREEN, copy))
        self._az(self._commands.deactivate(service, revision))

    def consumes_all(self, service: str, revision: str) -> bool:
        """Does its environment say so?"""
        known = self._find_revision(service, revision)
        return known is not None and _takes_events(known) and not _takes_few(known)

    def serving(self, service: str) -> tuple[str, str | None]:
        """The image of what serves, and the endpoint of its store. Raises PlatformFailed if nothing serves."""
        known = self._find_revision(service, self._service(service).blue or "")
        if known is None:
            raise PlatformFailed(f"{service} serves nothing yet: put it up first")
        return _image(known), variable(known, STORE)

    def over(self, service: str, store: str) -> dict[str, bool]:
        """The revisions that use the store at this endpoint, running or not, and whether each takes events."""
        listed = self._az(self._commands.revisions(service))
        return {each["name"]: _takes_events(each) for each in listed if variable(each, STORE) == store}

    def stop_consuming(self, service: str, revision: str) -> None:
        """Stop it: it would go on taking events, whatever its weight."""
        self.deactivate(service, revision)

    def deactivate(self, service: str, revision: str) -> None:
        """Stop its replicas."""
        known = self._find_revision(service, revision)
        if known is not None and known["properties"]["active"]:
            self._az(self._commands.deactivate(service, revision))

    def try_address(self, label: str) -> Address:
        """An address of the environment for the label, made where it is not there yet."""
        with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
            file.write(route_rules(self._paths, label))
            file.flush()
            there = {each["name"] for each in self._az(self._commands.routes())}
            verb = "update" if label in there else "create"
            made = self._az(self._commands.set_route(verb, label, str(Path(file.name))))
        return Address(f"https://{made['properties']['fqdn']}", {})

    def mark(self) -> object:
        """Now."""
        return self._now()

    def earlier(self) -> object:
        """Some hours ago."""
        return self._now() - EARLIER

    def figures(self, service: str, revision: str, since: object) -> Figures:
        """What the revision did since then, as far as Azure knows by now."""
        assert isinstance(since, datetime)  # noqa: S101 - our own mark
        if self._measured_since != since or time.monotonic() - self._measured_at > FRESH_SECONDS:
            self._measured = self._measure(since)
            self._measured_since, self._measured_at = since, time.monotonic()
        return self._measured.get((service, revision), Figures())

    def _measure(self, since: datetime) -> dict[tuple[str, str], Figures]:
        slowest = {
            revision: (milliseconds / 1_000, recorded)
            for revision, milliseconds, recorded in _rows(self._az(self._commands.query(slowest_requests(since))))
            if milliseconds is not None
        }
        found: dict[tuple[str, str], Figures] = {}

        def requests(service: str) -> Any:
            if service not in self._ids:
                self._service(service)
            return self._az(self._commands.requests(self._ids[service], since, self._now()))

        for service, answer in zip(self._services, self._ask_all(requests, self._services), strict=True):
            for revision, category, total in _totals(answer):
                known = found.get((service, revision), Figures(0, 0, *slowest.get(revision, (None, 0))))
                errors = total if category == "5xx" else 0
                found[service, revision] = known._replace(requests=known.requests + total, errors=known.errors + errors)
        return found

    def handled(self, since: object) -> Handled:
        """What its processes have sent of it since then: each sends once a minute, and it is there a while later."""
        assert isinstance(since, datetime)  # noqa: S101 - our own mark
        found: dict[tuple[str, str], dict[str, Tries]] = {}
        for service, revision, event_type, outcome, events in _rows(
            self._az(self._commands.query(handler_outcomes(since)))
        ):
            if outcome in Tries._fields:
                of_it = found.setdefault((service, revision), {})
                of_it[event_type] = of_it.get(event_type, Tries()).plus(Tries(**{outcome: round(events)}))
        return found

    def backlog(self) -> Backlog:
        """What waits in the subscriptions, and what is dead: in Service Bus, and in the services' own keeping.

        Of the latter it is what came since this driver is there. What waits among the dead letters has been given up
        by its sidecar, and a service that can't keep it can't count it either. What the broker itself gave up is told
        by the queue in which it stands: one that somebody empties meanwhile does not hide another that fills.
        """
        asked = [*self._topics, *self._dead_letter_topics]
        given_up = {}
        waiting = 0
        for topic, listed in zip(asked, self._ask_all(self._subscriptions, asked), strict=True):
            active = sum(each["countDetails"]["activeMessageCount"] for each in listed)
            for each in listed:
                given_up[f"{topic}/{each['name']}/$deadletterqueue"] = each["countDetails"]["deadLetterMessageCount"]
            if topic in self._dead_letter_topics:
                given_up[topic] = active
            else:
                waiting += active
        kept = [row[0] or 0 for row in _rows(self._az(self._commands.query(dead_letters(self._began))))]
        return Backlog(waiting, round(sum(kept)), given_up)

    def _subscriptions(self, topic: str) -> Any:
        return self._az(self._commands.subscriptions(topic))

    def _find_revision(self, service: str, revision: str) -> Any:
        listed = self._az(self._commands.revisions(service))
        return next((each for each in listed if each["name"] == revision), None)

    @staticmethod
    def _ask_all(ask: Callable[[str], Any], names: Sequence[str]) -> list[Any]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(ask, names))


def _revision(listed: Any) -> Revision:
    properties = listed["properties"]
    runs = str(properties.get("runningState", "")).startswith("Running")
    return Revision(
        name=listed["name"],
        image=_image(listed),
        created=properties["createdTime"],
        active=properties["active"],
        ready=properties["active"] and properties.get("healthState") == "Healthy" and runs,
    )


def _image(listed: Any) -> str:
    return str(listed["properties"]["template"]["containers"][0]["image"])


def _takes_events(listed: Any) -> bool:
    return _variable(listed["properties"]["template"], CONSUME) != "0"


def _takes_few(listed: Any) -> bool:
    return _variable(listed["properties"]["template"], CONSUME_MOST) not in {None, "0"}


def _store(listed: Any) -> dict[str, str]:
    endpoint = variable(listed, STORE)
    return {} if endpoint is None else {STORE: endpoint}


def variable(listed: Any, name: str) -> str | None:
    """What a revision's environment says, as `az` lists it; None if it says nothing."""
    return _variable(listed["properties"]["template"], name)


def _variable(template: Any, name: str) -> str | None:
    variables = template["containers"][0].get("env") or []
    return next((each.get("value") for each in variables if each["name"] == name), None)


def _rows(answer: Any) -> list[list[Any]]:
    rows: list[list[Any]] = answer["tables"][0]["rows"]
    return rows


def _totals(answer: Any) -> list[tuple[str, str, int]]:
    found = []
    for metric in answer["value"]:
        for series in metric["timeseries"]:
            named = {each["name"]["value"].lower(): each["value"] for each in series["metadatavalues"]}
            total = sum(point.get("total") or 0 for point in series["data"])
            found.append((named.get("revisionname", ""), named.get("statuscodecategory", ""), round(total)))
    return found
