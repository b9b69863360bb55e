"""What a season comes to on Cosmos DB, computed from orders that the real code sells over the double of the service.

    python -m tools.cosmos_growth --orders 200 --season 10000000

Numbers and sizes of documents are measured, request units computed from them (see benchmarks/cosmos_ru.py). Bytes are
those of the documents; indexes and what the service adds come on top, for which ALLOWANCE is an assumption.
"""

import argparse
import asyncio
import logging
import math
from collections.abc import Sequence

from benchmarks.cosmos_ru import CONCERT, PARTITION_RU, QUERY, lines, run
from tests.product.adapters.cosmos.double import Request

ALLOWANCE = 2.5
"""How many bytes are stored for one of a document: assumed, not measured."""
SEGMENT_ENTRIES = 4_000_000
"""As `Policies.audit_segment_entries`."""
PARTITION_BYTES = 20 * 10**9
PHYSICAL_BYTES = 50 * 10**9
"""What a physical partition holds at most."""


def kept_bytes(requests: Sequence[Request]) -> dict[str, tuple[int, int]]:
    """Documents and bytes that stay, by kind: what was created, but for the outbox."""
    kept: dict[str, tuple[int, int]] = {}
    for request in requests:
        for operation, id, size in request.operations:
            what = id.partition("|")[0]
            if operation.lower() == "create" and what != "outbox":
                times, total = kept.get(what, (0, 0))
                kept[what] = (times + 1, total + size)
    return kept


def report(requests: Sequence[Request], orders: int, season: int) -> str:
    """The season as tables in Markdown."""
    kept = kept_bytes(requests)
    factor = season / orders
    rows = ["| document | in a season | GB of bodies | GB with allowance |", "| --- | ---: | ---: | ---: |"]
    for what, (times, size) in sorted(kept.items()):
        gigabytes = size * factor / 10**9
        rows.append(f"| `{what}` | {times * factor:,.0f} | {gigabytes:,.1f} | {gigabytes * ALLOWANCE:,.1f} |")
    total = sum(size for _, size in kept.values()) * factor * ALLOWANCE
    queries = sum(request.kind == "query" for request in requests)
    units = (sum(line.units for line in lines(requests)) + queries * QUERY) / orders
    log = [each for each in requests if (each.partition or "").startswith("log")]
    hot = [each for each in requests if (each.partition or "").startswith(f"{CONCERT}/")]
    log_units, hot_units = (sum(line.units for line in lines(each)) / orders for each in (log, hot))
    entries, entry_bytes = kept["audit.event"]
    segment_bytes = SEGMENT_ENTRIES * entry_bytes / entries * ALLOWANCE
    hot_bytes = sum(size for _, size in kept_bytes(hot).values()) / orders * ALLOWANCE
    alone = PARTITION_BYTES / (entry_bytes / orders * ALLOWANCE)
    return "\n".join(
        [
            *rows,
            f"| **all** | | | **{total / 10**9:,.0f}** |",
            "",
            f"- {units:,.0f} RU an order, {units * season / 10**6:,.0f} million RU a season; 100 orders a second take "
            f"{units * 100:,.0f} RU/s.",
            f"- At least {math.ceil(total / PHYSICAL_BYTES)} physical partitions in all.",
            f"- The log has {math.ceil(entries * factor / SEGMENT_ENTRIES)} segments of {segment_bytes / 10**9:.1f} GB "
            f"each with the allowance; in one partition it would have ended after {alone:,.0f} orders.",
            f"- A section's partition is full after {PARTITION_BYTES / hot_bytes:,.0f} orders.",
            f"- By rate, the log breaks first: {PARTITION_RU / log_units:,.0f} orders a second, then a section: "
            f"{PARTITION_RU / hot_units:,.0f}."
            if log_units > hot_units
            else f"- By rate, a section breaks first: {PARTITION_RU / hot_units:,.0f} orders a second, then the log: "
            f"{PARTITION_RU / log_units:,.0f}.",
        ]
    )


def main() -> None:
    """Sell the orders and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--season", type=int, default=10_000_000)
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    _, requests = asyncio.run(run(given.orders, min(100, given.orders)))
    print(report(requests, given.orders, given.season))


if __name__ == "__main__":
    main()
