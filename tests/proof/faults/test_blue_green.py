"""Two versions of every service side by side, and the traffic moved between them under load, by `cludale release`.

The version after has a changed event. What is decided and done is what is decided and done in Azure; the gateway and
processes stand where Container Apps stands there.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import asyncpg
import httpx
import pytest
from msgspec import structs
from tests.parts import complete
from tests.proof.faults.apart import Apart, Stream, apart
from tests.proof.faults.crowd import Crowd
from tests.proof.faults.experiment import Figures, Scale
from tests.proof.faults.test_apart import SCALE, SETTINGS, all_kept
from tests.proof.faults.versions import (
    ANSWERS_500,
    BREAKS_AT_EVENTS,
    CHANGED_EVENT,
    CHANGED_VERSION,
    IS_SLOW,
    Beside,
    Patch,
    version,
)
from tests.served import KEY

from cludale.services.catalogue import CATALOGUE, HEARS
from cludale.services.orders.events import OrderPaid
from cludale.web.trust import trust_named_in
from cludale_operations.gateway.control import Control
from cludale_operations.release.judgement import Bounds
from cludale_operations.release.local import LocalDriver
from cludale_operations.release.order import hearers_first, publishers
from cludale_operations.release.prometheus import picked, samples, total
from cludale_operations.release.release import Pace, Release
from cludale_operations.release.trial import tried

PACE = Pace(
    canary_events=50,
    canary_seconds=30,
    steps=(5, 50, 100),
    soak_seconds=4,
    watch_seconds=4,
    keep_seconds=1,
    check_seconds=2,
    start_seconds=120,
)
NO_CANARY = structs.replace(PACE, canary_seconds=0)
"""What is bad about answers is not waited for while events come."""
BOUNDS = Bounds(p99_seconds=3.5, times_blue=1.5, waiting_events=100_000)
ORDER = hearers_first(HEARS, publishers(CATALOGUE), ["OrderPaid"])
CONNECTIONS = 4
A_SECOND = None if SCALE is Scale.FULL else 20.0
"""Buyers who come in a second: at each step enough of them for a judgement."""

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(900)]  # two versions of everything are started


class BlueGreen:
    """A platform that runs, and releases of it."""

    def __init__(self, platform: Apart, folder: Path) -> None:
        self.platform = platform
        self.told: list[str] = []
        self.control = Control(Path(platform.state()["gateway"]["routes"]), platform.folder)
        self.beside = Beside(platform, folder / "green", dict(SETTINGS))
        self.driver = LocalDriver(self.control, platform.url, KEY, self.beside)
        self.goes_by(PACE)

    def goes_by(self, pace: Pace) -> None:
        """What is released from now on is released at this pace."""
        self.release = Release(self.driver, ORDER, pace=pace, bounds=BOUNDS, report=self.told.append)

    def weights(self) -> dict[str, dict[str, int]]:
        return {
            service: {share.revision: share.weight for share in each.traffic if share.weight}
            for service, each in self.driver.deployed().items()
        }

    def consuming(self, suffix: str) -> dict[str, bool]:
        """Does each service's revision take events?"""
        return {service: bool(answer.json()["consume"]) for service, answer in self._ask(suffix, "/-/consume")}

    def delivered(self, suffix: str) -> dict[str, int]:
        """How many events each service's revision was given."""
        found = {}
        for service, answer in self._ask(suffix, "/metrics"):
            ((_, count),) = picked(samples(answer.text), "cludale_events_delivered_total")
            found[service] = round(count)
        return found

    def asked_for_seats(self, suffix: str) -> int:
        """How many calls for seats came to this revision of concerts: each for one order, or for all of one moment."""
        found = samples(dict(self._ask(suffix, "/metrics"))["concerts"].text)
        routes = ("/concerts/{concert_id}/reserve", "/concerts/-/holds/apart")
        return round(sum(total(found, "cludale_http_requests_total", route=route) for route in routes))

    def _ask(self, suffix: str, path: str) -> Iterator[tuple[str, httpx.Response]]:
        for service, routes in self.control.routes().services.items():
            for backend in routes.backends:
                if backend.revision == (f"{service}--{suffix}" if suffix != "main" else "main"):
                    url, trust = backend.url.partition("?")[0], trust_named_in(backend.url)
                    assert trust is not None
                    yield service, httpx.get(url + path, headers=self.platform.organizer, timeout=10, verify=trust)


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlueGreen]:
    """The first version runs; the releases of each test come after those of the one before."""
    folder = tmp_path_factory.mktemp("blue-green")
    with apart(folder / "data", replicas=["all=1"], settings=SETTINGS) as platform:
        for concert in ("c-1", "c-2"):
            platform.concert(concert, seats=1_000_000)
        there = BlueGreen(platform, folder)
        try:
            yield there
        finally:
            there.beside.close()
            there.driver.close()


def everywhere(suffix: str) -> dict[str, dict[str, int]]:
    return {service: {f"{service}--{suffix}": 100} for service in ORDER}


async def _paid_by_version(url: str) -> Counter[tuple[str, bool]]:
    """How many OrderPaid audit has of each version, with and without what the version after says more."""
    connection = await asyncpg.connect(url, timeout=10, command_timeout=60)
    try:
        rows = await connection.fetch("SELECT body FROM audit.audit_event WHERE type = 'OrderPaid'")
    finally:
        await connection.close()
    events = [json.loads(row["body"])["event"] for row in rows]
    return Counter((event["dataversion"], "channel" in event["data"]) for event in events)


