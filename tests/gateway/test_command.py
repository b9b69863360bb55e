"""`cludale gateway` as a process, before a real server."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from tests.served import KEY, environment, serve
from typer.testing import CliRunner

from cludale.cli import app
from cludale.services import NAMES


def test_the_gateway_stands_before_a_real_server_and_shows_its_routes(tmp_path: Path) -> None:
    config = tmp_path / "gateway.json"
    with serve(tmp_path / "data") as served:
        served.concert("c1")
        backends = {"backends": [{"url": served.url}]}
        config.write_text(json.dumps({"services": dict.fromkeys(NAMES, backends)}))
        settings = environment(tmp_path, CLUDALE_GATEWAY_ADMIN_PORT="0", CLUDALE_GATEWAY_TOKEN="t")
        process = subprocess.Popen(
            [sys.executable, "-m", "cludale", "gateway", "--config", str(config)],
            env=settings,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        greeting = [process.stdout.readline() for _ in range(3)]
        try:
            url = greeting[0].split(" on ")[1].split(" ")[0]
            admin = greeting[2].split()[1].removesuffix("/-/routes")
            with httpx.Client(base_url=url, timeout=10) as http:
                order = http.post("/orders", json={"concertId": "c1", "userId": "me", "quantity": 2})
                assert order.status_code == 201
                bearer = {"authorization": f"Bearer {order.json()['accessToken']}"}
                assert http.get(f"/orders/{order.json()['id']}?wait=10", headers=bearer).json()["status"] == "Paid"
                assert http.get("/audit/verify", headers={"authorization": f"Bearer {KEY}"}).json()["ok"]
                assert http.get("/readyz").status_code == 200
            shown = subprocess.run(
                [sys.executable, "-m", "cludale", "gateway", "routes", "--admin", admin, "--json"],
                env=settings,
                capture_output=True,
                check=True,
                timeout=30,
            )
            rows = json.loads(shown.stdout)
            assert {row["service"] for row in rows} == set(NAMES)
            assert {(row["weight"], row["state"]) for row in rows} == {(100, "ready")}
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
            process.stdout.close()


def test_routes_that_cannot_be_read_are_said_to_be(tmp_path: Path) -> None:
    wrong = {"services": {"orders": {"traffic": [{"revision": "a", "weight": 50}]}}}
    for text, why in ((json.dumps(wrong), "the weights make 50"), (None, "No such file")):
        config = tmp_path / "gateway.json"
        config.unlink(missing_ok=True)
        if text is not None:
            config.write_text(text)
        found = CliRunner().invoke(
            app, ["gateway", "--config", str(config)], env=environment(tmp_path, CLUDALE_GATEWAY_ADMIN_PORT="0")
        )
        assert found.exit_code == 2
        assert why in found.stderr
