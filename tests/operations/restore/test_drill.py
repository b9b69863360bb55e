"""A store is restored beside the one in use, gets what a restore leaves behind, is tried, and goes away again."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.operations.release.azure import NAMES, NEW
from tests.operations.restore.world import BACKED_UP_SECONDS, BEGAN, ENDPOINT, RESTORED, SOURCE, TARGET, WHOLE, world

from cludale.services import NAMES as SERVICES
from cludale_operations.release.deployed import NotNow
from cludale_operations.release.driver import PlatformFailed
from cludale_operations.restore.drill import Noted, name_at
from cludale_operations.restore.store_commands import StoreCommands

pytestmark = pytest.mark.slow

HOUR = 3_600.0


def test_all_services_run_over_what_was_restored_without_traffic_or_events(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        measured = there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=HOUR)
        assert measured.found.wrong == []
        assert measured.moment == BEGAN - timedelta(seconds=BACKED_UP_SECONDS)
        tried = {name: store for name, store in there.stores().items() if store == RESTORED}
        assert {name.partition("--")[0] for name in tried} == set(SERVICES)
        for service, traffic in there.cloud.traffic().items():
            assert {name: weight for name, (weight, _) in traffic.items()} == {
                f"{service}--c0": 100,
                next(name for name in tried if name.startswith(f"{service}--")): 0,
            }
            assert not any(there.driver(None).over(service, RESTORED).values()), "none takes events"


def test_it_says_what_would_have_been_lost_and_how_long_each_part_took(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        measured = there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=HOUR)
        assert measured.lost_seconds == BACKED_UP_SECONDS
        assert measured.phases["restore"] >= 15, "it was looked at again until it was made"
        assert measured.seconds == sum(measured.phases.values()) >= measured.phases["restore"]
        assert len(measured.phases) == 5


def test_it_says_what_did_not_come_along(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        there.cloud.change(throughput=1_000)
        accounts = there.cloud.state["accounts"]
        accounts[SOURCE]["regions"].append({"locationName": "North Europe", "failoverPriority": 1})
        there.cloud.change(accounts=accounts)
        measured = there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=HOUR)
        assert measured.lacking == [
            "regions: West Europe, was West Europe over zones, North Europe",
            "fails over by itself: no, was yes",
            *(f"throughput of {each}: up to 1000 RU/s, was up to 20000 RU/s" for each in SERVICES),
        ]


def test_a_drill_leaves_nothing_behind_and_touches_nothing_that_serves(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        before = there.stores()
        there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=HOUR)
        there.drill.end(TARGET)
        assert there.stores() == before
        assert set(there.cloud.state["accounts"]) == {SOURCE}
        assert all(weight == 100 for each in there.cloud.traffic().values() for weight, _ in each.values() if weight)


def test_a_store_that_is_in_use_is_not_taken_away(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        with pytest.raises(NotNow, match="in use"):
            there.drill.end(SOURCE)
        there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=HOUR)
        there.switch().run()
        with pytest.raises(NotNow, match="in use"):
            there.drill.end(TARGET)
        assert set(there.cloud.state["accounts"]) == {SOURCE, TARGET}


def test_another_release_s_green_stays_when_a_restored_store_is_taken_away(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=HOUR)
        there.cloud.release.deploy(NEW, "c1")
        there.drill.end(TARGET)
        assert {store for name, store in there.stores().items() if name.endswith("--c1")} == {ENDPOINT}


def test_a_moment_after_the_log_was_noted_is_waited_for_and_has_its_head(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        noted = Noted.at(BEGAN, WHOLE)
        measured = there.drill.prepare(ENDPOINT, TARGET, at=None, noted=noted, within_seconds=HOUR)
        assert measured.moment >= noted.moment
        assert measured.phases["waiting for the backup"] >= BACKED_UP_SECONDS
        assert there.asked_for == [(measured.moment, WHOLE.head)]


def test_a_moment_before_it_is_not_held_against_it(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        at = BEGAN - timedelta(hours=2)
        measured = there.drill.prepare(ENDPOINT, TARGET, at=at, noted=Noted.at(BEGAN, WHOLE), within_seconds=HOUR)
        assert measured.moment == at
        assert there.asked_for == [(at, None)]


def test_what_was_cut_off_after_the_restore_is_taken_up(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        there.cloud.change(fail={"deployment group create": 3})
        with pytest.raises(PlatformFailed):
            there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=HOUR)
        measured = there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=HOUR)
        assert measured.found.wrong == []
        assert sum(words[1] == "restore" for words in there.cloud.said) == 1


def test_a_restore_whose_answer_is_lost_goes_on(tmp_path: Path) -> None:
    with world(tmp_path) as there:

        def broken_off(words: list[str]) -> object:
            there.cloud.az(words)
            raise PlatformFailed("no end in 60 s")

        preparing = there.preparing_by(broken_off)
        account = preparing.restore(preparing.in_use(ENDPOINT), TARGET, BEGAN - timedelta(hours=1), HOUR)
        assert (account.name, account.state) == (TARGET, "Succeeded")


def test_a_moment_that_can_not_be_had_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        with pytest.raises(NotNow, match="not come yet"):
            there.drill.prepare(ENDPOINT, TARGET, at=BEGAN + timedelta(hours=9), noted=None, within_seconds=60)
        with pytest.raises(PlatformFailed, match="restorable window"):
            there.drill.prepare(ENDPOINT, TARGET, at=BEGAN - timedelta(days=9), noted=None, within_seconds=60)
        assert set(there.cloud.state["accounts"]) == {SOURCE}


def test_backups_that_have_stopped_are_not_waited_for_for_ever(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        accounts = there.cloud.state["accounts"]
        accounts[SOURCE]["backup"] -= 9_000
        there.cloud.change(accounts=accounts)
        with pytest.raises(PlatformFailed, match="can be restored up to"):
            there.drill.prepare(ENDPOINT, TARGET, at=BEGAN, noted=None, within_seconds=HOUR)


def test_a_store_that_is_not_backed_up_continuously_or_not_of_this_group_is_not_restored(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        with pytest.raises(PlatformFailed, match="no account"):
            there.drill.prepare(RESTORED, TARGET, at=None, noted=None, within_seconds=HOUR)
        accounts = there.cloud.state["accounts"]
        accounts[SOURCE]["policy"] = "Periodic"
        there.cloud.change(accounts=accounts)
        with pytest.raises(PlatformFailed, match="continuously"):
            there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=HOUR)


def test_an_account_that_was_deleted_is_restored_to_a_moment_before(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        there.cloud.az(StoreCommands(NAMES.resource_group).delete(SOURCE))
        with pytest.raises(NotNow, match="was deleted at 2027-06-05T19:29:20Z"):
            there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=HOUR)
        with pytest.raises(NotNow, match="was deleted"):
            there.drill.prepare(ENDPOINT, TARGET, at=BEGAN, noted=None, within_seconds=HOUR)
        at = BEGAN - timedelta(seconds=BACKED_UP_SECONDS + 5)
        measured = there.drill.prepare(ENDPOINT, TARGET, at=at, noted=None, within_seconds=HOUR)
        assert (measured.moment, measured.lost_seconds) == (at, 5)
        there.switch().run()
        assert set(there.stores().values()) == {RESTORED}


def test_while_a_release_is_under_way_none_is_tried(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        there.cloud.release.deploy(NEW, "c1")
        for service in SERVICES:
            there.cloud.driver.weigh(service, {f"{service}--c0": 95, f"{service}--c1": 5})
        with pytest.raises(NotNow, match="under way"):
            there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=HOUR)


def test_without_the_roles_that_a_restore_leaves_behind_no_service_starts_over_it(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        source = there.preparing.in_use(ENDPOINT)
        there.preparing.restore(source, TARGET, BEGAN - timedelta(hours=1), HOUR)
        with pytest.raises(PlatformFailed, match="not ready"):
            there.release(RESTORED).deploy(there.cloud.driver.serving("orders")[0], "d1")


@pytest.mark.parametrize(
    ("target", "location", "hours", "why"),
    [
        (SOURCE, "West Europe", 1, "already exists"),
        (TARGET, "North Europe", 1, "does not exist in this location"),
        (TARGET, "West Europe", 24 * 8, "restorable window"),
        ("Cludale_Restored", "West Europe", 1, "no valid name"),
    ],
)
def test_the_double_refuses_what_azure_refuses(
    tmp_path: Path, target: str, location: str, hours: int, why: str
) -> None:
    moment = BEGAN - timedelta(hours=hours)
    words = StoreCommands(NAMES.resource_group).restore(SOURCE, location, target, moment, is_closed=True)
    with world(tmp_path) as there, pytest.raises(PlatformFailed, match=why):
        there.cloud.az(words)


def test_the_double_takes_no_roles_for_an_account_that_is_still_made(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        commands = StoreCommands(NAMES.resource_group)
        moment = BEGAN - timedelta(hours=1)
        there.cloud.az(commands.restore(SOURCE, "West Europe", TARGET, moment, is_closed=True))
        account = there.preparing.in_use(ENDPOINT)._replace(name=TARGET)
        with pytest.raises(PlatformFailed, match="in progress"):
            there.preparing.take_in(account)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("cludale-prod-abcdef1234567", "cludale-prod-abcdef1234567-r0605193000"),
        ("cludale-prod-abcdef1234567-r0101000000", "cludale-prod-abcdef1234567-r0605193000"),
        ("c" * 44, "c" * 32 + "-r0605193000"),
    ],
)
def test_a_restored_account_is_called_after_the_first_one_and_the_time(source: str, name: str) -> None:
    assert name_at(source, BEGAN) == name
    assert len(name) <= 44
