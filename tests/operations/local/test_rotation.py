"""Secrets are changed while buyers come: no request fails, what was given before stays good, the former ones end."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CalledProcessError
from urllib.parse import urlsplit

import asyncpg
import pytest
from tests.parts import need
from tests.patience import eventually
from tests.proof.faults.apart import Stream
from tests.proof.faults.crowd import Crowd
from tests.served import Served, environment, serve, up

from cludale.adapters.broker_monitors.rabbitmq import RabbitMqMonitor
from cludale.ports.broker_monitor import NotKnown
from cludale_operations.local import nats
from cludale_operations.local.jetstream import BrokerRefused, jetstream
from cludale_operations.local.logins import Login, keep_login, kept_login, new_login
from cludale_operations.local.part import PartFailed
from cludale_operations.local.rabbitmq import RabbitMq

pytestmark = pytest.mark.slow

SECONDS = 240
SETTINGS = {"CLUDALE_ADMISSION_SECONDS": "25"}
GOOD = {201, 202, 409}
"""What buyers may be told: seats, soon, or none left."""


def cludale(served: Served, *words: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cludale_operations", *words],
        env=environment(served.folder),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def bought(served: Served) -> tuple[str, dict[str, str]]:
    """An order, and the headers that open it."""
    answer = served.http.post("/orders", json={"concertId": "c-1", "userId": "me", "quantity": 1}).json()
    return answer["id"], {"authorization": f"Bearer {answer['accessToken']}"}


def opens(served: Served, order: tuple[str, dict[str, str]]) -> bool:
    status = served.http.get(f"/orders/{order[0]}", headers=order[1]).status_code
    assert status in {200, 404}
    return status == 200


def assert_nothing_failed(crowd: Crowd) -> None:
    assert crowd.accepted
    assert not crowd.errors, crowd.errors
    assert set(crowd.statuses) <= GOOD | {200}, (crowd.statuses, crowd.refusals)


def test_the_token_key_of_one_process_is_changed_while_buyers_come(tmp_path: Path) -> None:
    with serve(tmp_path, settings=SETTINGS) as served:
        served.concert("c-1", seats=100_000)
        before, crowd = bought(served), Crowd(["c-1"], seed=1)
        with Stream(crowd, served, connections=4, a_second=40):
            said = cludale(served, "secrets", "rotate", "token-key")
            assert "the former one is good, too" in said
            for _ in range(30):  # known within a second
                after = bought(served)
                assert opens(served, before)
                assert opens(served, after)
            shown = json.loads(cludale(served, "secrets", "show", "--json"))
            assert {each["secret"]: each["stands"] for each in shown}["token-key"].startswith("a new one is used")
            crowd.rush(served, 50)
            newest = bought(served)
            cludale(served, "secrets", "rotate", "token-key", "--finish")
            assert eventually(lambda: not opens(served, before)), "the former key is void"
            assert opens(served, newest)
        assert_nothing_failed(crowd)
        assert "one process has token-key and key-hash to change" in " ".join(
            cludale(served, "secrets", "rotate", "service-key", status=2).split()
        )
        kept = newest
    with serve(tmp_path) as again:
        assert opens(again, kept)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two replicas of what buyers ask and what it asks: one sells while the other is started again."""
    for program in ("postgres", "nats-server", "daprd"):
        need(program)
    with up(
        tmp_path_factory.mktemp("up"), "--replicas", "orders=2", "--replicas", "concerts=2", settings=SETTINGS
    ) as running:
        running.concert("c-1", seats=100_000)
        yield running


def addresses(platform: Served, *, service: str | None = None) -> tuple[str, str]:
    """Of the database, for its owner or for a service, and of the broker."""
    state = json.loads((platform.folder / "up.json").read_text())
    return state["databaseUrl"] if service is None else state["databaseUrls"][service], state["brokerUrl"]


async def enter(database: str, broker: str) -> tuple[bool, bool]:
    """Do both let these in?"""
    try:
        await (await asyncpg.connect(database)).close()
        first = True
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidPasswordError):
        first = False
    try:
        async with jetstream(broker):
            return first, True
    except BrokerRefused:
        return first, False


def test_all_secrets_of_a_distributed_platform_are_changed_at_once_while_buyers_come(platform: Served) -> None:
    key = platform.http.post(
        "/concerts/-/keys", json={"name": "box office", "scopes": ["read"]}, headers=platform.organizer
    ).json()["key"]
    before, crowd, former = bought(platform), Crowd(["c-1"], seed=1, regretting=0.0), addresses(platform)
    passwords, formers_of_orders = [urlsplit(each).password for each in former], addresses(platform, service="orders")
    with Stream(crowd, platform, connections=4, a_second=8):
        said = cludale(platform, "secrets", "rotate", "token-key", "service-key", "key-hash", "database", "broker")
    assert "service-key: the former one is void" in said
    assert "postgres: the former password is void" in said
    assert "nats: the former password is void" in said
    assert_nothing_failed(crowd)
    for voided, good in (
        (former, addresses(platform)),
        (formers_of_orders, addresses(platform, service="orders")),
    ):
        assert asyncio.run(enter(*voided)) == (False, False)
        assert asyncio.run(enter(*good)) == (True, True)
    assert opens(platform, before), "the former token key is good until --finish"
    assert platform.http.get("/orders", headers={"authorization": f"Bearer {key}"}).status_code == 200
    kept = "".join(each.read_text() for each in platform.folder.glob("*/password"))
    assert not any(str(password) in kept for password in passwords)
    assert "CLUDALE_ORGANIZER_KEY is set" in " ".join(
        cludale(platform, "secrets", "rotate", "organizer-key", status=2).split()
    )


def test_no_password_is_taken_for_an_option_on_a_command_line() -> None:
    assert not any(new_login().password.startswith("-") for _ in range(1_000))


def test_two_users_take_turns(tmp_path: Path) -> None:
    first = new_login()
    second = new_login(first)
    assert [first.user, second.user, new_login(second).user] == ["cludale", "cludale_2", "cludale"]
    for login in (first, second, Login("cludale", "earlier:form")):
        keep_login(tmp_path, login)
        assert kept_login(tmp_path) == login
        assert (tmp_path / "password").stat().st_mode & 0o077 == 0


async def test_a_login_that_the_broker_does_not_take_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats, "RELOAD_SECONDS", 1)
    server = nats.Nats(tmp_path)  # which does not run
    await server.prepare()
    before = kept_login(tmp_path)
    with pytest.raises(PartFailed, match="does not take its new password"):
        await server.renew_login()
    assert kept_login(tmp_path) == before


async def test_rabbitmq_lets_a_new_user_in_and_the_former_no_more(tmp_path: Path) -> None:
    need("rabbitmq-server")
    async with RabbitMq(tmp_path).running() as server:
        counted_by_former = RabbitMqMonitor(server.management_url, ["orders-concert-events"])
        former = await server.renew_login()
        counted = RabbitMqMonitor(server.management_url, ["orders-concert-events"])
        assert await counted.waiting() == await counted_by_former.waiting() == 0
        for login in (former, kept_login(tmp_path)):
            await server.control("authenticate_user", *login)
        await server.end_login(former)
        (user,) = json.loads((tmp_path / "definitions.json").read_text())["users"]
        assert user["name"] == "cludale_2"
        with pytest.raises(CalledProcessError):
            await server.control("authenticate_user", *former)
        await server.control("authenticate_user", *kept_login(tmp_path))
        with pytest.raises(NotKnown):
            await counted_by_former.waiting()
        assert await counted.waiting() == 0
        for each in (counted, counted_by_former):
            await each.close()
