"""How many of what, and where."""

import pytest

from cludale.local.deployment import UnusableReplicas, replicas_from
from cludale.local.free_ports import free_ports


def test_a_services_own_number_counts_more_than_that_of_all() -> None:
    assert replicas_from(["concerts=3", "all=2"]) == {
        "concerts": 3,
        "orders": 2,
        "payments": 2,
        "notifications": 2,
        "audit": 2,
    }


def test_without_a_wish_there_is_one_of_each() -> None:
    assert set(replicas_from([]).values()) == {1}


@pytest.mark.parametrize(
    "wish", ["concerts", "concerts=", "concerts=0", "concerts=17", "concerts=-1", "ticket=2", "=2"]
)
def test_nonsense_is_refused_with_what_would_do(wish: str) -> None:
    with pytest.raises(UnusableReplicas, match=r"wanted is|these are: all, concerts"):
        replicas_from([wish])


def test_ports_are_different_and_not_those_of_outgoing_connections() -> None:
    ports = free_ports(200)
    assert len(set(ports)) == 200
    assert max(ports) < 32_768
