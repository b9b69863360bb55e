"""What growth is reckoned with: a small season that is sold over the double, and arithmetic to be done by hand."""

import asyncio
import re
from pathlib import Path

import pytest
from tools.cosmos_growth.measure import Growth, Measured, measure
from tools.cosmos_growth.model import (
    PARTITION_BYTES,
    PHYSICAL_RU,
    SEGMENT_ENTRIES,
    Container,
    container_of,
    containers,
    keeping_up,
    log,
    month,
    section_orders,
    stored,
    throughput,
)
from tools.cosmos_growth.state_store import measure_state

from cludale.wiring.stores import CONTAINERS

PAGE = Path("docs/evidence/cosmos-db.md")

OF_TWO_KINDS = Measured(
    orders=10,
    growth={"audit.event": Growth(7.0, 7_000.0), "orders.order": Growth(2.0, 200.0)},
    units={"audit": 40.0, "orders": 60.0},
    log_units=40.0,
    section_units=20.0,
    section=Growth(2.0, 800.0),
    events=(),
)


def test_what_is_stored_has_the_services_own_bytes_and_indexes() -> None:
    assert stored(Growth(1.0, 800.0)) == pytest.approx(1_200)


def test_documents_are_where_their_service_is() -> None:
    kinds = ("audit.event", "orders.order", "provider.charge")
    assert [container_of(kind) for kind in kinds] == ["audit", "orders", "simulated-provider"]
    assert {each.name for each in CONTAINERS} < set(throughput("prod"))


def test_a_container_splits_by_its_gigabytes_and_its_request_units_are_divided() -> None:
    small, large = Container("audit", 10, 40, 20_000), Container("audit", 240, 40, 20_000)
    assert (small.physical, large.physical) == (2, 5)
    assert (small.rate_in_one(40), large.rate_in_one(40)) == (250, 100)
    needed, usd = keeping_up(large)
    assert needed == 5 * PHYSICAL_RU
    assert usd > 0


def test_gigabytes_and_money_grow_with_orders() -> None:
    most = {"audit": 20_000, "orders": 20_000}
    some, more = (containers(OF_TWO_KINDS, orders, most) for orders in (1_000_000, 2_000_000))
    assert [2 * each.gigabytes for each in some] == [each.gigabytes for each in more]
    assert month(more, busy_hours=1).storage == pytest.approx(2 * month(some, busy_hours=1).storage)
    assert month(more, busy_hours=1).throughput == month(some, busy_hours=1).throughput


def test_no_segment_and_no_section_is_full_before_it_is_said_to_be() -> None:
    of = log(OF_TWO_KINDS, 10_000_000)
    assert of.segments == -(-70_000_000 // SEGMENT_ENTRIES)
    assert of.expected_bytes < of.feared_bytes < PARTITION_BYTES
    assert section_orders(OF_TWO_KINDS) == 10_000_000


@pytest.mark.slow
def test_a_small_season_is_measured_and_the_page_has_what_stays_of_an_order() -> None:
    """Sells 20 orders, of which two are declined and one is refunded; most of the time it waits for holds to end."""
    measured = asyncio.run(measure(20, hold_seconds=10))
    assert measured.growth["audit.event"].documents == pytest.approx(8.15)
    assert set(measured.units) == set(throughput("prod"))
    page = PAGE.read_text(encoding="utf-8")
    for kind, growth in measured.growth.items():
        row = re.search(rf"\| `{re.escape(kind)}` \|.*\| ([\d,]+) \|\n", page)
        assert row is not None, f"{kind} is not on the page: python -m tools.cosmos_growth"
        of_one_document = 1.1 * growth.size / growth.documents / 20
        assert float(row[1].replace(",", "")) == pytest.approx(growth.size, rel=0.05, abs=of_one_document), kind
    documents, size = asyncio.run(measure_state(measured.events))
    assert documents >= 1
    assert size > measured.growth["audit.event"].size / measured.growth["audit.event"].documents
