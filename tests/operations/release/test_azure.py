"""Releases to Container Apps, decided for real, over a double of `az` that keeps state. See `az` for what it is not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.operations.release.azure import BUILT_ANEW, DOUBLE, NAMES, NEW, OLD, ORDER, Azure, azure

from cludale_operations.release.azure import Az
from cludale_operations.release.azure_commands import REPLICA, Commands
from cludale_operations.release.deployed import NotNow, live_parameters
from cludale_operations.release.driver import PlatformFailed
from cludale_operations.release.judgement import Figures
from cludale_operations.release.naming import ON, suffix_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"

pytestmark = pytest.mark.slow  # each release starts the double of az some dozens of times


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Azure]:
    with azure(tmp_path) as there:
        yield there


def everywhere(**revisions: tuple[int, str | None]) -> dict[str, dict[str, tuple[int, str | None]]]:
    return {
        service: {f"{service}--{suffix.replace('_', '-')}": share for suffix, share in revisions.items()}
        for service in ORDER
    }


def without_latest(cloud: Azure) -> dict[str, dict[str, tuple[int, str | None]]]:
    """The double keeps the first deployment's "latest" at 0."""
    return {
        service: {name: share for name, share in each.items() if share != (0, None)}
        for service, each in cloud.traffic().items()
    }


def consuming(cloud: Azure) -> list[str]:
    """What the newest revision of orders is told of events; once, or Azure decides which of them counts."""
    env = cloud.state["apps"]["orders"]["revisions"][-1]["env"]
    return [each["value"] for each in env if each["name"] == "CLUDALE_CONSUME"]


def test_a_good_version_gets_everything_step_by_step_and_the_old_one_is_kept_and_then_stopped(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    assert without_latest(cloud) == everywhere(c0=(100, "blue"), c1=(0, "green"))
    assert cloud.state["apps"]["orders"]["revisions"][-1]["image"] == NEW
    assert consuming(cloud) == ["0"]

    assert cloud.release.promote().is_good
    assert without_latest(cloud) == everywhere(c1_on=(100, "green"), c0=(0, "blue"))
    assert cloud.state["apps"]["orders"]["revisions"][-1]["image"] == NEW
    assert consuming(cloud) == ["1"]
    assert cloud.running() == {f"{service}--{each}" for service in ORDER for each in ("c0", "c1-on")}

    assert cloud.release.watch().is_good
    assert cloud.running() == {f"{service}--c1-on" for service in ORDER}
    cloud.release.retire()
    assert without_latest(cloud) == everywhere(c1_on=(100, "blue"))
    asked = [words[words.index("--revision-weight") + 1 :] for words in cloud.said if "traffic" in words]
    orders = [[each for each in words if each.startswith("orders--")] for words in asked if "orders" in words]
    assert orders[1:] == [
        ["orders--c0=95", "orders--c1-on=5"],
        ["orders--c0=50", "orders--c1-on=50"],
        ["orders--c0=0", "orders--c1-on=100"],
    ]


def test_nobody_waits_for_a_version_that_was_stopped_when_it_was_to_take_no_more_events(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    assert cloud.release.promote().is_good
    assert cloud.release.watch().is_good
    before = cloud.time
    cloud.release.retire()
    assert cloud.time == before
    assert cloud.told[-1] == "nothing of the version before runs any more"


def test_the_next_version_goes_the_same_way(cloud: Azure) -> None:
    for image, suffix in ((NEW, "c1"), (OLD, "c2")):
        cloud.release.deploy(image, suffix)
        assert cloud.release.promote().is_good
        assert cloud.release.watch().is_good
        cloud.release.retire()
    assert without_latest(cloud) == everywhere(c2_on=(100, "blue"))


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"errors": 0.2}, "answers are errors"),
        ({"p99": 5_000.0}, "come only within 5 s, blue's within 0.04 s"),
        (
            {"handlers": 0.5},
            "orders: green's handler broke at 25 and refused 0 of 50 OrderPaid; blue's 0 and 0 of 1000",
        ),
    ],
)
def test_a_bad_version_is_taken_back_by_itself(cloud: Azure, bad: dict[str, float], why: str) -> None:
    cloud.release.deploy(NEW, "c1")
    cloud.change(bad={NEW: bad})
    ended = cloud.release.promote()
    assert not ended.is_good
    assert any(why in reason for reason in ended.reasons)
    assert without_latest(cloud) == everywhere(c0=(100, "blue"))
    assert cloud.running() == {f"{service}--c0" for service in ORDER}
    assert all(share <= 5 or share >= 95 for share in _weights_of(cloud, "orders--c1-on"))


