"""The restored store takes the place of the one in use: no event goes from one world to the other."""

from pathlib import Path

import pytest
from tests.operations.release.azure import NEW, ORDER
from tests.operations.restore.world import ENDPOINT, RESTORED, TARGET, World, world

from cludale.services import NAMES as SERVICES
from cludale_operations.release.deployed import NotNow
from cludale_operations.release.driver import PlatformFailed

pytestmark = pytest.mark.slow


def _prepared(there: World) -> None:
    there.drill.prepare(ENDPOINT, TARGET, at=None, noted=None, within_seconds=3_600)


def _is_switched(there: World) -> bool:
    running = there.stores()
    traffic = there.cloud.traffic()
    return set(running.values()) == {RESTORED} and all(
        [
            (weight, label)
            for name, (weight, label) in traffic[service].items()
            if name in running and there.driver(None).over(service, RESTORED)[name]
        ]
        == [(100, "blue")]
        for service in SERVICES
    )


def test_every_service_serves_from_the_restored_store_and_takes_events(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        _prepared(there)
        there.switch().run()
        assert _is_switched(there)
        assert len(there.stores()) == len(SERVICES), "the trial's revisions have ended"


def test_nobody_takes_events_over_the_restored_store_while_anybody_does_over_the_other(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        _prepared(there)
        there.switch().run()
        said = [" ".join(words) for words in there.cloud.said]
        ended = [at for at, line in enumerate(said) if "deactivate" in line and "--c0" in line]
        began = [at for at, line in enumerate(said) if "revision copy" in line and "CLUDALE_CONSUME=1" in line]
        assert len(ended) == len(began) == len(SERVICES)
        assert max(ended) < min(began)


def test_the_service_where_every_order_begins_is_the_last_of_the_old_world(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        _prepared(there)
        there.switch().run()
        ended = [
            words[words.index("--name") + 1]
            for words in there.cloud.said
            if "deactivate" in words and words[words.index("--revision") + 1].endswith("--c0")
        ]
        assert ended[-1] == "orders"
        assert [each for each in ended if each != "orders"] == [each for each in ORDER if each != "orders"]


@pytest.mark.parametrize("cut", ["traffic set", "deactivate", "label swap", "revision copy", "label add"])
def test_a_switch_that_was_cut_off_is_ended_by_another(tmp_path: Path, cut: str) -> None:
    with world(tmp_path) as there:
        _prepared(there)
        there.cloud.change(fail={cut: 3})
        with pytest.raises(PlatformFailed):
            there.switch().run()
        there.switch().run()
        assert _is_switched(there)


def test_nothing_is_switched_to_a_store_that_was_not_prepared(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        before = there.stores()
        with pytest.raises(NotNow, match="prepare"):
            there.switch().run()
        assert there.stores() == before


def test_one_service_that_is_not_ready_over_it_keeps_all_where_they_are(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        _prepared(there)
        accounts = there.cloud.state["accounts"]
        accounts[TARGET]["roles"].remove(["audit", "audit"])
        there.cloud.change(accounts=accounts)
        with pytest.raises(NotNow, match="audit"):
            there.switch().run()
        assert {weight for each in there.cloud.traffic().values() for weight, _ in each.values()} == {100, 0}
        assert all(store == ENDPOINT for name, store in there.stores().items() if name.endswith("--c0"))


def test_the_way_back_is_that_of_a_release(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        _prepared(there)
        there.switch().run()
        there.release(None).roll_back()
        assert set(there.stores().values()) == {ENDPOINT}


def test_the_release_after_it_stays_with_the_restored_store(tmp_path: Path) -> None:
    with world(tmp_path) as there:
        _prepared(there)
        there.switch().run()
        release = there.release(None)
        release.deploy(NEW, "c2")
        assert release.promote().is_good
        assert set(there.stores().values()) == {RESTORED}
