"""docs/evidence/reliability.md: prose by hand, and tables between markers, made from docs/evidence/reliability.json.

A marker is `<!-- figures: crashes -->`, its table goes down to the next `<!-- end -->`. The JSON keeps each section's
figures with the commit and seed that they come from, so a section can be done again by itself.
"""

import re
from collections.abc import Callable, Sequence

import msgspec
from benchmarks.machine import PROJECT
from tools.reliability.figures import Cell, Kept, Row, Rows

PAGE = PROJECT / "docs/evidence/reliability.md"
DATA = PROJECT / "docs/evidence/reliability.json"

_BLOCK = re.compile(r"(<!-- figures: (?P<name>[a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)

HEADINGS = {
    "how": "how",
    "deaths": "deaths",
    "confirmed": "orders confirmed",
    "lost": "of those lost",
    "trouble": "trouble",
    "times": "times",
    "race": "race",
    "after": "the version after",
    "accepted": "orders accepted",
    "errors": "answers of 5xx",
    "rounds": "times",
    "outcome": "outcome",
    "client": "clients",
    "result": "what became of it",
    "offered": "offered, buyers/s",
    "goodput": "complete orders/s",
    "of_the_peak": "of the peak: median (least to most)",
    "refused": "turned away (503)",
    "accepted_p99_ms": "p99 of the accepted, ms",
    "refused_p50_ms": "p50 of the 503s, ms",
    "refused_p99_ms": "p99 of the 503s, ms",
    "store_mib": "store, MiB",
    "ready_s": "ready after, s: median (least to most)",
    "check_s": "checked in, s",
    "cuts_that_lost": "cuts that lost what was acknowledged",
    "virtualHours": "virtual hours",
    "failed": "seeds that failed",
    "fired": "times it really happened",
    "said": "what the checker said first",
    "seeds": "seeds",
}
"""Cells whose heading is not their name."""


def load() -> Kept:
    """The figures so far."""
    return msgspec.json.decode(DATA.read_bytes(), type=Kept) if DATA.exists() else Kept({}, {})


def keep(section: str, rows: Rows, machine: dict[str, Cell]) -> None:
    """Put a section's figures in the place of those it had."""
    kept = Kept(machine, {**load().sections, section: rows})
    DATA.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")


def write() -> None:
    """Write the figures into the page."""
    PAGE.write_text(filled(PAGE.read_text(), load()))


def filled(page: str, kept: Kept) -> str:
    """The page with its tables. Raises KeyError for a marker that nothing is known for."""
    rows = [row for section in kept.sections.values() for row in section.rows]
    blocks: dict[str, Callable[[], Sequence[str]]] = {
        "machine": lambda: machine(kept),
        "provenance": lambda: table([provenance(name, section) for name, section in kept.sections.items()]),
        "faults": lambda: table(summed([row.cells for row in rows if row.table == "faults"])),
        "crash points": list,
    }

    def fill(block: re.Match[str]) -> str:
        name = block["name"]
        lines = blocks[name]() if name in blocks else table([row.cells for row in rows if row.table == name])
        return "".join([block[1], "\n", *(f"{line}\n" for line in lines), "\n", block[3]])

    return _BLOCK.sub(fill, page)


def machine(kept: Kept) -> Sequence[str]:
    """What it was measured on, in a sentence."""
    host = kept.machine
    return (
        [
            f"{host['cores']} cores {host['cpu']}, {host['memoryMiB']} MiB, {host['kernel']}, Python {host['python']}, "
            f"SQLite {host['sqlite']}, fsync p50 {host['fsyncP50Ms']} ms, p99 {host['fsyncP99Ms']} ms. "
            "Server, clients and checker share the machine."
        ]
        if host
        else []
    )


def provenance(name: str, section: Rows) -> dict[str, Cell]:
    """Where a section's figures come from."""
    done = section.done
    scale = "" if done.scale == "full" else f" --scale {done.scale}"
    command = f"make reliability RELIABILITY_ARGS='--only {name} --seed {done.seed}{scale}'"
    return {
        "section": name,
        "commit": done.commit,
        "date": done.date,
        "scale": done.scale,
        "seed": done.seed,
        "minutes": done.minutes,
        "command": f"`{command}`",
    }


def summed(cells: Sequence[dict[str, Cell]]) -> list[dict[str, Cell]]:
    """One row a fault, however many tests made it."""
    times: dict[Cell, int] = {}
    for each in cells:
        fired = each["fired"]
        times[each["fault"]] = times.get(each["fault"], 0) + (fired if isinstance(fired, int) else 0)
    return [{"fault": fault, "fired": fired} for fault, fired in times.items()]


def table(rows: Sequence[dict[str, Cell]]) -> Sequence[str]:
    """Rows as Markdown; the first row's cells are the columns."""
    if not rows:
        return ["Nothing yet."]
    columns = list(rows[0])
    lines = [[HEADINGS.get(column, column) for column in columns]]
    numbers = {column for column in columns if any(isinstance(row.get(column), int | float) for row in rows)}
    lines += [["---:" if column in numbers else "---" for column in columns]]
    lines += [[text(row.get(column)) for column in columns] for row in rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def text(cell: Cell) -> str:
    """A cell as it is read by people."""
    if cell is None:
        return "-"
    return f"{cell:,}" if isinstance(cell, int) else str(cell).replace("|", "\\|")


__all__ = ["PAGE", "Row", "filled", "keep", "load", "write"]
