"""bandit over src, each finding held against its answer in answers.toml: `python tools/security/found.py BANDIT`.

Exit status 1 where a finding has no answer, or an answer no finding any more.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "src"
ANSWERS = Path(__file__).with_name("answers.toml")


def found(bandit: Path) -> set[tuple[str, str]]:
    """Rule and file of each finding."""
    done = subprocess.run(
        [bandit, "--quiet", "--recursive", "--format", "json", SOURCES],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = json.loads(done.stdout)
    assert not said["errors"], said["errors"]
    return {
        (each["test_id"], Path(each["filename"]).resolve().relative_to(SOURCES).as_posix()) for each in said["results"]
    }


def answered() -> set[tuple[str, str]]:
    """Rule and file of each answer."""
    known = tomllib.loads(ANSWERS.read_text())
    return {(rule, file) for rule, answer in known.items() for file in answer["files"] if answer["why"]}


def main() -> int:
    """The command line."""
    there, known = found(Path(sys.argv[1])), answered()
    for rule, file in sorted(there - known):
        print(f"{rule} {file}: no answer in {ANSWERS.name}")
    for rule, file in sorted(known - there):
        print(f"{rule} {file}: answered, and not found any more")
    print(f"{len(there)} findings by rule and file, {len(there & known)} answered")
    return int(there != known)


if __name__ == "__main__":
    sys.exit(main())
