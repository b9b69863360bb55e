"""`cludale gateway` as a process, before a real server."""

import asyncio
import json
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from time import sleep

import httpx
import pytest
from tests.operations.gateway.backends import Received, answer, backend
from tests.parts import need
from tests.patience import until
from tests.served import KEY, environment, gateway, serve
from typer.testing import CliRunner

from cludale.services import NAMES
from cludale_operations.cli import app
from cludale_operations.gateway.control import Control
from cludale_operations.gateway.runtime import GatewayRefused


def test_the_gateway_stands_before_a_real_server_and_shows_its_routes(tmp_path: Path) -> None:
    need("haproxy")
    with serve(tmp_path / "data") as served:
        served.concert("c1")
        routes = {"backends": [{"url": served.url}]}
        with gateway(tmp_path, dict.fromkeys(NAMES, routes)) as before:
            order = before.http.post("/orders", json={"concertId": "c1", "userId": "me", "quantity": 2})
            assert order.status_code == 201
            bearer = {"authorization": f"Bearer {order.json()['accessToken']}"}
            assert before.http.get(f"/orders/{order.json()['id']}?wait=10", headers=bearer).json()["status"] == "Paid"
            assert before.http.get("/audit/verify", headers={"authorization": f"Bearer {KEY}"}).json()["ok"]
            assert before.http.get("/readyz").status_code == 200
            shown = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "cludale_operations",
                    "gateway",
                    "routes",
                    "--config",
                    tmp_path / "gateway.json",
                    "--json",
                ],
                env=environment(tmp_path),
                capture_output=True,
                check=True,
                timeout=60,
            )
            rows = json.loads(shown.stdout)
            assert {row["service"] for row in rows} == set(NAMES)
            assert {(row["weight"], row["state"]) for row in rows} == {(100, "ready")}


def test_a_gateway_says_nothing_of_services_that_it_has_not_asked(tmp_path: Path) -> None:
    need("haproxy")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dumb = {"backends": [{"url": f"http://127.0.0.1:{silent.getsockname()[1]}"}]}
        with gateway(tmp_path, dict.fromkeys(NAMES, dumb)) as before:
            assert before.http.get("/readyz").status_code == 503


async def test_a_stopping_gateway_finishes_what_is_under_way(tmp_path: Path) -> None:
    need("haproxy")
    control = Control(tmp_path / "gateway.json", tmp_path)

    async def slowly(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)
        writer.write(answer())

    async with backend(slowly) as one:
        with ExitStack() as stack:
            # beside us, for it asks the backend, which is ours
            begun = gateway(tmp_path, {"orders": {"backends": [{"url": one.url}]}})
            before = await asyncio.to_thread(stack.enter_context, begun)
            reader, writer = await asyncio.open_connection("127.0.0.1", before.port)
            writer.write(b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
            await until(lambda: len(one.got) == 1)
            assert await asyncio.to_thread(before.stop) == 0
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        with pytest.raises(GatewayRefused, match="no answer from the gateway"):
            control.status()


def test_a_gateway_is_its_owners_alone_has_its_folder_alone_and_ends_with_all_that_it_started(tmp_path: Path) -> None:
    need("haproxy")
    with gateway(tmp_path, {}) as before:
        assert (tmp_path / "gateway.sock").stat().st_mode & 0o077 == 0
        assert (tmp_path / "gateway.cfg").stat().st_mode & 0o077 == 0
        second = subprocess.run(
            [sys.executable, "-m", "cludale_operations", "gateway", "--config", tmp_path / "gateway.json"],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert second.returncode == 2
        assert "another gateway runs" in second.stderr
        before.process.kill()
        before.process.wait(20)
        for _ in range(100):
            with suppress(httpx.TransportError):
                before.http.get("/livez")
                sleep(0.1)
                continue
            break
        else:
            pytest.fail("it answers still")


def test_routes_that_cannot_be_read_are_said_to_be(tmp_path: Path) -> None:
    wrong = {"services": {"orders": {"traffic": [{"revision": "a", "weight": 50}]}}}
    strange: dict[str, object] = {"services": {"nothing": {}}}
    for text, why in (
        (json.dumps(wrong), "the weights make 50"),
        (json.dumps(strange), "there is no service nothing"),
        (None, "No such file"),
    ):
        config = tmp_path / "gateway.json"
        config.unlink(missing_ok=True)
        if text is not None:
            config.write_text(text)
        found = CliRunner().invoke(
            app, ["gateway", "--config", str(config)], env=environment(tmp_path, CLUDALE_PORT="0")
        )
        assert found.exit_code == 2
        assert why in found.stderr
