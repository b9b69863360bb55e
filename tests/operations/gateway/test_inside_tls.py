"""Behind the gateway TLS is spoken with who shows the certificate that the address names, and with nobody else."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.operations.gateway.backends import backend
from tests.operations.gateway.conftest import Start, to

from cludale_operations.gateway.configuration import servers
from cludale_operations.gateway.routes import BackendRoute, Routes, ServiceRoutes, UnusableRoutes, checked, place
from cludale_operations.gateway.runtime import GatewayRefused
from cludale_operations.local.certificate import make_certificate

Make = Callable[[str], Path]


@pytest.fixture
def certificate(tmp_path: Path) -> Make:
    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return make_certificate(folder, name).certificate

    return make


async def test_a_backend_is_reached_over_tls_from_when_it_is_added(start: Start, certificate: Make) -> None:
    async with backend(certificate=certificate("blue")) as blue, start(orders=to(blue)) as gateway:
        assert (await gateway.http.get("/orders")).status_code == 200
        (shown,) = (await asyncio.to_thread(gateway.control.status))["orders"].backends
        assert shown.url == blue.url
        async with backend(certificate=certificate("green")) as green:
            await gateway.put("orders", to(blue, green, blue=0, green=100))
            assert (await gateway.http.get("/orders")).headers["x-cludale-revision"] == "green"
            assert len(green.got) == 1


async def test_who_shows_another_certificate_gets_no_request(start: Start, certificate: Make) -> None:
    meant = certificate("meant")
    async with backend(certificate=certificate("another"), known_by=meant) as another, start(orders=to(another)) as it:
        assert await it.ready("orders") == [False]
        assert (await it.http.get("/orders")).status_code == 503
        assert another.got == []


async def test_a_backend_that_comes_again_may_show_a_new_certificate(start: Start, certificate: Make) -> None:
    for _ in range(2):
        async with backend(certificate=certificate("blue")) as blue, start(orders=to(blue)) as gateway:
            assert (await gateway.http.get("/orders")).status_code == 200


async def test_a_certificate_that_can_not_be_read_changes_nothing(start: Start, tmp_path: Path) -> None:
    async with backend(known_by=tmp_path / "none.crt") as strange, start() as gateway:
        with pytest.raises(GatewayRefused, match=r"none\.crt can't be read"):
            await gateway.put("orders", to(strange))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:1",
        "https://127.0.0.1:1?cacertfile=relative.crt",
        "https://127.0.0.1:1?cafile=/a.crt",
        "http://127.0.0.1:1?cacertfile=/a.crt",
    ],
)
def test_an_address_over_tls_names_what_is_trusted_there_and_no_other_does(url: str) -> None:
    with pytest.raises(UnusableRoutes, match="cacertfile="):
        place(url)


def test_a_path_with_a_space_is_one_word() -> None:
    url = "https://127.0.0.1:1?cacertfile=/my%20data/server.crt"
    routes = checked(Routes({"orders": ServiceRoutes((BackendRoute(url),))})).services["orders"]
    (server,) = servers("orders", routes)["orders"].values()
    assert server.trusted == Path("/my data/server.crt")
