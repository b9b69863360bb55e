"""Ids, stamps and the layout: small things that have to be right before anything is stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cludale.adapters.cosmos import documents
from cludale.adapters.cosmos.stamps import Stamps, as_text, from_text
from cludale.ports.records import Kind
from cludale.services import NAMES
from cludale.services.catalogue import KINDS
from cludale.wiring.stores import CONTAINERS, SHARED_CONTAINER

NOTE = Kind("orders", "note")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_an_id_is_safe_and_comes_back(text: str) -> None:
    escaped = documents.escaped(text)
    assert not set(escaped) & set("/\\?# ")
    assert escaped.isascii()
    assert documents.unescaped(escaped) == text


def test_an_id_that_is_too_long_is_refused() -> None:
    assert documents.record_id(NOTE, "x" * 1_000)
    with pytest.raises(ValueError, match="1023"):
        documents.record_id(NOTE, "é" * 400)


def test_stamps_rise_when_the_clock_stands_still_or_goes_back() -> None:
    times = iter([50, 50, 20, 51])
    stamps = Stamps(7, lambda: next(times))
    taken = stamps.take(3) + stamps.take(1) + stamps.take(1) + stamps.take(1)
    assert taken == sorted(set(taken))
    assert [as_text(each) for each in taken] == sorted(as_text(each) for each in taken)
    assert [from_text(as_text(each)) for each in taken] == taken


def test_a_stamp_follows_what_another_replica_was_seen_to_have_made() -> None:
    (ahead,) = Stamps(1, lambda: 1_000).take(1)
    behind = Stamps(2, lambda: 10)
    behind.seen(ahead)
    assert behind.take(1)[0] > ahead


def test_two_replicas_make_no_stamp_twice() -> None:
    one, other = Stamps(1, lambda: 5), Stamps(2, lambda: 5)
    assert not set(one.take(100)) & set(other.take(100))


def test_there_is_a_container_for_each_service_and_what_it_sorts_by_is_indexed() -> None:
    services = {each.name: each for each in CONTAINERS}
    assert list(services) == list(NAMES)
    indexed = {name: {field for kind in KINDS if kind.service == name for field in kind.indexed} for name in services}
    for name, container in services.items():
        assert set(container.sorted_by) <= indexed[name]
        if "dueAt" in indexed[name]:
            assert "dueAt" in container.sorted_by
    assert set(SHARED_CONTAINER.sorted_by) == {f for each in services.values() for f in each.sorted_by}


def test_a_containers_resource_is_what_the_service_takes() -> None:
    resource = SHARED_CONTAINER.resource()
    assert resource["partitionKey"] == {"paths": ["/pk"], "kind": "Hash", "version": 2}
    policy = resource["indexingPolicy"]
    assert {"path": "/*"} in policy["excludedPaths"]
    assert [{"path": "/kind", "order": "ascending"}, {"path": "/came", "order": "ascending"}] in policy[
        "compositeIndexes"
    ]
    assert "defaultTtl" not in resource
