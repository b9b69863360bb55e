"""What years of seasons come to on Cosmos DB: gigabytes, partitions, orders a second, money. Computed.

What the service itself adds to a document and its indexes can't be measured without an account: named as assumed.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tools.cosmos_growth.measure import Growth, Measured
from tools.infra.bicep.evaluate import with_parameters

DOCUMENT_BYTES = 200
"""What the service adds to a document. Assumed, as in tools/azure_costs."""
INDEX_FACTOR = 1.2
"""Indexes on top of that: a fifth. Assumed, as there."""
ALLOWANCE = 2.5
"""The most that is to be feared: so many bytes are stored for one of a body. A full partition is reckoned with this."""
SEGMENT_ENTRIES = 4_000_000
"""As `Policies.audit_segment_entries`."""
PARTITION_BYTES = 20 * 10**9
"""What a logical partition holds at most (learn.microsoft.com/azure/cosmos-db/concepts-limits)."""
PHYSICAL_BYTES = 50 * 10**9
PHYSICAL_RU = 10_000
"""What a physical partition holds, and does in a second, at most (the same page). The request units that a container
may have are divided evenly among its physical partitions, by default
(learn.microsoft.com/azure/cosmos-db/nosql/distribute-throughput-across-partitions)."""


HOURS = 730
USD = {"store_gb_month": 0.25, "backup_gb_month": 0.20, "hundred_ru_hour": 0.008}
"""List prices of one region, found in 2026 at c3x.dev/resources/azure/azurerm_cosmosdb_account; recheck each at its
meter. Seven days of continuous backup cost nothing, thirty do."""
AUTOSCALE_FACTOR = 1.5
"""Autoscale is charged at so many times the rate (cloudnerchuko.in, 2025-06)."""


class Container(NamedTuple):
    """One container after some orders."""

    name: str
    gigabytes: float
    units: float
    """Request units an order."""
    most: int
    """Request units a second that it may have, by the templates."""

    @property
    def physical(self) -> int:
        """How many physical partitions it has: for its gigabytes, and for its request units."""
        return max(math.ceil(self.gigabytes * 10**9 / PHYSICAL_BYTES), math.ceil(self.most / PHYSICAL_RU), 1)

    @property
    def rate(self) -> float:
        """Orders a second by request units, if they spread over its partitions."""
        return self.most / self.units

    def rate_in_one(self, units: float) -> float:
        """Orders a second where an order takes so many request units in one logical partition."""
        return self.most / self.physical / units


def stored(growth: Growth) -> float:
    """Bytes that are stored of an order, with what is assumed."""
    return (growth.size + growth.documents * DOCUMENT_BYTES) * INDEX_FACTOR


def container_of(kind: str) -> str:
    """Where a kind of document is: `audit.event`, `orders.order`."""
    owner = kind.partition(".")[0]
    return "simulated-provider" if owner == "provider" else owner


def throughput(environment: str) -> Mapping[str, int]:
    """The most request units a second of each container, by the templates."""
    made = with_parameters(
        Path("infra/parameters") / f"{environment}.bicepparam", {"image": "r.azurecr.io/cludale@sha256:" + "0" * 64}
    )
    return {
        each.name: each.body["properties"]["options"]["autoscaleSettings"]["maxThroughput"]
        for each in made.of("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers")
    }


def containers(measured: Measured, orders: int, most: Mapping[str, int]) -> Sequence[Container]:
    """All of them after so many orders."""
    kept = dict.fromkeys(measured.units, 0.0)
    for kind, growth in measured.growth.items():
        kept[container_of(kind)] += stored(growth) * orders / 10**9
    return [Container(name, kept[name], measured.units[name], most[name]) for name in most]


class Log(NamedTuple):
    """The audit log after some orders."""

    segments: int
    expected_bytes: float
    """Of a full segment, by what is assumed."""
    feared_bytes: float
    """Of one with ALLOWANCE."""
    orders_in_one: float
    """After how many orders it would have been over in one partition, with ALLOWANCE."""


def log(measured: Measured, orders: int) -> Log:
    """Its segments."""
    entries = measured.growth["audit.event"]
    return Log(
        math.ceil(entries.documents * orders / SEGMENT_ENTRIES),
        SEGMENT_ENTRIES / entries.documents * stored(entries),
        SEGMENT_ENTRIES / entries.documents * entries.size * ALLOWANCE,
        PARTITION_BYTES / (entries.size * ALLOWANCE),
    )


def section_orders(measured: Measured) -> float:
    """After how many orders, paid or not, a section's partition is full, with ALLOWANCE."""
    return PARTITION_BYTES / (measured.section.size * ALLOWANCE)


def state_orders(measured: Measured, entry_bytes: float) -> float:
    """After how many orders a log of entries of so many bytes is over in one partition, with ALLOWANCE."""
    return PARTITION_BYTES / (entry_bytes * measured.growth["audit.event"].documents * ALLOWANCE)


def keeping_up(there: Container) -> tuple[int, float]:
    """The most request units a second with which each physical partition has as many as one can do, and what that
    costs more in a month than what the templates say."""
    needed = there.physical * PHYSICAL_RU
    more = month([there._replace(most=needed)], busy_hours=0).throughput
    return needed, more - month([there], busy_hours=0).throughput


class Month(NamedTuple):
    """What a month costs, in USD."""

    gigabytes: float
    storage: float
    backup: float
    throughput: float

    @property
    def usd(self) -> float:
        """All of it."""
        return self.storage + self.backup + self.throughput


def month(there: Sequence[Container], *, busy_hours: float) -> Month:
    """A month with these containers, one region, autoscale: at their most for so many hours, else at a tenth."""
    gigabytes = sum(each.gigabytes for each in there)
    most = sum(each.most for each in there)
    hundreds = (most / 10 * (HOURS - busy_hours) + most * busy_hours) / 100
    return Month(
        gigabytes,
        gigabytes * USD["store_gb_month"],
        gigabytes * USD["backup_gb_month"],
        hundreds * USD["hundred_ru_hour"] * AUTOSCALE_FACTOR,
    )
