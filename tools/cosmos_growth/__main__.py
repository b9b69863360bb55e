"""The tables of growth in docs/evidence/cosmos-db.md.

    python -m tools.cosmos_growth --orders 200 400 --season 10000000

Each number of `--orders` is a small season of its own over the double: what they have in common is what may be
extrapolated. The largest is what the season is reckoned from.
"""

import argparse
import asyncio
import logging
from collections.abc import Sequence

from tools.cosmos_growth.measure import CANCELLED, DECLINED, Measured, measure
from tools.cosmos_growth.model import (
    ALLOWANCE,
    PARTITION_BYTES,
    container_of,
    containers,
    keeping_up,
    log,
    month,
    section_orders,
    state_orders,
    stored,
    throughput,
)
from tools.cosmos_growth.state_store import measure_state

BUSY_HOURS = 20.0
"""In a month, in which throughput is at its most. Assumed: ten on-sales of two hours."""
MONTHS = 10
"""Of a season. Assumed."""
SEASONS = (1, 3, 5)


def measured_table(seasons: Sequence[Measured]) -> str:
    """What stays of an order, in each of the small seasons."""
    heads = " | ".join(f"in {each.orders} orders" for each in seasons)
    rows = [f"| document | container | {heads} | bytes an order |", "| --- | --- |" + " ---: |" * (len(seasons) + 1)]
    last = seasons[-1]
    for kind in sorted(last.growth):
        counts = " | ".join(f"{each.growth[kind].documents:.2f}" for each in seasons)
        rows.append(f"| `{kind}` | {container_of(kind)} | {counts} | {last.growth[kind].size:,.0f} |")
    counts = " | ".join(f"{sum(growth.documents for growth in each.growth.values()):.2f}" for each in seasons)
    sizes = [sum(growth.size for growth in each.growth.values()) for each in seasons]
    rows.append(f"| **all** | | {counts} | **{sizes[-1]:,.0f}** |")
    spread = (max(sizes) - min(sizes)) / sizes[-1]
    rows += ["", f"Bytes of an order differ by {spread:.1%} between these seasons, so they grow with orders alone."]
    return "\n".join(rows)


def season_table(measured: Measured, orders: int) -> str:
    """The containers at the end of a season."""
    most = throughput("prod")
    rows = [
        "| container | GB | RU an order | RU/s at most | physical partitions | orders a second |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    there = containers(measured, orders, most)
    rows += [
        f"| {each.name} | {each.gigabytes:,.0f} | {each.units:.1f} | {each.most:,} | {each.physical} "
        f"| {each.rate:,.0f} |"
        for each in there
    ]
    units = sum(each.units for each in there)
    rows.append(f"| **all** | **{sum(each.gigabytes for each in there):,.0f}** | **{units:.0f}** | | | |")
    rows += ["", f"A season takes {units * orders / 1e6:,.0f} million RU."]
    return "\n".join(rows)


def limits_table(measured: Measured, orders: int) -> str:
    """What breaks, and when, in the order of orders a second."""
    most = throughput("prod")
    first = {each.name: each for each in containers(measured, 0, most)}
    rates: list[tuple[float, str]] = []
    for seasons in (0, *SEASONS):
        there = {each.name: each for each in containers(measured, orders * seasons, most)}
        audit, concerts = there["audit"], there["concerts"]
        when = f"after season {seasons}" if seasons else "at first"
        for what, each, units in (
            ("the log's open segment", audit, measured.log_units),
            ("one section", concerts, measured.section_units),
        ):
            if not seasons or each.physical != first[each.name].physical:
                rates.append((each.rate_in_one(units), f"{what}, {when}: {each.physical} physical partitions"))
    rates += [(each.rate, f"the container {name}, spread over its partitions") for name, each in first.items()]
    rows = ["| orders a second, at most | where |", "| ---: | --- |"]
    rows += [f"| {rate:,.0f} | {where} |" for rate, where in sorted(rates)]
    rows.append("")
    for seasons in SEASONS:
        (audit,) = (each for each in containers(measured, orders * seasons, most) if each.name == "audit")
        needed, usd = keeping_up(audit)
        rows.append(
            f"- After season {seasons} the log is as fast as at first with {needed:,} RU/s at most for `audit`: "
            f"{usd:,.0f} USD a month more."
        )
    return "\n".join(rows)


def sizes_text(measured: Measured, orders: int, state: tuple[float, float]) -> str:
    """What the log and a section come to."""
    of = log(measured, orders)
    entries = measured.growth["audit.event"]
    return "\n".join(
        [
            f"- The log has {of.segments} segments after a season. A full one has {of.expected_bytes / 1e9:.1f} GB, "
            f"and {of.feared_bytes / 1e9:.1f} GB if {ALLOWANCE} bytes were stored for each of a body; "
            f"{PARTITION_BYTES / 1e9:.0f} is the most. In one partition it would have ended after "
            f"{of.orders_in_one:,.0f} orders with that, after {PARTITION_BYTES / stored(entries):,.0f} without.",
            f"- A section's partition is full after {section_orders(measured):,.0f} orders in it, reckoned so.",
            f"- In a Dapr state store an entry takes {state[0]:.2f} documents and {state[1]:,.0f} bytes with its "
            f"indexes (`audit.event`: {entries.size / entries.documents:,.0f}). In one partition of Cosmos DB "
            f"that is full after {state_orders(measured, state[1]):,.0f} orders, reckoned so.",
        ]
    )


def money_table(measured: Measured, orders: int) -> str:
    """What a month costs while a season goes on, and what is kept after some."""
    most = throughput("prod")
    rows = ["| a month | GB | storage | backup | throughput | USD |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    scenes = [("the first of the first season", orders / MONTHS)]
    scenes += [(f"the last of season {seasons}", float(orders * seasons)) for seasons in SEASONS]
    for what, sold in scenes:
        each = month(containers(measured, round(sold), most), busy_hours=BUSY_HOURS)
        rows.append(
            f"| {what} | {each.gigabytes:,.0f} | {each.storage:,.0f} | {each.backup:,.0f} | {each.throughput:,.0f} "
            f"| **{each.usd:,.0f}** |"
        )
    return "\n".join(rows)


def main() -> None:
    """Sell the small seasons and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, nargs="+", default=[200, 400])
    parser.add_argument("--season", type=int, default=10_000_000)
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    seasons = [asyncio.run(measure(orders)) for orders in sorted(given.orders)]
    largest = seasons[-1]
    print(f"{DECLINED:.0%} of the orders are declined and end, {CANCELLED:.0%} are paid, cancelled and refunded.\n")
    for part in (
        measured_table(seasons),
        season_table(largest, given.season),
        sizes_text(largest, given.season, asyncio.run(measure_state(largest.events))),
        limits_table(largest, given.season),
        money_table(largest, given.season),
    ):
        print(part, end="\n\n")


if __name__ == "__main__":
    main()