def variables(cloud: Azure, revision: str) -> dict[str, str]:
    of_all = (each for app in cloud.state["apps"].values() for each in app["revisions"])
    (found,) = (each for each in of_all if each["name"] == revision)
    return {each["name"]: each["value"] for each in found["env"] if each["name"].startswith("CLUDALE_CONSUME")}


def scale(cloud: Azure, revision: str) -> list[int]:
    of_all = (each for app in cloud.state["apps"].values() for each in app["revisions"])
    (found,) = (each.get("scale", [2, 10]) for each in of_all if each["name"] == revision)
    return list(found)


def test_before_any_traffic_moves_one_small_green_takes_a_few_events(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    assert cloud.release.canary().is_good
    assert variables(cloud, "orders--c1-1") == {"CLUDALE_CONSUME": "1", "CLUDALE_CONSUME_MOST": "50"}
    assert variables(cloud, "orders--c1-on") == {"CLUDALE_CONSUME": "1", "CLUDALE_CONSUME_MOST": "0"}
    assert scale(cloud, "orders--c1-1") == [1, 1]
    assert scale(cloud, "orders--c1-on") == scale(cloud, "orders--c1") == [2, 10]
    assert without_latest(cloud) == everywhere(c1_on=(0, "green"), c0=(100, "blue"))


def test_a_green_whose_handlers_break_never_gets_traffic_nor_all_events(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    cloud.change(bad={NEW: {"handlers": 0.1}})
    ended = cloud.release.promote()
    assert len(ended.reasons) == len(ORDER)
    assert cloud.running() == {f"{service}--c0" for service in ORDER}
    assert without_latest(cloud) == everywhere(c0=(100, "blue"))
    assert not any(each["name"].endswith("-on") for each in cloud.state["apps"]["orders"]["revisions"])
    assert _weights_of(cloud, "orders--c1-1") == [0]


def test_the_release_after_a_canary_that_failed_has_all_its_replicas_and_takes_no_events_at_first(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    cloud.change(bad={NEW: {"handlers": 0.5}})
    assert not cloud.release.promote().is_good
    cloud.release.deploy(BUILT_ANEW, "c2")
    assert scale(cloud, "orders--c2") == [2, 10]
    assert variables(cloud, "orders--c2") == {"CLUDALE_CONSUME": "0", "CLUDALE_CONSUME_MOST": "0"}
    assert cloud.release.promote().is_good
    assert scale(cloud, "orders--c2-on") == [2, 10]


def test_where_too_few_events_come_that_is_said_and_the_release_goes_on(cloud: Azure) -> None:
    cloud.change(events=7)
    cloud.release.deploy(NEW, "c1")
    before = cloud.time
    assert cloud.release.canary().is_good
    assert "orders: 7 events in 60 s, too few to judge by: 20 would do" in cloud.told
    assert before + 60 <= cloud.time < before + 80


def test_a_canary_that_was_cut_off_is_begun_again_and_one_that_has_passed_is_not(cloud: Azure) -> None:
    class Cut(Exception):
        pass

    def cut(_: float) -> None:
        if "orders--c1-1" in cloud.running():
            raise Cut

    cloud.release.deploy(NEW, "c1")
    cloud.at = cut
    with pytest.raises(Cut):
        cloud.release.canary()
    cloud.at = lambda _: None
    assert cloud.release.canary().is_good
    assert without_latest(cloud) == everywhere(c1_on=(0, "green"), c0=(100, "blue"))
    told = len(cloud.told)
    assert cloud.release.promote().is_good
    assert not any("events at most" in line for line in cloud.told[told:])


def test_handlers_that_turn_bad_later_take_green_back_too(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    assert cloud.release.canary().is_good
    cloud.change(bad={NEW: {"handlers": 0.5}})
    ended = cloud.release.promote()
    assert any("orders: green's handler broke at 500" in reason for reason in ended.reasons)
    assert max(_weights_of(cloud, "orders--c1-on")) == 5


def test_green_takes_events_with_its_own_image_whatever_was_deployed_to_the_app_meanwhile(cloud: Azure) -> None:
    """As an infrastructure deployment does, which puts blue's image into the apps' template."""
    cloud.release.deploy(NEW, "c1")
    apps = cloud.state["apps"]
    for app in apps.values():
        app["template"] = {"image": OLD, "env": app["revisions"][0]["env"]}
    cloud.change(apps=apps)
    assert cloud.release.promote().is_good
    for app in cloud.state["apps"].values():
        assert [each["image"] for each in app["revisions"]] == [OLD, NEW, NEW, NEW]


@pytest.mark.parametrize("service", ORDER)
def test_a_replica_tells_its_revision(service: str) -> None:
    version = suffix_of(COMMIT, NEW)
    for suffix in (version, version + ON):
        found = re.match(REPLICA, f"{service}--{suffix}-6d4c9b7f85-x2k9p-1")
        assert found is not None
        assert found[1] == f"{service}--{suffix}"


def test_what_was_slow_before_is_no_reason_to_go_back_even_when_green_has_it_all(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    cloud.change(bad={OLD: {"p99": 1_200.0}, NEW: {"p99": 1_300.0}})
    assert cloud.release.promote().is_good
    assert cloud.of(ORDER).watch().is_good, "by a process that has not seen blue with requests"


def test_a_green_that_answers_little_is_judged_by_all_steps_together(
    cloud: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve answers a step are too few to tell anything; they are slow ones."""
    marks: list[int] = []

    def mark() -> int:
        marks.append(len(marks))
        return marks[-1]

    def figures(_service: str, revision: str, since: int) -> Figures:
        steps = max(1, marks[-1] - since)
        return Figures(12 * steps, 0, 5.0, 12 * steps) if revision.endswith("-on") else Figures(1_000, 0, 0.04, 1_000)

    cloud.release.deploy(NEW, "c1")
    assert cloud.release.canary().is_good
    monkeypatch.setattr(cloud.driver, "mark", mark)
    monkeypatch.setattr(cloud.driver, "handled", lambda _: {})
    monkeypatch.setattr(cloud.driver, "figures", figures)
    ended = cloud.release.promote()
    assert any("come only within 5 s" in reason for reason in ended.reasons)
    assert max(_weights_of(cloud, "orders--c1-on")) == 50


def _weights_of(cloud: Azure, revision: str) -> list[int]:
    return [int(word.partition("=")[2]) for words in cloud.said for word in words if word.startswith(f"{revision}=")]


def test_the_errors_of_green_are_found_among_the_counts_of_many_revisions(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    cloud.change(crowd=10, bad={NEW: {"errors": 0.2}})
    ended = cloud.release.promote()
    assert any("answers are errors" in reason for reason in ended.reasons)


def test_a_percentile_of_a_few_recorded_times_is_no_reason(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    cloud.change(bad={NEW: {"p99": 5_000.0, "recorded": 6}})
    assert cloud.release.promote().is_good


@pytest.mark.parametrize("moment", [10, 20], ids=["in the middle", "at the end"])
def test_a_green_that_is_unready_for_a_moment_is_looked_at_again(cloud: Azure, moment: float) -> None:
    cloud.release.deploy(NEW, "c1")
    assert cloud.release.promote().is_good
    unready = cloud.time + moment
    cloud.at = lambda time: cloud.change(bad={NEW: {"ready": False}} if time == unready else {})
    assert cloud.release.watch().is_good


def test_a_green_that_stays_unready_at_the_end_of_a_step_does_not_get_the_next(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    assert cloud.release.promote().is_good
    ends = cloud.time + 20
    cloud.at = lambda time: cloud.change(bad={NEW: {"ready": False}} if time >= ends else {})
    ended = cloud.release.watch()
    assert "orders: orders--c1-on is not ready" in ended.reasons
    assert cloud.time == ends + 10


def test_events_that_cannot_be_delivered_take_it_back_too(cloud: Azure) -> None:
    """Counters are sent as what came to them: a second one is no larger than the first."""
    before = cloud.state["buried"]
    cloud.release.deploy(NEW, "c1")
    late = [["2100-01-01T00:00:00Z", 1], ["2100-01-01T00:00:15Z", 1]]
    cloud.at = lambda time: cloud.change(buried=[*before, *(late if time > 30 else [])])
    ended = cloud.release.promote()
    assert ended.reasons == ("2 more events could not be delivered at all",)
    assert cloud.running() == {f"{service}--c0" for service in ORDER}
    asked = {word for words in cloud.said for word in words if "cludale_dead_letters" in word}
    assert len(asked) == 1, "always the same time: what slid out of it would hide what came"


def test_events_that_wait_among_the_dead_letters_take_it_back_too(cloud: Azure) -> None:
    """A service that fails at each event fails at those as well, and so counts none."""
    cloud.release.deploy(NEW, "c1")
    cloud.at = lambda time: cloud.change(unread={"orders-dead-letters": 1 if time > 30 else 0})
    ended = cloud.release.promote()
    assert ended.reasons == ("orders-dead-letters: 1 more events wait there",)


@pytest.mark.parametrize("moment", [10, 20], ids=["in the middle", "at the end"])
def test_a_dead_letter_that_is_tried_again_with_success_is_no_reason(cloud: Azure, moment: float) -> None:
    cloud.release.deploy(NEW, "c1")
    assert cloud.release.promote().is_good
    seen = cloud.time + moment
    cloud.at = lambda time: cloud.change(unread={"audit-dead-letters": 1 if time == seen else 0})
    assert cloud.release.watch().is_good


def test_a_dead_letter_that_still_waits_after_the_end_of_a_step_is_one(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    assert cloud.release.promote().is_good
    ends = cloud.time + 20
    cloud.at = lambda time: cloud.change(unread={"audit-dead-letters": 1 if time >= ends else 0})
    assert cloud.release.watch().reasons == ("audit-dead-letters: 1 more events wait there",)
    assert cloud.time == ends + 10


def test_old_dead_letters_that_are_taken_up_meanwhile_do_not_hide_new_ones(cloud: Azure) -> None:
    cloud.change(unread={"payments-dead-letters": 7})
    cloud.release.deploy(NEW, "c1")
    cloud.at = lambda time: cloud.change(unread={"orders-dead-letters": 2} if time > 30 else {})
    ended = cloud.release.promote()
    assert ended.reasons == ("orders-dead-letters: 2 more events wait there",)


@pytest.mark.parametrize("queue", ["order-events/audit", "orders-dead-letters/orders"])
def test_what_the_broker_itself_gave_up_takes_it_back_too_and_is_named_by_its_queue(cloud: Azure, queue: str) -> None:
    """A process that dies over an event neither answers nor counts: after some deliveries the broker puts it aside."""
    cloud.change(aside={"payment-events/audit": 3})
    cloud.release.deploy(NEW, "c1")
    cloud.at = lambda time: cloud.change(aside={queue: 1} if time > 30 else {"payment-events/audit": 3})
    ended = cloud.release.promote()
    assert ended.reasons == (f"{queue}/$deadletterqueue: 1 more events wait there",)


def test_dead_letters_from_before_the_release_are_no_reason(cloud: Azure) -> None:
    cloud.change(unread={"payments-dead-letters": 7}, aside={"order-events/audit": 2})
    cloud.release.deploy(NEW, "c1")
    assert cloud.release.promote().is_good
    assert cloud.release.watch().is_good


def test_a_version_that_turns_bad_while_it_is_watched_is_taken_back(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    assert cloud.release.promote().is_good
    cloud.change(bad={NEW: {"ready": False}})
    ended = cloud.release.watch()
    assert "orders: orders--c1-on is not ready" in ended.reasons
    assert without_latest(cloud) == everywhere(c0=(100, "blue"))


def test_a_version_that_does_not_start_gets_nothing_and_is_stopped(cloud: Azure) -> None:
    cloud.change(bad={NEW: {"ready": False}})
    with pytest.raises(PlatformFailed, match="not ready after 30 s"):
        cloud.release.deploy(NEW, "c1")
    assert cloud.running() == {f"{service}--c0" for service in ORDER}
    assert without_latest(cloud) == everywhere(c0=(100, "blue"))


def test_after_the_end_there_is_a_way_back_as_long_as_the_old_version_is_known(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    assert cloud.release.promote().is_good
    assert cloud.release.watch().is_good
    cloud.release.roll_back()
    assert cloud.running() == {f"{service}--c0" for service in ORDER}
    assert without_latest(cloud) == everywhere(c0=(100, "blue"))
    cloud.release.deploy(NEW, "c3")
    assert cloud.release.promote().is_good


def test_there_is_no_way_back_to_a_version_that_was_taken_back(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    cloud.change(bad={NEW: {"errors": 0.2}})
    assert not cloud.release.promote().is_good
    with pytest.raises(NotNow, match="nothing to go back to"):
        cloud.release.roll_back()
    assert without_latest(cloud) == everywhere(c0=(100, "blue"))


def test_what_fails_once_is_asked_again_and_what_fails_on_is_taken_back(cloud: Azure) -> None:
    cloud.change(fail={"containerapp update --image": 1, "label add": 1})
    cloud.release.deploy(NEW, "c1")
    cloud.change(fail={"orders--c1-on=50": 99})
    with pytest.raises(PlatformFailed, match="as the test wants"):
        cloud.release.promote()
    assert without_latest(cloud) == everywhere(c0=(100, "blue"))
    assert cloud.running() == {f"{service}--c0" for service in ORDER}


def test_a_promotion_that_was_cut_off_goes_on_where_it_was(cloud: Azure) -> None:
    class Cut(Exception):
        pass

    def cut(time: float) -> None:
        if time > 25:
            raise Cut

    cloud.release.deploy(NEW, "c1")
    cloud.at = cut
    with pytest.raises(Cut):
        cloud.release.promote()
    cloud.at = lambda _: None
    with pytest.raises(NotNow, match="a release is under way"):
        cloud.release.deploy(OLD, "c2")
    assert cloud.release.promote().is_good
    assert without_latest(cloud) == everywhere(c1_on=(100, "green"), c0=(0, "blue"))
    weights = _weights_of(cloud, "orders--c1-on")
    assert weights == sorted(weights)


def test_a_release_promotes_and_takes_back_its_own_version_only(cloud: Azure) -> None:
    """Another run puts its green in the place of this one's, which waits for an approval."""
    mine, others = (cloud.of(ORDER, version=suffix_of(COMMIT, image)) for image in (NEW, BUILT_ANEW))
    mine.deploy(NEW, suffix_of(COMMIT, NEW))
    mine.check()
    others.deploy(BUILT_ANEW, suffix_of(COMMIT, BUILT_ANEW))
    for ask in (mine.check, mine.promote, mine.watch, mine.roll_back):
        with pytest.raises(NotNow, match="another release has taken its place"):
            ask()
    assert not mine.is_unfinished()
    assert others.is_unfinished()
    assert others.promote().is_good
    assert others.watch().is_good
    assert without_latest(cloud) == everywhere(c01234567_2222222_on=(100, "blue"))


def test_a_green_that_is_replaced_during_its_promotion_is_not_promoted(cloud: Azure) -> None:
    """As long as it has no traffic, another release may."""
    mine = cloud.of(ORDER, version=suffix_of(COMMIT, NEW))
    mine.deploy(NEW, suffix_of(COMMIT, NEW))
    replaced: list[float] = []

    def replace(time: float) -> None:
        if not replaced:
            replaced.append(time)
            cloud.of(ORDER).deploy(BUILT_ANEW, suffix_of(COMMIT, BUILT_ANEW))

    cloud.at = replace
    cloud.change(start=12)
    with pytest.raises(NotNow, match="another release has taken its place"):
        mine.promote()
    assert replaced
    assert {share for name, share in cloud.traffic()["orders"].items() if "2222222" in name} == {(0, "green")}


def test_deploying_twice_is_deploying_once(cloud: Azure) -> None:
    cloud.release.deploy(NEW, "c1")
    cloud.release.deploy(NEW, "c1")
    assert [len(app["revisions"]) for app in cloud.state["apps"].values()] == [2] * len(cloud.state["apps"])
    with pytest.raises(PlatformFailed, match="with another image"):
        cloud.release.deploy(OLD, "c1")


def test_a_commit_that_is_built_anew_gets_revisions_of_its_own(cloud: Azure) -> None:
    for image in (NEW, BUILT_ANEW):
        cloud.release.deploy(image, suffix_of(COMMIT, image))
    revisions = cloud.state["apps"]["orders"]["revisions"]
    assert [each["image"] for each in revisions] == [OLD, NEW, BUILT_ANEW]
    assert cloud.running() == {f"{service}--{each}" for service in ORDER for each in ("c0", "c01234567-2222222")}


def test_there_is_nothing_to_promote_or_to_go_back_to_at_first(cloud: Azure) -> None:
    for ask in (cloud.release.promote, cloud.release.watch):
        with pytest.raises(NotNow, match="no green version"):
            ask()
    with pytest.raises(NotNow, match="nothing to go back to"):
        cloud.release.roll_back()


def test_green_is_tried_at_an_address_of_its_own(cloud: Azure) -> None:
    for _ in range(2):
        address = cloud.driver.try_address("green")
        assert address.url == "https://green.env.region.azurecontainerapps.io"
    (rules,) = cloud.state["routes"].values()
    assert {(each["targets"][0]["containerApp"], each["targets"][0]["label"]) for each in rules["rules"]} == {
        (service, "green") for service in ORDER
    }
    verbs = [words[3] for words in cloud.said if "http-route-config" in words]
    assert verbs == ["list", "create", "list", "update"]


def test_the_double_is_a_program_too(cloud: Azure) -> None:
    shown = Az(str(DOUBLE), pause_seconds=0)(Commands(NAMES).show("orders"))
    assert shown["properties"]["latestRevisionName"] == "orders--c0"
    with pytest.raises(PlatformFailed, match="does not exist in group"):
        Az(str(DOUBLE), pause_seconds=0)(Commands(NAMES).show("nothing"))


def test_what_runs_is_told_to_the_templates_with_both_labels(cloud: Azure) -> None:
    """Before a promotion and after the end of a release: in between, green has traffic."""
    blue = {"image": OLD, "revisionSuffix": "c0", "liveLabel": "blue"}
    assert live_parameters(cloud.driver.deployed()) == {**blue, "blueSuffix": "", "greenSuffix": ""}
    cloud.release.deploy(NEW, "c1")
    assert live_parameters(cloud.driver.deployed()) == {**blue, "blueSuffix": "c0", "greenSuffix": "c1"}
    assert cloud.release.promote().is_good
    with pytest.raises(NotNow, match="end the release that is under way"):
        live_parameters(cloud.driver.deployed())
    assert cloud.release.watch().is_good
    assert live_parameters(cloud.driver.deployed()) == {
        "image": NEW,
        "revisionSuffix": "c1-on",
        "blueSuffix": "c1-on",
        "greenSuffix": "c0",
        "liveLabel": "blue",
    }


def test_a_plan_does_nothing(cloud: Azure) -> None:
    before = cloud.state
    lines = cloud.release.planned(NEW, "c1")
    assert f"orders: start {NEW} as …--c1, no traffic, no events" in lines
    assert json.dumps(cloud.state["apps"]) == json.dumps(before["apps"])


def test_az_that_is_not_there_is_said_to_be(cloud: Azure) -> None:
    with pytest.raises(PlatformFailed, match="can't be run"):
        Az("/nowhere/az")(["account", "show"])
