"""Telemetry is on when there is anywhere to send it, and says what is missing."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.operations.telemetry.receiver import receiving
from tests.served import environment, serve

pytestmark = pytest.mark.slow


def test_off_nothing_of_opentelemetry_is_loaded(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys, cludale_operations.cli.serve, cludale_operations.telemetry.turning_on\n"
        "import cludale.web.server\n"
        "from cludale.wiring.platform import Platform\n"
        "from cludale.wiring.settings import Settings\n"
        "async def main():\n"
        "    platform = Platform(Settings.from_env(__import__('os').environ))\n"
        "    await platform.start(); await platform.stop()\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'azure'))])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("variable", "value", "module", "extra"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9", "opentelemetry.sdk", "cludale[distributed]"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9", "opentelemetry.exporter", "cludale[distributed]"),
        (
            "APPLICATIONINSIGHTS_CONNECTION_STRING",
            "InstrumentationKey=00000000-0000-0000-0000-000000000001",
            "azure.monitor",
            "cludale[azure]",
        ),
    ],
)
def test_what_is_not_installed_is_named_at_the_start(
    variable: str, value: str, module: str, extra: str, tmp_path: Path
) -> None:
    code = (
        f"import sys; sys.modules['{module}'] = None; sys.argv[1:] = ['serve']\n"
        "from cludale_operations.cli import main; main()"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path / "data", **{variable: value}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert variable in run.stderr
    assert extra in run.stderr.replace("\n", "")
    assert "Traceback" not in run.stderr


def test_a_connection_string_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "cludale_operations", "serve"],
        env=environment(tmp_path / "data", APPLICATIONINSIGHTS_CONNECTION_STRING="nonsense"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert "APPLICATIONINSIGHTS_CONNECTION_STRING can't be used" in run.stderr


def sell(url: str, orders: int) -> None:
    for _ in range(orders):
        answer = httpx.post(f"{url}/orders", json={"concertId": "the-concert", "userId": "me", "quantity": 1})
        assert answer.status_code == 201


def test_a_collector_that_is_away_or_broken_stops_no_sale_and_no_stop(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with receiving() as receiver:
        receiver.status = 500
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_TRACES_SAMPLER": "parentbased_always_on"}
        with serve(tmp_path, settings=settings) as served:
            served.concert("the-concert")
            sell(served.url, 20)
            assert served.stop() == 0
    said = [line for line in capfd.readouterr().err.splitlines() if "can't be delivered" in line]
    assert len([line for line in said if "traces" in line]) == 1


def test_a_collector_that_redirects_has_taken_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with receiving() as receiver:
        receiver.status = 308
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_TRACES_SAMPLER": "parentbased_always_on"}
        with serve(tmp_path, settings=settings) as served:
            served.concert("the-concert")
            sell(served.url, 3)
            assert served.stop() == 0
    said = [line for line in capfd.readouterr().err.splitlines() if "traces can't be delivered" in line]
    assert len(said) == 1
    assert f"308 to {receiver.url}/elsewhere" in said[0]


def test_the_sampler_is_chosen_by_its_own_variable(tmp_path: Path) -> None:
    with receiving() as receiver:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_TRACES_SAMPLER": "parentbased_always_off"}
        with serve(tmp_path, settings=settings) as served:
            served.concert("the-concert")
            sell(served.url, 3)
            served.stop()
        assert receiver.spans == []


def test_a_log_of_json_lines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serve(tmp_path, settings={"CLUDALE_LOG_FORMAT": "json", "CLUDALE_LOG_LEVEL": "info"}) as served:
        served.concert("the-concert")
        sell(served.url, 1)
    lines = [line for line in capfd.readouterr().err.splitlines() if line]
    assert lines
    assert all(line.startswith('{"time":') for line in lines)
