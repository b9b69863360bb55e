"""What a limit that several processes share lets in, and what it costs a request.

    python -m benchmarks.limits --processes 2 --seconds 12

Over a real PostgreSQL; each process is one, with the limiter of a server and nothing else. First 50 addresses ask in a
loop through all processes in turn, 4 connections each, as fast as they are answered: what each was let in, in a window
that no other one was before, beside the limit. Then the CPU of a request: of honest ones, each from another address,
and of a key that has 2,000 a second; beside a limit of one process.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.machine import PROJECT, SCRATCH
from benchmarks.processes import TICK, trees
from cludale.adapters.postgres.request_counts import PostgresCounts
from cludale.web.limits import RequestLimit, TooManyRequests
from cludale.web.shared_limits import Exchange, SharedLimit
from cludale_operations.local.postgres import Postgres

ADDRESSES = 50
CONNECTIONS = 4
_HONEST = 20_000
_HONEST_EACH_SECOND = 2_000


@contextlib.asynccontextmanager
async def _limited(url: str, most: int, seconds: float, processes: int) -> AsyncIterator[SharedLimit]:
    limit = SharedLimit("address", most=most, seconds=seconds, clock=time.time, secret=b"benchmark")
    exchange = Exchange(PostgresCounts(url), [limit], group="benchmark", clock=time.time)
    await exchange.start()
    while exchange.processes < processes:  # noqa: ASYNC110 - it is another process that is waited for
        await asyncio.sleep(0.05)
    yield limit
    await exchange.stop()


async def asked_in_a_loop(url: str, most: int, seconds: float, processes: int, at: float) -> dict[str, int]:
    """How many each address was let in here, from the window that begins at `at` until it ends."""
    let_in: Counter[str] = Counter()
    async with _limited(url, most, seconds, processes) as limit:
        await asyncio.sleep(at - time.time())

        async def ask(who: str) -> None:
            while time.time() < at + seconds - 0.05:
                with contextlib.suppress(TooManyRequests):
                    await limit.admit(who)
                    let_in[who] += 1
                await asyncio.sleep(0.005)

        await asyncio.gather(*(ask(f"address-{n % ADDRESSES}") for n in range(ADDRESSES * CONNECTIONS)))
    return dict(let_in)


async def cost(url: str, processes: int, *, kind: str) -> float:
    """Microseconds of this process's CPU a request, at 2,000 a second."""
    async with contextlib.AsyncExitStack() as stack:
        if kind == "alone":
            limit = RequestLimit("address", most=10_000_000, seconds=10, clock=time.monotonic)
        else:
            limit = await stack.enter_async_context(_limited(url, 10_000_000, 10, processes))
        began, used = time.time(), time.process_time()
        for number in range(_HONEST):
            await limit.admit("key" if kind == "key" else f"address-{number}")
            if number % 20 == 19:
                await asyncio.sleep(max(0.0, began + number / _HONEST_EACH_SECOND - time.time()))
        return 1e6 * (time.process_time() - used) / _HONEST


def _start(*arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.limits", *arguments], cwd=PROJECT, stdout=subprocess.PIPE
    )


def _database_cpu(pid: int) -> float:
    fields = (Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in trees([pid])[pid])
    return sum(sum(map(int, each[11:15])) * TICK for each in fields)


async def _all(asked: argparse.Namespace) -> None:
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        async with Postgres(Path(folder) / "postgres").running() as server:
            common = ("--url", server.url, "--processes", str(asked.processes))
            for most in (20, 200):
                at = (time.time() // asked.seconds + 2) * asked.seconds
                mine = ("--as", "loop", "--most", str(most), "--at", str(at), "--seconds", str(asked.seconds))
                workers = [_start(*common, *mine) for _ in range(asked.processes)]
                let_in: Counter[str] = Counter()
                for worker in workers:
                    let_in.update(json.loads((await asyncio.to_thread(worker.communicate))[0]))
                found = sorted(let_in.values())
                print(f"a limit of {most} in {asked.seconds:g} s, {asked.processes} processes: {ADDRESSES} addresses")
                print(f"    were let in {found[0]} to {found[-1]} times, {sum(found) / len(found):.1f} on average")
            for kind in ("alone", "addresses", "key", "alone", "addresses", "key"):
                pid = int((server.folder / "cluster" / "postmaster.pid").read_text().split()[0])
                before = _database_cpu(pid)
                workers = [_start(*common, "--as", kind) for _ in range(asked.processes)]
                each = [json.loads((await asyncio.to_thread(worker.communicate))[0]) for worker in workers]
                database = 1e6 * (_database_cpu(pid) - before) / _HONEST / asked.processes
                print(f"{kind}: {sum(each) / len(each):.1f} µs a request, and {database:.1f} µs of the database")


def main() -> None:
    """Measure all, or be one of the processes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=12.0, help="the window of the limit")
    roles = ("all", "loop", "alone", "addresses", "key")
    parser.add_argument("--as", dest="role", choices=roles, default="all", help=argparse.SUPPRESS)
    for name, type_ in (("--url", str), ("--most", int), ("--at", float)):
        parser.add_argument(name, type=type_, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.role == "all":
        asyncio.run(_all(asked))
    elif asked.role == "loop":
        print(json.dumps(asyncio.run(asked_in_a_loop(asked.url, asked.most, asked.seconds, asked.processes, asked.at))))
    else:
        print(json.dumps(asyncio.run(cost(asked.url, asked.processes, kind=asked.role))))


if __name__ == "__main__":
    main()
