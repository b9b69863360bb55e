"""Has a newer release waited too long? `make updates`: asks the registries about all that is locked.

Prints what has waited for longer than SECURITY.md allows and has no exception that is still good (exceptions.toml), and
exceptions that are not needed any more. Exit status 1 where there is any; 2 where a registry gives no answer, as then
nothing is known.
"""

import argparse
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tools.updates import go_modules, images, npm_packages, python_packages
from tools.updates.late import DAYS, EXCEPTIONS, Late, complaints, exceptions

PROJECT = Path(__file__).resolve().parents[2]


def lock_files(project: Path) -> list[str]:
    """Every lock file of the project, as Git knows them."""
    command = ["git", "-C", str(project), "ls-files", "*.lock", "*package-lock.json", "*go.mod"]
    said: str = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return said.splitlines()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make updates", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--uv", type=Path, required=True, help="where the program uv is")
    uv = parser.parse_args().uv
    today = datetime.now(UTC).date()
    before = today - timedelta(days=DAYS)
    late: list[Late] = []
    locks = lock_files(PROJECT)
    for lock in locks:
        print(f"{lock} …", file=sys.stderr)
        try:
            if lock.endswith(".lock"):
                late += python_packages.late(PROJECT, uv, lock, before)
            elif lock.endswith(".json"):
                late += npm_packages.late(PROJECT, lock, before)
            else:
                late += go_modules.late(PROJECT, lock, before)
        except subprocess.CalledProcessError as failed:
            said = failed.stderr.decode() if isinstance(failed.stderr, bytes) else failed.stderr
            print(f"{lock}: no answer from its registry\n{said}", file=sys.stderr)
            return 2
    late += images.late(PROJECT)
    lines = complaints(late, exceptions(EXCEPTIONS.read_text()), today)
    print("\n".join(lines))
    print(f"{len(locks)} lock files; newer releases of before {before}: {len(set(late))}, {len(lines)} to be seen to")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
