"""The distributed shape, two processes of every service: parts die and are restarted while buyers keep coming."""

import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from random import Random
from time import perf_counter, sleep

import pytest
import uvloop
from tests.patience import eventually
from tests.proof.faults.apart import Apart, Stream, apart
from tests.proof.faults.crowd import Crowd
from tests.proof.faults.experiment import Faults, Figures, Scale
from tests.proof.faults.judging import settled_database
from tests.proof.faults.test_races import OnSale
from tests.proof.faults.victims import HASTE

from cludale.web.http1 import Target
from cludale_proof.checker import Observation

SETTINGS = {
    **HASTE,
    "CLUDALE_HOLD_SECONDS": "10",
    "CLUDALE_PAYMENT_ATTEMPT_SECONDS": "3",
    # Nobody is turned away because it goes slowly: so whoever is turned away is because of what was done to a part.
    "CLUDALE_ADMISSION_SECONDS": "25",
}
SETTLED_SECONDS = 240
"""Past leases, takeovers of what the dead left and the broker's own redelivery."""
SOLD_AGAIN_SECONDS = 180
"""So long only where other tests take the machine: alone it is a second."""
SCALE = Scale.of(os.environ)
CONNECTIONS = SCALE.of_three(4, 4, 8)
"""Buyers at once."""
A_SECOND = None if SCALE is Scale.FULL else 12.0
"""Buyers who come in a second. As many as are served leave parts that start no processor: a turn takes minutes then."""
TWICE = ["all"] if SCALE is Scale.FULL else ["concerts", "payments"]
"""The services of which there are two processes, which are restarted in turn: CI has no time for all of them.

tests/operations/local/test_rotation.py restarts each of them under load, too.
"""
OF_TWICE = "every service" if SCALE is Scale.FULL else ", ".join(TWICE)
PLACES = SCALE.of_three(100, 100, 1_000)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # a dozen restarts in turn


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    """Two processes of every service in TWICE, and seats for all who come to c-1."""
    wanted = [f"{name}=2" for name in TWICE]
    with apart(tmp_path_factory.mktemp("replicas") / "data", replicas=wanted, settings=SETTINGS) as platform:
        platform.concert("c-1", seats=1_000_000)
        yield platform


def all_kept(platform: Apart, crowd: Crowd) -> None:
    """All come to their end, every promise was kept, and no confirmed order is missing. Raises Unkept."""
    crowd.ask_again(platform)
    settled_database(platform.database_url, crowd.observations, seconds=SETTLED_SECONDS)
    missing = [id for id in list(crowd.accepted)[:200] if not _is_there(platform, id)]
    assert not missing, f"confirmed, and gone: {missing}"


def _is_there(platform: Apart, order: str) -> bool:
    return platform.http.get(f"/orders/{order}", headers=platform.organizer).status_code == 200


def _victims(names: Sequence[str], random: Random) -> Sequence[str]:
    """One of each kind of part: every service, every sidecar, the broker, the database, the gateway.

    But for the full scale, one of the services and another's sidecar, which the seed chooses.
    """
    firsts = [name for name in names if not name.endswith(("-2", "-2-sidecar"))]
    if SCALE is Scale.FULL:
        return firsts
    sidecars = [name for name in firsts if name.endswith("-sidecar")]
    services = [name.removesuffix("-sidecar") for name in sidecars]
    service, sidecar = random.sample(services, 2)
    chosen = {service, f"{sidecar}-sidecar"}
    return [name for name in firsts if name in chosen or name not in {*services, *sidecars}]


def sold_more(crowd: Crowd) -> bool:
    """Is somebody confirmed from now on?"""
    before = len(crowd.accepted)
    return eventually(lambda: len(crowd.accepted) > before, seconds=SOLD_AGAIN_SECONDS)


def test_each_part_is_killed_in_turn_and_every_promise_is_kept(
    replicas: Apart, seed: int, faults: Faults, figures: Figures
) -> None:
    platform, crowd = replicas, Crowd(["c-1", "c-2"], seed=seed)
    began = perf_counter()
    platform.concert("c-2", seats=300)
    crowd.rush(platform, 100, connections=CONNECTIONS)
    victims = _victims(platform.names(), Random(seed))
    for name in victims:
        faults.expect(f"killed: {name}")
    with Stream(crowd, platform, connections=CONNECTIONS, a_second=A_SECOND):
        for name in victims:
            platform.kill(name)
            faults.fire(f"killed: {name}")
            assert sold_more(crowd), f"nobody was confirmed after {name} was killed and came back"
    all_kept(platform, crowd)
    write_down(
        figures,
        f"{len(victims)} parts killed in turn, two processes of {OF_TWICE}",
        confirmed=len(crowd.accepted),
        outcome=f"every promise kept, {perf_counter() - began:.0f} s",
    )


