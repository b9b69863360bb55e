"""`cludale up --distributed`, whole: what it starts, keeps running, restarts and leaves behind."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from tests.operations.gateway.test_tls import certificates
from tests.parts import need
from tests.patience import eventually
from tests.served import Served, environment, lives, trusting, up

from cludale.services import NAMES

_WHO_IS_IN = (
    "SELECT DISTINCT usename FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two of concerts, one of each other, and HTTPS for people; the tests come in where this machine's parts do."""
    for program in ("postgres", "nats-server", "daprd"):
        need(program)
    folder = tmp_path_factory.mktemp("up")
    _, certificate = certificates(folder)
    settings = {"CLUDALE_DEMO": "1", "CLUDALE_TLS_CERTIFICATE": str(certificate)}
    with up(folder, "--replicas", "concerts=2", settings=settings) as running:
        running.http.close()
        running.url = part(running, "gateway")["url"]
        running.http = httpx.Client(base_url=running.url, timeout=20, verify=trusting(part(running, "gateway")))
        yield running


def state(platform: Served) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((platform.folder / "up.json").read_text())
    return told


def part(platform: Served, name: str) -> dict[str, Any]:
    (found,) = (each for each in state(platform)["parts"] if each["name"] == name)
    return dict(found)


def as_people(platform: Served) -> dict[str, str]:
    """What a command is told to come in where people do."""
    port = state(platform)["address"].rpartition(":")[2]
    return {"CLUDALE_TLS_CERTIFICATE": str(platform.folder / "server.pem"), "CLUDALE_PORT": port}


