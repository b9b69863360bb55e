"""Clients that offer HTTP/2 with each request place their orders in HTTP/1.1, at the server and through the gateway."""

import subprocess
from pathlib import Path

import pytest
from tests.operations.gateway.conftest import Real
from tests.parts import need

pytestmark = pytest.mark.slow

ORDER = '{"concertId":"the-concert","userId":"me","quantity":1}'
WAYS = ["server", "gateway"]


@pytest.mark.parametrize("way", WAYS)
def test_javas_http_client_places_orders(real: Real, way: str) -> None:
    java = need("java")
    program = Path(__file__).with_name("Orders.java")
    url = getattr(real, way).url
    ran = subprocess.run([java, program, url, ORDER], capture_output=True, text=True, timeout=120, check=False)
    assert ran.stdout.split() == ["201", "201", "201", "200"], ran.stdout + ran.stderr


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "options", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]], ids=["", "chunked", "asks"]
)
def test_curl_that_offers_http2_places_orders_over_one_connection(
    real: Real, tmp_path: Path, way: str, options: list[str]
) -> None:
    curl = need("curl")
    url = getattr(real, way).url
    body = tmp_path / "order.json"
    body.write_text(ORDER)
    one = ["--http2", "-sS", "-m", "20", "-o", str(tmp_path / "answer"), "-w", "%{http_code} %{num_connects}\n"]
    one += [*options, "-d", f"@{body}", f"{url}/orders"]
    ran = subprocess.run([curl, *one, "--next", *one], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout.splitlines() == ["201 1", "201 0"], ran.stdout + ran.stderr