def test_a_rolling_restart_under_load_loses_no_request_and_no_event(
    replicas: Apart, seed: int, faults: Faults, figures: Figures
) -> None:
    restarted = "replica restarted in turn"
    faults.expect(restarted)
    platform, crowd = replicas, Crowd(["c-1"], seed=seed + 1)  # others than those of the test before
    crowd.rush(platform, 100, connections=CONNECTIONS)
    with Stream(crowd, platform, connections=CONNECTIONS, a_second=A_SECOND):
        before = {part["name"]: part["pid"] for part in platform.state()["parts"]}
        platform.restart(*TWICE)
        after = {part["name"]: part["pid"] for part in platform.state()["parts"]}
    faults.fire(restarted, sum(before[name] != after[name] for name in before))
    assert not crowd.errors, crowd.errors
    assert set(crowd.statuses) <= {200, 201, 202, 409}, crowd.refusals
    all_kept(platform, crowd)
    write_down(
        figures,
        f"rolling restart of {OF_TWICE} under load",
        confirmed=len(crowd.accepted),
        outcome=f"{sum(crowd.statuses.values()):,} requests, none failed",
    )


def test_of_ten_buyers_for_each_seat_over_two_replicas_exactly_as_many_as_there_are_seats_get_one(
    replicas: Apart, faults: Faults, figures: Figures
) -> None:
    sold_out = "buyer who found all seats taken"
    faults.expect(sold_out)
    seen: list[Observation] = []
    began, free, refused = perf_counter(), PLACES, 0
    replicas.concert("c-3", seats=PLACES)
    while free:  # once, unless a hold ends before it is paid: its seats are for those who come then
        sale = OnSale(Target.of(replicas.url), "c-3", 10 * free)
        uvloop.run(sale.run())
        seen += sale.observations
        refused += sale.statuses[409]
        settled_database(replicas.database_url, seen, seconds=SETTLED_SECONDS)
        standing = replicas.http.get("/concerts/c-3").json()
        assert (standing["soldSeats"] + standing["availableSeats"], standing["heldSeats"]) == (PLACES, 0)
        free = standing["availableSeats"]
    faults.fire(sold_out, refused)
    write_down(
        figures,
        f"{10 * PLACES:,} buyers, {PLACES:,} seats, two replicas of concerts",
        confirmed=PLACES,
        outcome=f"{PLACES:,} sold, {refused:,} refused, {perf_counter() - began:.0f} s",
    )


def test_all_of_it_is_killed_at_once_and_goes_on_where_it_stopped(
    replicas: Apart, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    """The last of this file: it ends the platform that the tests before it share."""
    everything, turns = "everything killed at once", scale.of_three(1, 1, 10)
    faults.expect(everything)
    crowd = Crowd(["c-1"], seed=seed + 2)
    began, folder = perf_counter(), replicas.folder
    for turn in range(turns):
        with (
            nullcontext(replicas)
            if turn == 0
            else apart(folder, replicas=["concerts=2"], settings=SETTINGS) as platform
        ):
            crowd.ask_again(platform)
            with Stream(crowd, platform, connections=CONNECTIONS, a_second=A_SECOND):
                assert sold_more(crowd)
                sleep(1)  # so that the kill meets orders at every stage
                platform.kill_all()
            faults.fire(everything)
    with apart(folder, replicas=["concerts=2"], settings=SETTINGS) as platform:
        all_kept(platform, crowd)
    write_down(
        figures,
        f"everything killed at once under load, {turns} times",
        confirmed=len(crowd.accepted),
        outcome=f"every promise kept, {perf_counter() - began:.0f} s",
    )


def write_down(figures: Figures, ordeal: str, *, confirmed: int, outcome: str) -> None:
    figures.row("apart", ordeal=ordeal, confirmed=confirmed, lost=0, outcome=outcome)
