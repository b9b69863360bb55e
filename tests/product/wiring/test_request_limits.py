"""Limits of requests in the real app: buyers by their address, staff by their key, services never."""

from pathlib import Path

import pytest
from tests.product.wiring.organizers import FIRST_KEY, bearer, office
from tests.product.wiring.platforms import settings

from cludale.wiring.networks import inside, request_limits
from cludale.wiring.variables import UnusableSetting

BEHIND = {"trusted_proxies": "127.0.0.0/8"}


async def test_who_asks_too_often_is_told_when_to_come_back_and_others_go_on(tmp_path: Path) -> None:
    async with office(tmp_path, address_requests=3, limit_seconds=60, **BEHIND) as here:

        async def asked(address: str) -> tuple[int, str | None]:
            answer = await here.client.get("/concerts", headers={"x-forwarded-for": address})
            return answer.status_code, answer.headers.get("ratelimit")

        assert [(await asked("198.51.100.1"))[0] for _ in range(4)] == [200, 200, 200, 429]
        assert (await asked("198.51.100.2"))[0] == 200
        refused = await here.client.get("/concerts", headers={"x-forwarded-for": "198.51.100.1"})
        assert refused.json()["type"] == "/problems/too-many-requests"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["ratelimit-policy"] == '"address";q=3;w=60'
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await here.client.get(path, headers={"x-forwarded-for": "198.51.100.1"})).status_code == 200


async def test_an_address_that_anyone_could_write_does_not_count(tmp_path: Path) -> None:
    async with office(tmp_path, address_requests=2, limit_seconds=60) as here:
        statuses = [
            (await here.client.get("/concerts", headers={"x-forwarded-for": f"198.51.100.{i}"})).status_code
            for i in range(3)
        ]
        assert statuses == [200, 200, 429]


async def test_a_key_has_its_own_number_wherever_it_is_used(tmp_path: Path) -> None:
    async with office(tmp_path, address_requests=1_000, key_requests=3, limit_seconds=60, **BEHIND) as here:
        key = await here.new_key("read")
        statuses = [
            (await here.client.get("/orders", headers=bearer(key) | {"x-forwarded-for": f"198.51.100.{i}"})).status_code
            for i in range(4)
        ]
        assert statuses == [200, 200, 200, 429]
        assert (await here.ask("GET", "/orders", FIRST_KEY)).headers["ratelimit-policy"] == '"key";q=3;w=60'


async def test_services_are_not_limited(tmp_path: Path) -> None:
    async with office(tmp_path, ("concerts",), address_requests=1, limit_seconds=60, service_key="service") as here:
        for _ in range(3):
            assert (await here.ask("GET", "/concerts/-/keys/listing", "service")).status_code == 200
            reserve = await here.ask("POST", "/concerts/none/reserve", "service", json={"quantity": 1})
            assert reserve.status_code == 404


async def test_without_a_setting_there_are_no_limits_and_no_headers_of_them(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        assert not [name for name in (await here.client.get("/concerts")).headers if name.startswith("ratelimit")]


def test_a_proxy_that_is_no_network_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnusableSetting, match="CLUDALE_TRUSTED_PROXIES"):
        request_limits(settings(tmp_path, trusted_proxies="the gateway"))


async def test_what_is_for_operators_is_shown_where_they_are_and_to_nobody_else(tmp_path: Path) -> None:
    async with office(tmp_path, inside_networks="192.0.2.0/24, 2001:db8:1::/48", **BEHIND) as here:
        for address in ("192.0.2.7", "2001:db8:1::9"):
            assert (await here.client.get("/metrics", headers={"x-forwarded-for": address})).status_code == 200
        for path in ("/metrics", "/openapi.json", "/docs"):
            for address in ("198.51.100.1", "2001:db8::1"):
                answer = await here.client.get(path, headers={"x-forwarded-for": address})
                assert answer.status_code == 404, (path, address)
        assert answer.json()["type"] == "/problems/no-such-route"
        for path in ("/concerts", "/livez", "/problems", "/docs/page.css"):
            assert (await here.client.get(path, headers={"x-forwarded-for": "198.51.100.1"})).status_code == 200
    with pytest.raises(UnusableSetting, match="CLUDALE_INSIDE_NETWORKS"):
        inside(settings(tmp_path, inside_networks="the office"))
