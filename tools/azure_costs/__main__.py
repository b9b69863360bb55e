"""What a month on Azure costs, in whole euros from … to …: `python -m tools.azure_costs`, from the project's folder.

Quantities come out of the templates. Prices are public ones in USD of some region (prices.json); that, the euro's rate
and whether Azure counts a replica as idle make the range. Nothing here knows your bill.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tools.infra.bicep.evaluate import Deployment, with_parameters

from cludale.services.catalogue import HEARS

PRICES = Path("tools/azure_costs/prices.json")
EURO = (0.8, 1.0)
"""Of a dollar, at least and at most."""
HOURS = 730
OF_AN_ORDER = (
    "SeatsReserved", "OrderPlaced", "TicketReserved", "PaymentCompleted", "SeatsSold", "OrderPaid", "NotificationSent",
    "TicketIssued",
)  # fmt: skip
"""The events of an order that is bought."""
STANDARD_CREDITS = 1_000
"""Message operations a second that a Standard namespace allows before it throttles."""
RU_AN_ORDER = 189.0
"""From docs/evidence/cosmos-db.md: a season of 10 million orders, with declined and refunded ones."""
GAUGES = 25
"""How many values a process sends with each minute's metrics though nothing happens."""
KB_A_VALUE = 1.04
"""As stored: 864,000 values (30 of each of 5 processes, every 15 s) were some 0.9 GB a day."""


class Scene(NamedTuple):
    """A month of an environment."""

    environment: str
    orders: int = 0
    busy_hours: float = 0
    """In which replicas and throughput are at their most."""
    log_gb: float = 2
    """Of traces and logs, assumed; metrics come on top."""


SCENES = {
    "dev, nobody comes": Scene("dev"),
    "staging, nobody comes": Scene("staging"),
    "prod, nobody comes": Scene("prod", log_gb=5),
    "prod, 100,000 orders in one on-sale": Scene("prod", 100_000, 2, log_gb=35),
}


def messages_of_an_order() -> int:
    """Operations at the broker: each event is sent once and taken by everyone who hears it."""
    return sum(1 + sum(event in heard for heard in HEARS.values()) for event in OF_AN_ORDER)


def metrics_gb(environment: str) -> float:
    """What metrics alone take in a month in which nobody comes, in GB."""
    apps = _made(environment).of("Microsoft.App/containerApps")
    replicas = sum(app.body["properties"]["template"]["scale"]["minReplicas"] for app in apps)
    return float(replicas * GAUGES * HOURS * 60 * KB_A_VALUE / 1e6)


def month(scene: Scene) -> dict[str, tuple[float, float]]:
    """Part of the bill → what it costs at least and at most, in USD."""
    found = json.loads(PRICES.read_text(encoding="utf-8"))
    usd = {name: float(each["usd"]) for name, each in found["prices"].items()}
    free, made = found["free_a_month"], _made(scene.environment)
    logs = max(0.0, scene.log_gb + metrics_gb(scene.environment) - free["log_gb"]) * usd["log_gb"]
    (bus,) = made.of("Microsoft.ServiceBus/namespaces")
    (registry,) = made.of("Microsoft.ContainerRegistry/registries")
    same = {
        "broker": usd[f"bus_{bus.body['sku']['name'].lower()}_month"],
        "store": _store(made, scene, usd),
        "registry": usd[f"registry_{registry.body['sku']['name'].lower()}_day"] * 30,
        "logs and traces": logs,
        "private endpoints": len(made.of("Microsoft.Network/privateEndpoints")) * HOURS * usd["private_endpoint_hour"],
    }
    return {"container apps": _apps(made, scene, usd, free)} | {name: (each, each) for name, each in same.items()}


def _made(environment: str) -> Deployment:
    image = {"image": "r.azurecr.io/cludale@sha256:" + "0" * 64}
    return with_parameters(Path("infra/parameters") / f"{environment}.bicepparam", image)


def _apps(made: Deployment, scene: Scene, usd: Mapping[str, float], free: Mapping[str, float]) -> tuple[float, float]:
    """A replica whose sidecar polls a broker is seldom idle in Azure's sense: at least counts it so, at most never."""
    idle = busy = memory = 0.0
    for app in made.of("Microsoft.App/containerApps"):
        template = app.body["properties"]["template"]
        (container,) = template["containers"]
        cpu, gib = float(container["resources"]["cpu"]), float(container["resources"]["memory"].removesuffix("Gi"))
        kept = template["scale"]["minReplicas"] * (HOURS - scene.busy_hours) * 3600
        most = template["scale"]["maxReplicas"] * scene.busy_hours * 3600
        idle, busy, memory = idle + cpu * kept, busy + cpu * most, memory + gib * (kept + most)
    paid = max(0.0, idle - free["vcpu_seconds"])
    always = busy * usd["vcpu_second_active"] + max(0.0, memory - free["gib_seconds"]) * usd["gib_second"]
    return paid * usd["vcpu_second_idle"] + always, paid * usd["vcpu_second_active"] + always


def _store(made: Deployment, scene: Scene, usd: Mapping[str, float]) -> float:
    (account,) = made.of("Microsoft.DocumentDB/databaseAccounts")
    if account.body["properties"]["capabilities"]:
        return scene.orders * RU_AN_ORDER / 1e6 * usd["million_ru_serverless"]
    containers = made.of("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers")
    most = sum(each.body["properties"]["options"]["autoscaleSettings"]["maxThroughput"] for each in containers)
    hours = (most / 10 * (HOURS - scene.busy_hours) + most * scene.busy_hours) / 100
    regions = len(account.body["properties"]["locations"])
    return float(hours * usd["hundred_ru_hour"] * usd["autoscale_factor"] * regions)


def table() -> str:
    """A row for each part of the bill, a column for each scene, as Markdown."""
    months = [month(scene) for scene in SCENES.values()]
    rows = [[part, *(_euros(*each[part]) for each in months)] for part in months[0]]
    sums = [_euros(sum(low for low, _ in each.values()), sum(high for _, high in each.values())) for each in months]
    lines = [["euros a month", *SCENES], ["---", *["---:"] * len(SCENES)], *rows, ["**together**", *sums]]
    messages = messages_of_an_order()
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + (
        f"\nA bought order is {messages} operations at the broker: Service Bus Standard, which allows "
        f"{STANDARD_CREDITS:,} a second, throttles past {STANDARD_CREDITS / messages:.0f} orders a second.\n"
    )


def _euros(low: float, high: float) -> str:
    return f"{low * EURO[0]:,.0f} to {high * EURO[1]:,.0f}" if high >= 1 else "0"


if __name__ == "__main__":
    sys.stdout.write(table())
