"""Whatever is sent to the API: schemathesis reads /openapi.json, tries what must be refused, too, and sequences.

    python -m tools.fuzz.api --cases 100000

Each round is a server of its own with an empty store and another seed, so that what one ends is no other's; rounds go
on until there are so many cases. A fault is printed as schemathesis says it. Exit status 1 if there is one.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

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
negative_data_rejection.expected-statuses = [
    400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429, 431, "5xx",
]
"""
"""What refuses bad data: schemathesis' own list, and 412, 413 and 431. An `If-Match` that is no ETag, however long,
is not that of the concert. A query of 40 KB, each of its characters written as twelve, meets the door before the route,
and so does a list of so many entries that it is too large a body.
"""
BOUNDED = ("examples", "coverage", "fuzzing")
WHOLE = (*BOUNDED, "stateful")
_ROUND_SECONDS = 3_600
_ANSWER_SECONDS = 60
"""No statement about speed: a server that gets no CPU beside other work has been cut off after 10 s."""


class Tried(NamedTuple):
    """What one round came to."""

    status: int
    cases: int
    operations: int
    said: str


def tried(
    url: str, authorization: str, folder: Path, *, examples: int, seed: int, phases: Sequence[str], seconds: int
) -> Tried:
    """Try the API at `url`; `folder` takes schemathesis' configuration."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    ended = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            *("run", f"{url}/openapi.json"),
            *("--header", f"Authorization: {authorization}"),
            *("--checks", ",".join(CHECKS)),
            *("--phases", ",".join(phases), "--request-timeout", str(_ANSWER_SECONDS)),
            *("--max-examples", str(examples), "--seed", str(seed), "--generation-database", "none", "--no-color"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    cases, operations = re.search(r"(\d+) generated", ended.stdout), re.search(r"Tested: (\d+)", ended.stdout)
    return Tried(
        ended.returncode,
        int(cases[1]) if cases else 0,
        int(operations[1]) if operations else 0,
        ended.stdout[-20_000:] + ended.stderr,
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz.api", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000, help="how many at least (100000)")
    parser.add_argument("--examples", type=int, default=100, help="of each operation in a round (100)")
    parser.add_argument("--seed", type=int, default=1, help="of the first round (1)")
    options = parser.parse_args()
    from tests.served import serve  # noqa: PLC0415 - the tests' own server

    done, broken, rounds, began = 0, 0, 0, perf_counter()
    while done < options.cases:
        seed, rounds = options.seed + rounds, rounds + 1
        with tempfile.TemporaryDirectory(prefix="cludale-fuzz-") as place, serve(Path(place) / "data") as served:
            served.concert("the-concert", seats=1_000_000)
            round_ = tried(
                served.url,
                served.organizer["authorization"],
                Path(place),
                examples=options.examples,
                seed=seed,
                phases=WHOLE,
                seconds=_ROUND_SECONDS,
            )
        if round_.status or not round_.cases:
            broken += 1
            print(round_.said, flush=True)
        if not round_.cases:
            break
        done += round_.cases
        print(
            f"seed {seed}: {done:,} cases over {round_.operations} operations, {perf_counter() - began:.0f} s",
            flush=True,
        )
    print(f"{done:,} cases in {rounds} rounds, {broken} of them with faults")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
