"""The tables of costs in docs/evidence/azure.md: `python -m tools.azure_costs`, from the project's folder.

`--orders`, `--busy-hours`, `--ru-an-order` and so on replace the assumptions; prices are in prices.json.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tools.azure_costs.model import PRICES, STANDARD_CREDITS, Assumed, bill, messages_of_an_order

RU_AN_ORDER = 151.0
"""From docs/evidence/cosmos-db.md: computed from measured operations and sizes, 100 orders in flight; without indexing.
One order at a time takes 212. Measure yours."""
KB_AN_ORDER = 18.0
"""From the sizes in docs/evidence/cosmos-db.md: 11.7 KB in 16 documents stay of an order. Assumed on top: 0.2 KB that
the service adds to each document, and a fifth for indexes."""

GAUGES = 22
"""How many values a process sends with each minute's metrics though nothing happens; of what is counted it sends only
what changed."""
KB_A_VALUE = 1.04
"""As stored: 864,000 values (30 of each of 5 processes, every 15 s) were some 0.9 GB a day."""
MINUTES_A_MONTH = 30.4 * 24 * 60


def _idle_gb(processes: int) -> float:
    """What metrics alone take in a month in which nobody comes, in GB."""
    return round(processes * GAUGES * MINUTES_A_MONTH * KB_A_VALUE / 1e6)


SCENES = {
    ("dev", "nobody comes"): Assumed(0, 0, RU_AN_ORDER, KB_AN_ORDER, 2 + _idle_gb(5)),
    ("prod", "nobody comes"): Assumed(0, 0, RU_AN_ORDER, KB_AN_ORDER, 5 + _idle_gb(10)),
    ("prod", "one on-sale: 100,000 orders, two hours at the most of everything"): Assumed(
        100_000, 2, RU_AN_ORDER, KB_AN_ORDER, 35 + _idle_gb(10)
    ),
}


def tables(given: Mapping[str, Any]) -> str:
    """The tables, as Markdown, with some of the assumptions replaced."""
    messages = messages_of_an_order()
    text = [
        f"Dates of the prices: {dates()}.",
        "",
        f"A bought order is {messages} operations at the broker: Service Bus Standard, which allows "
        f"{STANDARD_CREDITS:,} a second, throttles past {STANDARD_CREDITS / messages:.0f} orders a second.",
    ]
    for (environment, scene), assumed in SCENES.items():
        lines = bill(environment, assumed._replace(**given))
        text += ["", f"**{environment}, {scene}**", "", "| | USD a month | |", "| --- | ---: | --- |"]
        text += [f"| {line.what} | {line.usd:,.2f} | {line.how} |" for line in lines]
        text += [f"| **together** | **{sum(line.usd for line in lines):,.0f}** | |"]
    return "\n".join(text) + "\n"


def dates() -> str:
    """From when the prices are, and how many of them."""
    prices = json.loads(PRICES.read_text(encoding="utf-8"))["prices"]
    found = Counter(price["date"] for price in prices.values())
    return "; ".join(f"{date} ({count} of {len(prices)})" for date, count in sorted(found.items(), reverse=True))


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind in Assumed.__annotations__.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind)
    print(tables({name: value for name, value in vars(parser.parse_args()).items() if value is not None}), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
