"""How far one order walks through the code: `python tools/walk.py [--orders 9] [--modules] [--together 64]`.

A whole platform runs in this process over a folder of its own. Orders are bought one at a time, from the request until
the buyer's message has gone out, and each function of the product that begins is counted as a hop, each hop into
another module as a move. What runs by itself (timers, sweeps) differs from order to order, so the medians are shown,
and what begins in as long a time without an order: that is among the hops, as are comprehensions, which are functions
for Python 3.11 and none for whoever reads. With `--together` so many buyers order at a time, ROUNDS times each: what
an order walks then is far less, because batches are done for many at once.
`PYTHONPATH=…/src` counts another checkout in the same way.
"""

import argparse
import json
import os
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any, NamedTuple

KEY = "walk"
WAITED_SECONDS = 10
SETTLED_SECONDS = 1
"""In which an order comes to its end, many times over."""
ROUNDS = 10
COMPREHENSIONS = {"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"}


class Walk(NamedTuple):
    """What one order walked."""

    hops: int
    moves: int
    steps: int
    """Hops that differ: from which function into which."""
    comprehensions: int
    """Hops into those."""
    modules: Counter[str]
    """Hops into each."""


class Counting:
    """Counts what begins, while it is wanted."""

    def __init__(self, package: Path) -> None:
        self._inside = f"{package}{os.sep}"
        self._on = False
        self._moves = 0
        self._comprehensions = 0
        self._steps: set[tuple[object, object]] = set()
        self._modules: Counter[str] = Counter()

    def begin(self) -> None:
        """Count from here on."""
        self._moves, self._comprehensions, self._steps, self._modules = 0, 0, set(), Counter()
        self._on = True

    def end(self) -> Walk:
        """Count no more."""
        self._on = False
        return Walk(self._modules.total(), self._moves, len(self._steps), self._comprehensions, self._modules)

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """As sys.setprofile wants it."""
        if not self._on or event != "call":
            return
        code = frame.f_code
        if not code.co_filename.startswith(self._inside) or _goes_on(frame):
            return
        module = code.co_filename[len(self._inside) :]
        self._modules[module] += 1
        self._comprehensions += code.co_name in COMPREHENSIONS
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(self._inside):
            caller = caller.f_back
        self._steps.add((caller and caller.f_code, code))
        if caller is None or caller.f_code.co_filename != code.co_filename:
            self._moves += 1


def _goes_on(frame: FrameType) -> bool:
    """Is it a coroutine or generator that was begun before? Its RESUME has an argument then."""
    return frame.f_lasti > 0 and frame.f_code.co_code[frame.f_lasti + 1] & 3 != 0


def _call(url: str, body: Any = None, **headers: str) -> Any:
    """The JSON that it answers; any status that is no success raises urllib.error.HTTPError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=WAITED_SECONDS) as answer:
        return json.load(answer)


def _place(url: str, buyer: str) -> str:
    """Buy one ticket; the order's id."""
    wanted = {"concertId": "walk", "userId": f"buyer-{buyer}", "quantity": 1, "paymentMethod": "card-ok"}
    return str(_call(f"{url}/orders", wanted, **{"Idempotency-Key": f"order-{buyer}"})["id"])


def _has_ended(url: str, order_id: str) -> bool:
    """Has its message gone out?"""
    organizer = {"Authorization": f"Bearer {KEY}"}
    return bool(_call(f"{url}/audit/events?orderId={order_id}&type=NotificationSent", **organizer)["items"])


def _buy(url: str, number: int, counting: Counting) -> Walk:
    """Buy one ticket, and count until all that follows from it is done."""
    counting.begin()
    order_id = _place(url, str(number))
    time.sleep(SETTLED_SECONDS)
    walk = counting.end()
    if not _has_ended(url, order_id):
        raise TimeoutError(f"order {order_id} did not come to its end in {SETTLED_SECONDS} s")
    return walk


def _buy_together(url: str, buyers: int, counting: Counting) -> float:
    """Hops an order, where so many buy at a time."""
    names = [f"{buyer}-{number}" for number in range(ROUNDS) for buyer in range(buyers)]
    with ThreadPoolExecutor(buyers) as threads:
        counting.begin()
        placed = list(threads.map(lambda name: _place(url, name), names))
    time.sleep(WAITED_SECONDS)
    walk = counting.end()
    if not all(_has_ended(url, order_id) for order_id in placed[-buyers:]):
        raise TimeoutError(f"orders did not come to their end in {WAITED_SECONDS} s")
    return walk.hops / len(names)


def _idle(counting: Counting) -> int:
    """Hops in as long a time as an order gets, without one."""
    counting.begin()
    time.sleep(SETTLED_SECONDS)
    return counting.end().hops


def _walks(
    url: str, counting: Counting, orders: int, out: list[Walk], idle: list[int], together: int, shared: list[float]
) -> None:
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                _call(f"{url}/readyz")
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        concert = {"id": "walk", "artist": "A", "date": "2099-01-01", "totalSeats": 100_000}
        _call(f"{url}/concerts", concert, Authorization=f"Bearer {KEY}")
        for number in range(orders + 1):
            walk = _buy(url, number, counting)
            if number:  # the first one loads what is loaded late
                out.append(walk)
                idle.append(_idle(counting))
        if together:
            shared.append(_buy_together(url, together, counting))
    finally:
        os.kill(os.getpid(), 15)


def main() -> None:
    """Count, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=9, help="how many are counted (9)")
    parser.add_argument("--modules", action="store_true", help="show the hops into each module")
    parser.add_argument("--together", type=int, default=0, metavar="BUYERS", help="count with so many at a time, too")
    wanted = parser.parse_args()
    import cludale  # noqa: PLC0415 - whichever checkout is on the path

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    counting = Counting(Path(cludale.__file__).parents[1])
    walks: list[Walk] = []
    idle: list[int] = []
    shared: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "CLUDALE_DATA_DIR": folder, "CLUDALE_PORT": str(port), "CLUDALE_ORGANIZER_KEY": KEY, "CLUDALE_DEMO": "",
            "CLUDALE_SWEEP_SECONDS": "3600", "CLUDALE_LOG_LEVEL": "error",
        }  # fmt: skip
        threading.setprofile(counting)
        sys.setprofile(counting)
        client = threading.Thread(
            target=_walks,
            args=(f"http://127.0.0.1:{port}", counting, wanted.orders, walks, idle, wanted.together, shared),
        )
        client.start()
        sys.argv = ["cludale", "serve"]
        packages = {each.name for each in Path(cludale.__file__).parents[1].iterdir()}
        # older checkouts have one package
        run = import_module("cludale_operations.cli" if "cludale_operations" in packages else "cludale.cli").main
        try:
            run()
        except SystemExit:
            pass
        finally:
            sys.setprofile(None)
            client.join()
    modules: Counter[str] = Counter()
    for walk in walks:
        modules |= walk.modules
    print(f"orders    {len(walks)}")
    print(f"hops      {median(walk.hops for walk in walks):.0f}")
    print(f"  by timers alone     {median(idle):.0f}")
    print(f"  comprehensions      {median(walk.comprehensions for walk in walks):.0f}")
    print(f"moves     {median(walk.moves for walk in walks):.0f}")
    print(f"steps     {median(walk.steps for walk in walks):.0f}")
    print(f"modules   {median(len(walk.modules) for walk in walks):.0f}")
    for hops in shared:
        print(f"hops, {wanted.together} at a time   {hops:.0f}")
    if wanted.modules:
        for module, hops in modules.most_common():
            print(f"{hops:6}  {module}")


if __name__ == "__main__":
    main()
