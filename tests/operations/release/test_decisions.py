"""Order, judgement and steps: decided from values, without any platform."""

import pytest

from cludale.services import NAMES
from cludale.services.catalogue import CATALOGUE, HEARS
from cludale_operations.gateway.site import Site
from cludale_operations.release import actions
from cludale_operations.release.actions import Consume, Deactivate, Swap, Weigh
from cludale_operations.release.deployed import Deployed, DeployedService, NotNow, Revision, Share, live_parameters
from cludale_operations.release.handlers import EventBounds, Tries, of_handlers
from cludale_operations.release.judgement import (
    Backlog,
    Bounds,
    Figures,
    as_it_was,
    judged,
    lasting,
    of_events,
    of_requests,
    with_enough,
)
from cludale_operations.release.order import hearers_first, publishers
from cludale_operations.release.prometheus import quantile, samples, total

BOUNDS = Bounds()


def deployed(blue: int, green: int, *, newer: str = "b") -> dict[str, DeployedService]:
    """One service with `a` blue and `b` green."""
    times = {"a": "1", "b": "1"} | {newer: "2"}
    revisions = {each: Revision(each, "image", times[each], active=True, ready=True) for each in ("a", "b")}
    return {"orders": DeployedService(revisions, (Share("a", blue, "blue"), Share("b", green, "green")))}


def test_who_only_hears_goes_first_and_everyone_has_a_turn() -> None:
    order = hearers_first(HEARS, publishers(CATALOGUE))
    assert order[:2] == ["audit", "notifications"]
    assert sorted(order) == sorted(HEARS)


@pytest.mark.parametrize("changed", sorted(CATALOGUE.types))
def test_whoever_hears_the_changed_event_goes_before_who_publishes_it(changed: str) -> None:
    publishes = publishers(CATALOGUE)
    order = hearers_first(HEARS, publishes, [changed])
    (publisher,) = (service for service, events in publishes.items() if changed in events)
    for service, heard in HEARS.items():
        if changed in heard and service != publisher:
            assert order.index(service) < order.index(publisher)


def test_publishers_and_paths_are_those_of_the_manifests(site: Site) -> None:
    assert set(publishers(CATALOGUE)) <= set(HEARS)
    assert {name: f"/{segment}" for segment, name in site.owners.items()} == {name: f"/{name}" for name in NAMES}


def test_few_requests_tell_nothing_but_many_errors_do() -> None:
    assert of_requests("orders", Figures(3, 2), Figures(), BOUNDS) == []
    assert of_requests("orders", Figures(6, 5), Figures(), BOUNDS) != []
    assert of_requests("orders", Figures(1_000, 10), Figures(), BOUNDS) == []
    assert of_requests("orders", Figures(1_000, 11), Figures(), BOUNDS) != []


def test_green_is_not_blamed_for_what_blue_does_as_well() -> None:
    assert of_requests("orders", Figures(1_000, 50), Figures(1_000, 48), BOUNDS) == []
    assert of_requests("orders", Figures(1_000, 60), Figures(1_000, 48), BOUNDS) != []
    assert of_requests("orders", Figures(100, 0, 2.5, 100), Figures(100, 0, 2.5, 100), BOUNDS) == []
    assert of_requests("orders", Figures(100, 0, 5.0, 100), Figures(100, 0, 2.5, 100), BOUNDS) != []
    assert of_requests("orders", Figures(100, 0, float("inf"), 100), Figures(100, 0, None, 100), BOUNDS) != []
    assert of_requests("orders", Figures(100, 0, 0.5, 100), Figures(100, 0, 0.01, 100), BOUNDS) == []


def test_green_with_everything_is_compared_with_what_blue_was() -> None:
    green, blue = Figures(1_000, 0, 1.3, 1_000), Figures(0, 0, None, 0)
    assert of_requests("orders", green, blue, BOUNDS) != []
    assert of_requests("orders", green, as_it_was(blue, 1.2, BOUNDS), BOUNDS) == []
    assert of_requests("orders", green, as_it_was(Figures(2, 0, 0.1, 2), 1.2, BOUNDS), BOUNDS) == []
    assert as_it_was(Figures(100, 0, 0.1, 100), 1.2, BOUNDS) == Figures(100, 0, 0.1, 100)
    assert as_it_was(Figures(2, 0, 9.9, 2), None, BOUNDS) == Figures(2, 0, None, 2), "one slow answer forgives nothing"