class Bad(NamedTuple):
    """A version that is to be taken back, and the load at which that shows."""

    after: str
    patches: tuple[Patch, ...]
    why: str
    connections: int
    pace: Pace


BROKE = "payments: green's handler broke"
BAD = (
    Bad("fails at every order", ANSWERS_500, "answers are errors", CONNECTIONS, NO_CANARY),
    # So many buyers wait at the slow one for so long that it gives enough answers to be judged by.
    Bad(
        "takes 4 s for every order",
        IS_SLOW,
        "answers come only within",
        24,
        structs.replace(NO_CANARY, soak_seconds=15),
    ),
    Bad("payments breaks at each second order", BREAKS_AT_EVENTS, BROKE, CONNECTIONS, PACE),
)
TRIED = BAD if SCALE is Scale.FULL else BAD[2:]
"""CI has time for one, which only events show; tests/operations/release judges the others by their answers."""


def test_bad_versions_are_taken_back_by_themselves(it: BlueGreen, tmp_path: Path, seed: int, figures: Figures) -> None:
    crowd = Crowd(["c-1", "c-2"], seed=seed)
    rows: list[dict[str, str | int]] = []
    for number, bad in enumerate(TRIED):
        it.goes_by(bad.pace)
        before = Counter(came=crowd.came, accepted=len(crowd.accepted), errors=_errors(crowd))
        with Stream(crowd, it.platform, connections=bad.connections, a_second=A_SECOND):
            it.release.deploy(str(version(tmp_path / f"bad-{number}", *bad.patches)), f"bad{number}")
            told, buried = len(it.told), it.driver.backlog().dead_letters
            ended = it.release.promote()
            assert any(bad.why in reason for reason in ended.reasons), "\n".join(it.told)
            said = next(reason for reason in ended.reasons if BROKE in reason) if bad.why is BROKE else bad.why
            if bad.why is BROKE:
                _met_a_few_events_only(ended.reasons, it.told[told:], f"bad{number}")
                assert it.driver.backlog().dead_letters == buried
            assert it.weights() == {service: {"main": 100} for service in ORDER}
            assert it.beside.running() == set()
            assert it.consuming("main") == dict.fromkeys(ORDER, True)
        rows.append(
            {
                "after": bad.after,
                "buyers": crowd.came - before["came"],
                "accepted": len(crowd.accepted) - before["accepted"],
                "errors": _errors(crowd) - before["errors"],
                "outcome": f"taken back by itself: {said}; every promise kept",
            }
        )
    all_kept(it.platform, crowd)
    for row in rows:
        figures.row("blue green", **row)


def _met_a_few_events_only(reasons: Sequence[str], told: Sequence[str], suffix: str) -> None:
    matches = (re.match(BROKE + r" at (\d+) and refused 0 of (\d+) TicketReserved", reason) for reason in reasons)
    (found,) = (match for match in matches if match is not None)
    assert 3 <= int(found[1]) <= int(found[2]) <= PACE.canary_events
    assert not [line for line in told if re.search(rf"[1-9]\d* % to \w+--{suffix}", line)], "it had no traffic yet"


def test_a_changed_version_takes_over_under_load_and_nobody_notices(
    it: BlueGreen, tmp_path: Path, seed: int, figures: Figures
) -> None:
    crowd = Crowd(["c-1", "c-2"], seed=seed + 1)  # others than those of the test before
    it.goes_by(PACE)
    with Stream(crowd, it.platform, connections=CONNECTIONS, a_second=A_SECOND):
        it.release.deploy(str(version(tmp_path / "after", *CHANGED_EVENT)), "changed")
        assert it.consuming("changed") == dict.fromkeys(ORDER, False)
        assert it.weights() == {service: {"main": 100} for service in ORDER}
        assert it.delivered("changed") == dict.fromkeys(ORDER, 0)
        wrong = tried(it.driver.try_address("green"), KEY, buyers=20, seats=10, report=it.told.append)
        assert wrong == []
        assert it.asked_for_seats("changed"), "green orders hold their seats at green concerts"
        assert it.delivered("changed") == dict.fromkeys(ORDER, 0), "events were published all the while"
        ended = it.release.promote()
        assert ended.is_good, ended.reasons
        assert it.consuming("changed") == dict.fromkeys(ORDER, True)
        assert all(it.delivered("changed").values())
        assert it.weights() == everywhere("changed")
        ended = it.release.watch()
        assert ended.is_good, ended.reasons
        assert it.consuming("main") == dict.fromkeys(ORDER, False)
        it.release.retire()
        assert it.weights() == everywhere("changed")
    failed = {status: count for status, count in crowd.statuses.items() if status >= 500}
    assert not failed, failed
    assert not crowd.errors, crowd.errors
    all_kept(it.platform, crowd)
    paid = complete(_paid_by_version(it.platform.database_url))
    assert paid[OrderPaid.data_version, False] > 0
    assert paid[CHANGED_VERSION, True] > 0
    figures.row(
        "blue green",
        after="OrderPaid is changed",
        buyers=crowd.came,
        accepted=len(crowd.accepted),
        errors=sum(failed.values()),
        outcome=f"serves all; every promise kept; OrderPaid {paid[OrderPaid.data_version, False]:,} times as before, "
        f"{paid[CHANGED_VERSION, True]:,} times changed",
    )


def _errors(crowd: Crowd) -> int:
    return sum(count for status, count in crowd.statuses.items() if status >= 500)
