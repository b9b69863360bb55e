"""Each reader of what strangers send, fed by atheris: it makes up inputs that reach code which no input reached before.

    python -m tools.fuzz                      # each target for 60 seconds
    python -m tools.fuzz --seconds 600 cursor token

Each target runs in a process of its own; what it found interesting is kept in `.cache/fuzz-corpus/TARGET` and gone on
with. An input that breaks something is in a file beside it, and printed. Exit status 1 if there is one.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from time import perf_counter

PROJECT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("CLUDALE_CACHE") or PROJECT / ".cache")
CORPUS = PROJECT / ".cache" / "fuzz-corpus"
_LONGEST = 4_096
_LATER_SECONDS = 300


def alone(name: str, seconds: int) -> None:
    """In a process of its own: what is loaded here is instrumented."""
    sys.path.insert(0, str(CACHE / "fuzz"))
    import atheris  # noqa: PLC0415 - only this process has it

    with atheris.instrument_imports(include=["cludale", "email_validator", "idna"]):
        from tools.fuzz.targets import SEEDS, TARGETS  # noqa: PLC0415 - loaded under the instrument

    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    flags = [f"-max_total_time={seconds}", f"-max_len={_LONGEST}", f"-artifact_prefix={corpus}.broken-"]
    atheris.Setup(
        [sys.argv[0], *flags, "-print_final_stats=1", "-timeout=10", "-rss_limit_mb=2048", str(corpus)], TARGETS[name]
    )
    atheris.Fuzz()


def watched(name: str, seconds: int) -> tuple[bool, str]:
    """Whether nothing broke, and a line about it."""
    began = perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "tools.fuzz", "--alone", "--seconds", str(seconds), name],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds + _LATER_SECONDS,
        check=False,
    )
    cases = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    features = re.findall(r"cov: (\d+) ft: (\d+)", done.stderr)
    reached = f"{features[-1][0]} edges" if features else "nothing reached"
    line = f"{name}: {int(cases[1]) if cases else 0:,} cases, {reached}, {perf_counter() - began:.0f} s"
    return (
        done.returncode == 0,
        line if done.returncode == 0 else f"{line}\n{done.stdout[-2_000:]}{done.stderr[-4_000:]}",
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", help="which; without any, all")
    parser.add_argument("--seconds", type=int, default=60, help="for each (60)")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        alone(options.targets[0], options.seconds)
        return 0
    from tools.fuzz.targets import TARGETS  # noqa: PLC0415 - not before the instrument is there

    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; these are: {', '.join(TARGETS)}")
    broken = False
    for name in options.targets or TARGETS:
        is_well, line = watched(name, options.seconds)
        broken |= not is_well
        print(line, flush=True)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