def test_a_percentile_of_few_times_tells_nothing_however_many_the_answers() -> None:
    """One trace in ten may be recorded, and requests that wait on purpose are not timed."""
    assert of_requests("orders", Figures(1_000, 0, 5.0, 19), Figures(), BOUNDS) == []
    assert of_requests("orders", Figures(1_000, 0, 5.0, 20), Figures(), BOUNDS) != []


def test_what_tells_too_little_is_judged_by_a_longer_while() -> None:
    longer = Figures(200, 9, 0.7, 30)
    assert with_enough(Figures(4, 2, 0.1, 1), longer, BOUNDS) == longer
    assert with_enough(Figures(100, 2, 0.1, 1), longer, BOUNDS) == Figures(100, 2, 0.7, 30)
    assert with_enough(Figures(100, 2, 0.1, 20), longer, BOUNDS) == Figures(100, 2, 0.1, 20)


def test_events_that_pile_up_or_die_are_a_reason() -> None:
    assert of_events(Backlog(5_000, 3), Backlog(0, 3), BOUNDS) == []
    assert of_events(Backlog(5_001, 3), Backlog(0, 3), BOUNDS) != []
    assert of_events(Backlog(9_000, 3), Backlog(6_000, 3), BOUNDS) == []
    assert of_events(Backlog(0, 4), Backlog(0, 3), BOUNDS) == ["1 more events could not be delivered at all"]
    assert judged(["orders"], {}, Backlog(), Backlog(), BOUNDS) == []


def test_dead_letters_that_wait_have_a_bound_of_their_own_topic_by_topic() -> None:
    before = Backlog(0, 0, {"orders-dead-letters": 4, "audit-dead-letters": 0})
    assert of_events(before, before, BOUNDS) == []
    assert of_events(Backlog(0, 0, {"orders-dead-letters": 3}), before, BOUNDS) == []
    now = Backlog(0, 0, {"orders-dead-letters": 0, "audit-dead-letters": 1})
    assert of_events(now, before, BOUNDS) == ["audit-dead-letters: 1 more events wait there"]
    assert of_events(now, before, Bounds(given_up=1)) == []


def test_of_the_dead_letters_that_wait_those_count_that_waited_at_the_look_before() -> None:
    look_before = Backlog(5, 1, {"orders-dead-letters": 1, "audit-dead-letters": 3})
    now = Backlog(7, 2, {"orders-dead-letters": 2, "audit-dead-letters": 1, "payments-dead-letters": 4})
    assert lasting(now, look_before) == Backlog(
        7, 2, {"orders-dead-letters": 1, "audit-dead-letters": 1, "payments-dead-letters": 0}
    )


EVENTS = EventBounds()


def test_handlers_that_break_or_refuse_are_a_reason_where_blues_do_not() -> None:
    good = {"OrderPaid": Tries(handled=1_000)}
    assert of_handlers("audit", {"OrderPaid": Tries(handled=48, failed=1, refused=1)}, good, EVENTS) == []
    assert of_handlers("audit", {"OrderPaid": Tries(handled=47, failed=2, refused=1)}, good, EVENTS) == [
        "audit: green's handler broke at 2 and refused 1 of 50 OrderPaid; blue's 0 and 0 of 1000"
    ]
    as_bad = {"OrderPaid": Tries(handled=900, failed=100)}
    assert of_handlers("audit", {"OrderPaid": Tries(handled=45, failed=5)}, as_bad, EVENTS) == []


def test_handlers_are_judged_type_by_type_and_all_together() -> None:
    good = {"A": Tries(handled=1_000), "B": Tries(handled=10)}
    (reason,) = of_handlers("audit", {"A": Tries(handled=400), "B": Tries(failed=3)}, good, EVENTS)
    assert "of 3 B" in reason
    few_of_each = {name: Tries(handled=1, failed=1) for name in "ABC"}
    (reason,) = of_handlers("audit", few_of_each, good, EVENTS)
    assert "broke at 3 and refused 0 of 6 events" in reason


