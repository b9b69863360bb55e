"""The command line of `python -m benchmarks`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import beside, onsale
from benchmarks.checkout import Checkout, NoCheckout


class Options(argparse.Namespace):
    """What was asked for."""

    runs: int
    orders: int
    connections: list[int]
    without_keys: bool
    against: Checkout | None
    peer: bool


def options(arguments: Sequence[str] | None = None) -> Options:
    """The options, from the command line if there are no arguments. Exits with status 2 and says what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="How many complete orders a second one hot concert sells."
    )
    parser.add_argument("--runs", type=_count, default=5, help="how often everything is measured (5)")
    parser.add_argument("--orders", type=_count, default=10_000, help="orders, and reservations, in each run (10000)")
    parser.add_argument("--connections", type=_count, nargs="+", default=[64, 256], help="at once (64 256)")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--without-keys", action="store_true", help="orders without an Idempotency-Key only")
    kinds.add_argument(
        "--against", type=_checkout, metavar="PATH",
        help="in turns with the server of another checkout, which runs with its own .venv if it has one; the ratios",
    )  # fmt: skip
    kinds.add_argument("--peer", action="store_true", help="in turns with the embedded peer; the ratios")
    found = parser.parse_args(arguments, namespace=Options())
    if len(set(found.connections)) < len(found.connections):
        parser.error("argument --connections: each number once")
    return found


def main() -> None:
    """Measure what is asked for."""
    asked = options()
    console = Console()
    if asked.against is None and not asked.peer:
        onsale.run(
            count=asked.orders, connections=asked.connections, runs=asked.runs, with_keys=not asked.without_keys,
            console=console,
        )  # fmt: skip
    else:
        other = beside.peer() if asked.against is None else beside.tree(asked.against)
        beside.run(other, count=asked.orders, connections=asked.connections, rounds=asked.runs, console=console)


def _count(text: str) -> int:
    """A number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _checkout(text: str) -> Checkout:
    try:
        return Checkout.at(Path(text))
    except NoCheckout as refusal:
        raise argparse.ArgumentTypeError(str(refusal)) from None
