"""The API keeps its own contract, whatever is sent: schemathesis reads /openapi.json and tries."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.served import Served, serve

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "use_after_free",
)

CONFIG = """\
[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 415, 422, 428, 429, 431, "5xx"]
"""
"""What refuses bad data: schemathesis' own list, and 431. A query of 40 KB, each of its characters written as twelve,
meets the door before it meets the route.
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """One of its own: what is sent ends others' orders, too."""
    with serve(tmp_path / "data") as running:
        running.concert("the-concert", seats=100_000)
        yield running


@pytest.mark.timeout(400)  # among the longest: its file begins early
@pytest.mark.slow
def test_the_api_keeps_its_contract_whatever_is_sent(served: Served, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    ended = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            *("run", f"{served.url}/openapi.json"),
            *("--header", f"Authorization: {served.organizer['authorization']}"),
            *("--checks", ",".join(CHECKS)),
            *("--phases", "examples,coverage,fuzzing"),
            *("--max-examples", "8", "--seed", "1", "--generation-database", "none", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr
    operations = re.search(r"Tested: (\d+)", ended.stdout)
    assert operations is not None
    assert int(operations[1]) == 38
    cases = re.search(r"(\d+) generated", ended.stdout)
    assert cases is not None
    assert int(cases[1]) > 300