def test_events_that_come_too_early_are_a_reason_only_where_green_handles_none_at_all() -> None:
    """Audit keeps an event until its cause came: of those of one type, any share may come too early."""
    blue = {"A": Tries(handled=15, retried=15)}
    assert of_handlers("audit", {"A": Tries(handled=1, retried=49)}, blue, EVENTS) == []
    (reason,) = of_handlers("audit", {"A": Tries(retried=20)}, blue, EVENTS)
    assert reason == "audit: to green's handler all of 20 A came too early; blue's handled 15 of 30"
    assert of_handlers("audit", {"A": Tries(retried=19)}, blue, EVENTS) == [], "too few to tell"
    assert of_handlers("audit", {"A": Tries(retried=50)}, {"A": Tries(handled=19)}, EVENTS) == [], "blue's, too"
    assert of_handlers("audit", {"A": Tries(retried=50)}, {"A": Tries(handled=14, retried=16)}, EVENTS) == []


def test_a_release_under_way_goes_back_to_blue_and_green_is_stopped() -> None:
    assert actions.to_roll_back(deployed(75, 25), ["orders"]) == [
        Weigh("orders", {"a": 100, "b": 0}),
        Consume("orders", "b", wanted=False),
        Deactivate("orders", "b"),
    ]


def test_a_release_that_has_ended_goes_back_to_what_was_kept() -> None:
    assert actions.to_roll_back(deployed(100, 0, newer="a"), ["orders"]) == [
        Consume("orders", "b", wanted=True),
        Weigh("orders", {"b": 100, "a": 0}),
        Swap("orders"),
        Consume("orders", "a", wanted=False),
        Deactivate("orders", "a"),
    ]


def labelled(**greens: str) -> Deployed:
    """Services whose blue is c1; `running` or `stopped`, a hyphen, and the suffix of its green; none without."""
    found = {}
    for service, said in greens.items():
        state, _, suffix = said.partition("-")
        names = [f"{service}--c1", *([f"{service}--{suffix}"] if suffix else [])]
        revisions = {
            name: Revision(name, "image", str(at), active=not at or state == "running", ready=True)
            for at, name in enumerate(names)
        }
        shares = [Share(name, 0 if at else 100, ("blue", "green")[at]) for at, name in enumerate(names)]
        found[service] = DeployedService(revisions, tuple(shares))
    return found


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_a_deployment_of_the_infrastructure_leaves_green_its_label(state: str) -> None:
    assert live_parameters(labelled(orders=f"{state}-c2", audit=f"{state}-c2")) == {
        "image": "image",
        "revisionSuffix": "c1",
        "blueSuffix": "c1",
        "greenSuffix": "c2",
        "liveLabel": "blue",
    }


def test_what_was_stopped_of_several_versions_holds_up_no_deployment() -> None:
    assert live_parameters(labelled(orders="stopped-c2-on", audit="stopped-c2"))["greenSuffix"] == ""
    assert live_parameters(labelled(orders="none", audit="none"))["greenSuffix"] == ""
    with pytest.raises(NotNow, match="different versions as green"):
        live_parameters(labelled(orders="running-c2-on", audit="running-c2"))


def test_while_green_has_traffic_there_are_no_parameters_that_leave_it_so() -> None:
    with pytest.raises(NotNow, match="different versions"):
        live_parameters(deployed(75, 25))


def test_an_older_green_is_not_promoted_and_a_newer_one_not_retired() -> None:
    with pytest.raises(NotNow, match="older than what serves"):
        actions.to_weigh(deployed(100, 0, newer="a"), ["orders"], 5)
    with pytest.raises(NotNow, match="newer than what serves"):
        actions.to_retire(deployed(100, 0), ["orders"])
    with pytest.raises(NotNow, match="only 50 %"):
        actions.to_finish(deployed(50, 50), ["orders"])


def test_a_quantile_is_the_bound_that_so_many_are_within() -> None:
    infinite = float("inf")
    assert quantile({0.1: 98, 0.5: 99, infinite: 100}, 0.99) == 0.5
    assert quantile({0.1: 98, 0.5: 98, infinite: 100}, 0.99) == infinite
    assert quantile({infinite: 0}, 0.99) is None


def test_metrics_are_read_by_name_and_labels() -> None:
    found = samples('# TYPE a_total counter\na_total{x="1",y="2"} 3\na_total{x="1",y="3"} 4\na_total{x="2",y="2"} 5\n')
    assert total(found, "a_total", x="1") == 7
    assert total(found, "a_total") == 12