def command(platform: Served, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cludale_operations", *words],
        env=environment(platform.folder, **settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def buys(platform: Served) -> str:
    """Two tickets for the first demo concert that is on sale; the order's state, once it is final."""
    assert eventually(lambda: platform.http.get("/concerts").status_code == 200, seconds=30)
    concerts = platform.http.get("/concerts").json()["items"]
    concert = next(each["id"] for each in concerts if each["onSaleAt"] is None)
    wanted = {"concertId": concert, "userId": "u", "quantity": 2}
    deadline = time.monotonic() + 30
    # 503: who was just started again asks to be asked again
    while (answer := platform.http.post("/orders", json=wanted)).status_code == 503 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert answer.status_code in {201, 202}, answer.text
    return str(final(platform, answer.json())["status"])


def test_it_says_what_runs_where(platform: Served) -> None:
    names = {each["name"] for each in state(platform)["parts"]}
    replicas = {"concerts-1", "concerts-2", *(f"{service}-1" for service in NAMES)}
    servers = {"postgres", "nats", "sentry", "gateway", "pages"}
    assert names == servers | replicas | {f"{name}-sidecar" for name in replicas}
    assert all(lives(each["pid"]) and each["state"] == "ready" for each in state(platform)["parts"])
    assert (platform.folder / "up.json").stat().st_mode & 0o077 == 0
    for folder in ("postgres", "nats", "logs"):
        assert (platform.folder / folder).stat().st_mode & 0o077 == 0
    assert all(log.stat().st_mode & 0o077 == 0 for log in (platform.folder / "logs").iterdir())
    shown = command(platform, "up", "status", "--json")
    assert {row["part"] for row in json.loads(shown.stdout)} == names


def test_people_come_in_by_https_and_by_nothing_else(platform: Served) -> None:
    address = state(platform)["address"]
    assert address.startswith("https://127.0.0.1:")
    trust = ssl.create_default_context(cafile=str(platform.folder / "ca.pem"))
    with httpx.Client(base_url=address, verify=trust, timeout=20) as people:
        shown = people.get("/concerts")
        assert (shown.status_code, shown.headers["strict-transport-security"]) == (200, "max-age=63072000")
        (cookie,) = people.get("/staff/sign-in").headers.get_list("set-cookie")
        assert cookie.startswith("__Host-form="), "the pages know that they are asked over HTTPS"
        assert cookie.endswith("; Secure")
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"http{address.removeprefix('https')}/concerts")
    settings = as_people(platform)
    listed = command(platform, "concerts", "list", "--json", **settings)
    assert len(json.loads(listed.stdout)) == len(shown.json()["items"]), listed.stderr
    others = platform.folder / "others"
    others.mkdir()
    _, another = certificates(others)
    refused = command(platform, "concerts", "list", **settings | {"CLUDALE_TLS_CERTIFICATE": str(another)})
    assert (refused.returncode, "CERTIFICATE_VERIFY_FAILED" in refused.stderr) == (2, True), "it is somebody else"


def test_services_get_keys_and_passwords_from_the_secret_store_alone(platform: Served) -> None:
    password = urlsplit(state(platform)["databaseUrl"]).password
    assert password is not None
    for name in ("orders-1", "concerts-2", "gateway"):
        held = Path(f"/proc/{part(platform, name)['pid']}/environ").read_text()
        assert password not in held
        assert name == "gateway" or state(platform)["organizerKey"] not in held


async def test_each_service_logs_in_at_the_database_for_itself_and_reads_its_own_records_alone(
    platform: Served,
) -> None:
    known = state(platform)
    assert set(known["databaseUrls"]) == set(NAMES)
    owner = await asyncpg.connect(known["databaseUrl"], timeout=10)
    users = {row["usename"] for row in await owner.fetch(_WHO_IS_IN)}
    assert users == {f"cludale_{service}_1" for service in NAMES}, "the owner is none of them"
    await owner.close()
    for service, url in known["databaseUrls"].items():
        connection = await asyncpg.connect(url, timeout=10)
        assert await connection.fetchval(f"SELECT count(*) FROM {service}.outbox") >= 0
        for schema in set(NAMES) - {service}:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetchval(f"SELECT count(*) FROM {schema}.outbox")
        await connection.close()


def test_sixty_orders_of_one_buyer_within_a_moment_get_the_limit_from_two_replicas(platform: Served) -> None:
    key = {"authorization": f"Bearer {state(platform)['organizerKey']}"}
    wanted = {"artist": "The Larks", "date": "2099-06-05", "totalSeats": 100, "maxPerBuyer": 4}
    wanted |= {"price": {"amount": 4500, "currency": "EUR"}}
    concert = platform.http.post("/concerts", json=wanted, headers=key).json()["id"]
    order = {"concertId": concert, "userId": "anne", "quantity": 1, "email": "anne@example.org"}
    before = asked_of_concerts(platform)

    async def ask() -> list[httpx.Response]:
        trust = trusting(part(platform, "gateway"))
        async with httpx.AsyncClient(base_url=platform.url, timeout=60, verify=trust) as client:

            async def later(seconds: float) -> httpx.Response:
                await asyncio.sleep(seconds)
                return await client.post("/orders", json=order)

            # Holds of one moment go to one replica in one call: so these are of twenty, three at once.
            return list(await asyncio.gather(*(later(at // 3 * 0.06) for at in range(60))))

    answers = asyncio.run(ask())
    statuses = Counter(each.status_code for each in answers)
    assert set(statuses) <= {201, 202, 409, 503}, statuses
    placed = [each.json() for each in answers if each.status_code in {201, 202}]
    ends = Counter(final(platform, each)["status"] for each in placed)
    assert ends["Paid"] == 4, (statuses, ends)
    shown = platform.http.get(f"/concerts/{concert}").json()
    assert (shown["soldSeats"], shown["heldSeats"]) == (4, 0)
    assert all(now > then for now, then in zip(asked_of_concerts(platform), before, strict=True))


_ASKS_FOR_SEATS = re.compile("/reserve|/holds")


def asked_of_concerts(platform: Served) -> list[float]:
    """How many requests for seats each of its replicas had."""
    found = []
    for name in ("concerts-1", "concerts-2"):
        asked_of = part(platform, name)
        lines = httpx.get(f"{asked_of['url']}/metrics", verify=trusting(asked_of)).text.splitlines()
        asked = (
            line for line in lines if line.startswith("cludale_http_requests_total") and _ASKS_FOR_SEATS.search(line)
        )
        found.append(sum(float(line.rpartition(" ")[2]) for line in asked))
    return found


def final(platform: Served, order: dict[str, Any]) -> dict[str, Any]:
    token = {"authorization": f"Bearer {order['accessToken']}"}
    for _ in range(6):
        seen: dict[str, Any] = platform.http.get(f"/orders/{order['id']}?wait=10", headers=token).json()
        if seen["status"] in {"Paid", "Cancelled"}:
            break
    return seen


def spoken(part: dict[str, Any], trust: ssl.SSLContext | None) -> bytes:
    """What a part answers at its port, over TLS with this trust or in the clear."""
    there = urlsplit(part["url"])
    with socket.create_connection((there.hostname, there.port), timeout=5) as connection:
        asking = connection if trust is None else trust.wrap_socket(connection, server_hostname=there.hostname)
        try:
            asking.sendall(b"GET /readyz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
            return asking.recv(8)
        except ConnectionError:
            return b""
        finally:
            asking.close()


def test_between_gateway_services_pages_and_sidecars_nothing_is_said_in_the_clear(platform: Served) -> None:
    servers = [each for each in state(platform)["parts"] if each["certificate"] is not None]
    services = [f"{service}-1" for service in NAMES]
    assert {each["name"] for each in servers} >= {
        "gateway",
        "pages",
        *services,
        *(f"{each}-sidecar" for each in services),
    }
    for each, another in zip(servers, [*servers[1:], servers[0]], strict=True):
        assert spoken(each, trusting(each)) == b"HTTP/1.1", each["name"]
        assert not spoken(each, None).startswith(b"HTTP"), each["name"]
        with pytest.raises(ssl.SSLCertVerificationError):
            spoken(each, trusting(another))
        assert Path(each["certificate"]).with_suffix(".key").stat().st_mode & 0o077 == 0


def test_a_ticket_is_bought_through_all_of_it(platform: Served) -> None:
    assert buys(platform) == "Paid"


def test_an_event_that_nobody_can_read_is_a_dead_letter_of_each_who_hears_its_type(platform: Served) -> None:
    sidecar = part(platform, "orders-1-sidecar")
    broken = {"specversion": "1.0", "id": "broken-1", "type": "OrderPaid", "source": "orders", "data": {}}
    published = httpx.post(
        f"{sidecar['url']}/v1.0/publish/events/order-events",
        json=broken,
        headers={"content-type": "application/cloudevents+json", "dapr-api-token": sidecar["apiToken"]},
        timeout=20,
        verify=trusting(sidecar),
    )
    assert published.status_code == 204, published.text

    def letters() -> dict[str, dict[str, Any]]:
        listed = command(platform, "deadletters", "list", "--json", **as_people(platform))
        assert listed.returncode == 0, listed.stderr
        return {each["consumer"]: each for each in json.loads(listed.stdout)}

    hearers = {"notifications", "tickets", "audit"}
    assert eventually(lambda: letters().keys() >= hearers, seconds=30)
    assert letters().keys().isdisjoint({"concerts", "payments"}), "what they hear of that topic is of other types"
    letter = letters()["tickets"]
    shown = command(platform, "deadletters", "show", letter["id"], "--json", **as_people(platform))
    assert json.loads(json.loads(shown.stdout)["body"])["id"] == "broken-1"
    retried = command(platform, "deadletters", "retry", letter["id"], **as_people(platform))
    assert retried.returncode == 1, "tickets can't read it now either"
    assert "0 of 1 were taken" in retried.stdout
    assert letters().keys() >= hearers, "it waits on"


@pytest.mark.parametrize("name", ["orders-1", "payments-1-sidecar", "nats", "postgres", "gateway"])
def test_a_part_that_is_killed_comes_back_and_tickets_are_sold_again(platform: Served, name: str) -> None:
    before = part(platform, name)
    os.kill(before["pid"], signal.SIGKILL)
    assert eventually(
        lambda: part(platform, name)["restarts"] > before["restarts"] and part(platform, name)["state"] == "ready",
        seconds=60,
    )
    assert eventually(lambda: platform.http.get("/readyz").status_code == 200, seconds=60)
    assert buys(platform) == "Paid"


def test_the_replicas_of_a_service_are_restarted_one_after_the_other(platform: Served) -> None:
    before = {name: part(platform, name)["pid"] for name in ("concerts-1", "concerts-2", "concerts-1-sidecar")}
    done = command(platform, "up", "restart", "concerts")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["concerts-1 was restarted", "concerts-2 was restarted", ""]
    after = {name: part(platform, name)["pid"] for name in before}
    assert after["concerts-1-sidecar"] == before["concerts-1-sidecar"]
    assert after["concerts-1"] != before["concerts-1"]
    assert after["concerts-2"] != before["concerts-2"]
    assert buys(platform) == "Paid"


def test_what_there_is_not_cannot_be_restarted(platform: Served) -> None:
    done = command(platform, "up", "restart", "nothing")
    assert done.returncode == 2
    assert "there is no part 'nothing'" in done.stderr


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (b"nothing that can be read", "JSONDecodeError"),
        (b'{"token": "guessed", "restart": "audit"}', "the token is wrong"),
        (b'{"token": "%s", "rotate": "?"}', "?"),
    ],
)
def test_whatever_keeps_an_order_from_being_done_is_said_to_who_gave_it(
    platform: Served, order: bytes, why: str
) -> None:
    control = state(platform)["control"]
    with socket.create_connection(("127.0.0.1", control["port"]), timeout=30) as connection:
        connection.sendall(order.replace(b"%s", control["token"].encode()) + b"\n")
        with connection.makefile() as answer:
            assert why in json.loads(answer.readline())["refused"]


def test_a_second_one_over_the_same_folder_is_refused(platform: Served) -> None:
    done = command(platform, "up", "--distributed")
    assert done.returncode == 2
    assert "another `cludale up` runs" in " ".join(done.stderr.split())


def test_told_to_end_it_leaves_nothing_running_and_goes_on_at_the_next_start(platform: Served) -> None:
    pids = [each["pid"] for each in state(platform)["parts"]]
    sold = platform.http.get("/concerts").json()["items"]
    assert platform.stop() == 0
    assert not [pid for pid in pids if lives(pid)]
    assert not (platform.folder / "up.json").exists()
    with up(platform.folder) as again:
        assert again.http.get("/concerts").json()["items"] == sold
        assert buys(again) == "Paid"
        pids = [each["pid"] for each in state(again)["parts"]]
        again.process.send_signal(signal.SIGKILL)
        assert eventually(lambda: not [pid for pid in pids if lives(pid)], seconds=20)
