"""What a sampled flag from outside costs: `python -m benchmarks.flagged [CHECKOUT]`.

Telemetry is on, its collector takes everything and keeps nothing, and no trace is to be recorded
(`parentbased_traceidratio`, 0). Orders with and without a flagged trace context are sent in turns; the server's CPU
for each, until it is paid, notified and audited.
"""

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import measure
from benchmarks.checkout import Checkout
from benchmarks.server import Server

ROUNDS = 3
ORDERS = 3_000
CONNECTIONS = 32


class _Sink(BaseHTTPRequestHandler):
    """A collector that says yes."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take it."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def main() -> None:
    """Measure, and print the medians."""
    checkout = Checkout.at(Path(sys.argv[1])) if len(sys.argv) > 1 else Checkout.here()
    sink = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    os.environ |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.server_port}",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0",
    }
    spent: dict[bool, list[float]] = {False: [], True: []}
    with Server(checkout) as server:
        measure.orders(server, count=ORDERS, connections=CONNECTIONS)  # warm
        for _ in range(ROUNDS):
            for traced, found in spent.items():
                measured = measure.orders(server, count=ORDERS, connections=CONNECTIONS, traced=traced)
                found.append(measured.server_cpu_us / 1_000)
    print(f"{checkout.commit()}: CPU of an order {median(spent[False]):.2f} ms, flagged {median(spent[True]):.2f} ms")


if __name__ == "__main__":
    main()
