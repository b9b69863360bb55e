"""`python -m benchmarks.door`: how many people a second one process lets in, each admission durable by its answer.

Sells the tickets first. Then each code is sent once, over so many connections, and in the end the counts have to be
exact: as many admissions as tickets.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import uvloop

from benchmarks.server import Server, Wrong
from cludale.web.http1 import Target
from cludale_proof.rehearsal.latencies import Latencies
from cludale_proof.rehearsal.load import Load, Tally

SEATS = 8
"""In each order: a party's tickets are one record, so its codes meet there."""
CONCERT = "door"


def main() -> None:
    """Sell, let in, count, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=8_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--apart", action="store_true", help="parties come apart: no two codes of an order together")
    given = parser.parse_args()
    with Server() as server:
        codes = _sold(server, given.tickets)
        if given.apart:
            codes = [code for seat in range(SEATS) for code in codes[seat::SEATS]]
        before = server.cpu().process
        tally = uvloop.run(_let_in(server, codes, given.connections))
        cpu = server.cpu().process - before
        counted = server.get("/tickets/admissions", concertId=CONCERT)
    if (counted["admitted"], counted["inside"], tally.statuses) != (len(codes), len(codes), {200: len(codes)}):
        raise Wrong(f"{len(codes)} codes were shown, {counted['admitted']} let in; answers: {tally.statuses}")
    p99 = Latencies.merged(tally.latencies.values()).quantile(0.99) or 0.0
    print(
        f"{len(codes)} admissions in {tally.seconds:.2f} s: {len(codes) / tally.seconds:.0f} a second, "
        f"p99 {p99 * 1000:.1f} ms, {cpu / len(codes) * 1e6:.0f} us of CPU each"
    )


def _sold(server: Server, count: int) -> list[str]:
    """The codes of so many tickets of a concert that begins soon; a party's are together."""
    date = (datetime.now(UTC) + timedelta(hours=2)).isoformat(timespec="seconds")
    price = {"amount": 4500, "currency": "EUR"}
    server.post("/concerts", {"id": CONCERT, "artist": "A", "date": date, "totalSeats": count, "price": price})
    orders = []
    for at in range(0, count, SEATS):
        wanted = {"concertId": CONCERT, "userId": "u", "quantity": min(SEATS, count - at)}
        orders.append(server.post("/orders", wanted)["id"])
    return [code for order in orders for code in _codes(server, order)]


def _codes(server: Server, order: str) -> list[str]:
    while True:
        answer = server.http.get("/tickets", params={"order": order})
        if answer.status_code != httpx.codes.NOT_FOUND:
            return [each["code"] for each in answer.raise_for_status().json()["items"]]
        time.sleep(0.05)


async def _let_in(server: Server, codes: Sequence[str], connections: int) -> Tally:
    return await Load(Target.of(server.url), _scans(server, codes), connections=connections, timeout_seconds=30).run()


def _scans(server: Server, codes: Sequence[str]) -> Iterator[bytes]:
    target, headers = Target.of(server.url), {"authorization": f"Bearer {server.key}"}
    for number, code in enumerate(codes):
        body = {"code": code, "door": f"door-{number % 10}", "concertId": CONCERT, "scanId": f"scan-{number}"}
        yield target.request("POST", "/tickets/admissions", msgspec.json.encode(body), headers)


if __name__ == "__main__":
    main()
