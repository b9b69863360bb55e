"""What the platform costs on Azure: quantities out of the templates and the catalogue, times a table of prices.

Quantities that only a deployment can show (gigabytes of logs, RU of an order) are assumptions, named as such.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tools.infra.bicep.evaluate import Deployment, with_parameters

from cludale.services.catalogue import HEARS

PRICES = Path("tools/azure_costs/prices.json")
HOURS = 730
SECONDS = HOURS * 3600
OF_AN_ORDER = (
    "SeatsReserved", "OrderPlaced", "TicketReserved", "PaymentCompleted", "SeatsSold", "OrderPaid", "NotificationSent",
)  # fmt: skip
"""The events of an order that is bought."""
REQUESTS_OF_AN_ORDER = 4
"""Assumed: the list, the concert, the order, and looking whether it is paid."""
STANDARD_CREDITS = 1_000
"""Message operations a second that a Standard namespace allows before it throttles."""


class Assumed(NamedTuple):
    """What no template says."""

    orders: int
    """In the month."""
    busy_hours: float
    """In which replicas and throughput are at their most."""
    ru_an_order: float
    kb_an_order: float
    log_gb: float


class Line(NamedTuple):
    """One part of the bill, a month."""

    what: str
    usd: float
    how: str


def messages_of_an_order() -> int:
    """Operations at the broker: each event is sent once and taken by everyone who hears it."""
    return sum(1 + sum(event in heard for heard in HEARS.values()) for event in OF_AN_ORDER)


def bill(environment: str, assumed: Assumed) -> Sequence[Line]:
    """The lines of a month's bill."""
    table = json.loads(PRICES.read_text(encoding="utf-8"))
    usd = {name: float(each["usd"]) for name, each in table["prices"].items()}
    free = table["free_a_month"]
    made = with_parameters(
        Path("infra/parameters") / f"{environment}.bicepparam", {"image": "r.azurecr.io/cludale@sha256:" + "0" * 64}
    )
    return [
        *_apps(made, assumed, usd, free),
        _bus(made, assumed, usd),
        *_store(made, assumed, usd),
        _registry(made, usd),
        Line("logs and traces", max(0.0, assumed.log_gb - free["log_gb"]) * usd["log_gb"], f"{assumed.log_gb:g} GB"),
        *_endpoints(made, usd),
    ]


def _apps(made: Deployment, assumed: Assumed, usd: Mapping[str, float], free: Mapping[str, Any]) -> Sequence[Line]:
    idle = busy = memory = 0.0
    busy_seconds = assumed.busy_hours * 3600
    fewest = most = 0
    for app in made.of("Microsoft.App/containerApps"):
        template = app.body["properties"]["template"]
        (container,) = template["containers"]
        cpu, gib = float(container["resources"]["cpu"]), float(container["resources"]["memory"].removesuffix("Gi"))
        low, high = template["scale"]["minReplicas"], template["scale"]["maxReplicas"]
        fewest, most = fewest + low, most + high
        busy += cpu * high * busy_seconds
        idle += cpu * low * (SECONDS - busy_seconds)
        memory += gib * (high * busy_seconds + low * (SECONDS - busy_seconds))
    requests = assumed.orders * REQUESTS_OF_AN_ORDER / 1e6
    paid_idle = max(0.0, idle - free["vcpu_seconds"])
    paid_memory = max(0.0, memory - free["gib_seconds"])
    # A replica with a sidecar that polls a broker is seldom idle in Azure's sense (under 0.01 cores and 1,000 B/s), so
    # the active price is what to expect, the idle one the least that it can be.
    at_most = (paid_idle + busy) * usd["vcpu_second_active"] + paid_memory * usd["gib_second"]
    at_least = paid_idle * usd["vcpu_second_idle"] + busy * usd["vcpu_second_active"] + paid_memory * usd["gib_second"]
    paid_requests = max(0.0, requests - free["requests_millions"]) * usd["million_requests"]
    how = f"{fewest} replicas, {most} for {assumed.busy_hours:g} h; {at_least:,.0f} if all counted as idle between"
    return [Line("container apps", at_most, how), Line("requests", paid_requests, f"{requests:.2f} million")]


def _bus(made: Deployment, assumed: Assumed, usd: Mapping[str, float]) -> Line:
    (namespace,) = made.of("Microsoft.ServiceBus/namespaces")
    operations = assumed.orders * messages_of_an_order() / 1e6
    if namespace.body["sku"]["name"] == "Premium":
        return Line(
            "Service Bus Premium", usd["bus_premium_unit_month"], f"one unit, {operations:.1f} million operations"
        )
    if operations > 13:
        raise ValueError("past the 13 million operations that are included, the table lacks a price")
    return Line(
        "Service Bus Standard", usd["bus_standard_month"], f"{operations:.1f} of 13 million operations included"
    )


def _store(made: Deployment, assumed: Assumed, usd: Mapping[str, float]) -> Sequence[Line]:
    (account,) = made.of("Microsoft.DocumentDB/databaseAccounts")
    gb = assumed.orders * assumed.kb_an_order / 1e6
    regions = len(account.body["properties"]["locations"])
    keeps_long = "30" in account.body["properties"]["backupPolicy"]["continuousModeProperties"]["tier"]
    kept = Line("Cosmos DB storage", gb * usd["store_gb_month"] * regions, f"{gb:.1f} GB with its indexes")
    backup = Line("Cosmos DB backup", gb * usd["backup_gb_month"] * regions if keeps_long else 0.0, f"{gb:.1f} GB")
    if account.body["properties"]["capabilities"]:
        million = assumed.orders * assumed.ru_an_order / 1e6
        used = Line("Cosmos DB serverless", million * usd["million_ru_serverless"], f"{million:.1f} million RU")
        return [used, kept, backup]
    most = sum(
        each.body["properties"]["options"]["autoscaleSettings"]["maxThroughput"]
        for each in made.of("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers")
    )
    hours = (most / 10 * (HOURS - assumed.busy_hours) + most * assumed.busy_hours) / 100
    price = hours * usd["hundred_ru_hour"] * usd["autoscale_factor"] * regions
    how = f"{most // 10:,} RU/s, {most:,} for {assumed.busy_hours:g} h"
    return [Line("Cosmos DB autoscale", price, how), kept, backup]


def _registry(made: Deployment, usd: Mapping[str, float]) -> Line:
    (registry,) = made.of("Microsoft.ContainerRegistry/registries")
    tier = registry.body["sku"]["name"]
    return Line(f"registry {tier}", usd[f"registry_{tier.lower()}_day"] * HOURS / 24, "a month of days")


def _endpoints(made: Deployment, usd: Mapping[str, float]) -> Sequence[Line]:
    count = len(made.of("Microsoft.Network/privateEndpoints"))
    return (
        [Line("private endpoints", count * HOURS * usd["private_endpoint_hour"], f"{count} of them")] if count else []
    )
