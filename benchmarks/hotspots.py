"""Where the server spends its time under load: py-spy's samples, added up as text.

    python -m benchmarks.hotspots --load orders --connections 64 --count 20000 [--native] [--gil]
    python -m benchmarks.hotspots --load contacts --gil --of web/access.py web/limits.py

For each thread, in per cent of its samples: the functions by their own share, and by their share with all that they
call. Waiting for the disk or for the interpreter lock counts as work unless `--gil` is given. Sampling slows the
server; for rates see `python -m benchmarks`. `--of` adds up what is spent in some files and in all that they call: what
a part of the product costs an order, which no comparison of two commits tells where the parts came one by one.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import generator, machine, measure
from benchmarks.generator import Orders, Reservations, Signs
from benchmarks.server import Server

WARM_UP = 1_000


class Samples:
    """Stacks and how often each was seen, as `py-spy record --format raw --threads` writes them."""

    def __init__(self, text: str) -> None:
        self.by_thread: dict[str, Counter[tuple[str, ...]]] = {}
        for line in text.splitlines():
            stack, _, count = line.rpartition(" ")
            thread, *frames = stack.split(";")
            self.by_thread.setdefault(thread, Counter())[tuple(frames)] += int(count)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(stacks.total() for stacks in self.by_thread.values())

    def own(self, thread: str) -> Counter[str]:
        """How often each function was the one at work."""
        found: Counter[str] = Counter()
        for frames, count in self.by_thread[thread].items():
            found[frames[-1] if frames else "(nothing)"] += count
        return found

    def with_callees(self, thread: str) -> Counter[str]:
        """How often each function was at work or waited for one that it had called."""
        found: Counter[str] = Counter()
        for frames, count in self.by_thread[thread].items():
            for frame in set(frames):
                found[frame] += count
        return found

    def within(self, files: Sequence[str]) -> Counter[str]:
        """How often a function of each file was at work or waited for one that it had called; the first that called
        counts, so that nothing counts twice. A file is named by a part of its path."""
        found: Counter[str] = Counter(dict.fromkeys(files, 0))
        for stacks in self.by_thread.values():
            for frames, count in stacks.items():
                first = next((file for frame in frames for file in files if file in frame), None)
                if first is not None:
                    found[first] += count
        return found


def record(server: Server, task: Orders | Reservations | Signs, *, rate: int, options: list[str]) -> tuple[str, str]:
    """Run the load with py-spy looking on: its raw output, and a line on what the load came to."""
    with tempfile.TemporaryDirectory(dir=machine.SCRATCH) as folder:
        output = Path(folder) / "samples.txt"
        spy = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(server.pid), "--format", "raw",
                "--output", str(output), "--rate", str(rate), "--duration", "unlimited", "--threads", "--function",
                *options,
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            report = generator.run(task)
        finally:
            spy.send_signal(signal.SIGINT)
            said, _ = spy.communicate(timeout=60)
        if not output.exists():
            raise RuntimeError(f"py-spy recorded nothing:\n{said.decode(errors='replace')}")
        rate_seen = report.succeeded / (report.ended - report.began)
        return output.read_text(), f"{report.succeeded} answered, {rate_seen:.0f}/s while sampled {report.others or ''}"


def show(samples: Samples, *, top: int, console: Console) -> None:
    """A table for each thread, the busiest first; threads with less than a hundredth of the samples are left out."""
    total = samples.total
    for thread, stacks in sorted(samples.by_thread.items(), key=lambda each: -each[1].total()):
        here = stacks.total()
        if here * 100 < total:
            continue
        table = Table(title=f"{thread}: {here} of {total} samples", title_justify="left")
        for heading in ("own %", "function", "with callees %", "function"):
            table.add_column(heading, justify="right" if heading.endswith("%") else "left", overflow="fold")
        own, whole = samples.own(thread).most_common(top), samples.with_callees(thread).most_common(top)
        for (one, one_count), (other, other_count) in zip(own, whole, strict=False):
            table.add_row(f"{100 * one_count / here:.1f}", one, f"{100 * other_count / here:.1f}", other)
        console.print(table)


def show_shares(samples: Samples, files: Sequence[str], *, console: Console) -> None:
    """What is spent in these files and what they call, in per cent of all samples of all threads."""
    table = Table(title=f"of {samples.total} samples of all threads", title_justify="left")
    for heading in ("with callees %", "file"):
        table.add_column(heading, justify="right" if heading.endswith("%") else "left", overflow="fold")
    found = samples.within(files)
    for file, count in found.most_common():
        table.add_row(f"{100 * count / samples.total:.2f}", file)
    table.add_row(f"{100 * found.total() / samples.total:.2f}", "all of them")
    console.print(table)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hotspots", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--load", choices=("orders", "keys", "contacts", "reservations", "livez"), default="orders",
        help="keys: orders with a key each; contacts: with an e-mail address and a phone number",
    )  # fmt: skip
    parser.add_argument("--count", type=int, default=20_000, help="requests (20000)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=int, default=200, help="samples a second (200)")
    parser.add_argument("--top", type=int, default=30, help="functions to list (30)")
    parser.add_argument("--native", action="store_true", help="see C functions too, which slows it more")
    parser.add_argument("--gil", action="store_true", help="only samples of threads that hold the interpreter lock")
    parser.add_argument("--of", nargs="+", metavar="FILE", default=(), help="say what is spent in these files instead")
    options = parser.parse_args()
    console = Console(width=180)
    with Server() as server:
        measure.orders(server, count=WARM_UP, connections=16)
        size = {"url": server.url, "count": options.count, "connections": options.connections}
        task: Orders | Reservations | Signs
        if options.load == "livez":
            task = Signs(**size)
        else:
            concert_id = server.put_on_concert(options.count)
            task = Orders(
                **size,
                concert_id=concert_id,
                with_keys=options.load == "keys",
                with_contact=options.load == "contacts",
            )
            if options.load == "reservations":
                task = Reservations(**size, concert_id=concert_id, organizer_key=server.key)
        flags = [flag for flag in ("native", "gil") if getattr(options, flag)]
        raw, came_to = record(server, task, rate=options.rate, options=[f"--{flag}" for flag in flags])
    console.print(f"{options.load} at {options.connections}: {came_to}")
    if options.of:
        show_shares(Samples(raw), options.of, console=console)
    else:
        show(Samples(raw), top=options.top, console=console)


if __name__ == "__main__":
    main()
