#!/usr/bin/env bash
# typer 0.29.2 beside 0.28.0: a command with one number takes twice the CPU to start, for the smaller release brings pydantic.
#
# Most would expect: typer is a thin layer over click that reads type hints by itself; a release from 0.28 to 0.29 changes
# nothing in what a program loads.
# Seen: click is no longer a dependency (it is copied into typer, so a command of typer is no click.Command); since 0.29 each
# parameter is converted by a pydantic TypeAdapter, so that pydantic and its compiled core are installed and loaded before
# any command runs, 100 modules more, whatever the types are.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/program.py" <<'PYTHON'
import resource
import sys

import typer

app = typer.Typer()


@app.command()
def seats(number: int = 1) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(round(1000 * (used.ru_utime + used.ru_stime)), len(sys.modules), "pydantic" in sys.modules)


app()
PYTHON
for version in 0.28.0 0.29.2; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" --disable-pip-version-check --quiet install "typer==$version" click==8.3.1
done
python3 - "$folder" <<'PYTHON'
import subprocess
import sys
from statistics import median

folder = sys.argv[1]


def started(version):
    """CPU in ms (the median of 9), modules, and is pydantic among them?"""
    said = []
    for _ in range(10):  # the first one compiles
        run = [f"{folder}/{version}/bin/python", f"{folder}/program.py", "--number", "2"]
        said.append(subprocess.run(run, capture_output=True, text=True, check=True).stdout.split())
    return median(int(each[0]) for each in said[1:]), int(said[-1][1]), said[-1][2] == "True"


def is_of_click(version):
    asks = "import click, typer; a = typer.Typer(); a.command()(lambda: None); print(isinstance(typer.main.get_command(a), click.Command))"
    run = [f"{folder}/{version}/bin/python", "-c", asks]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == "True"


before, after = started("0.28.0"), started("0.29.2")
for version, (cpu, modules, has) in (("0.28.0", before), ("0.29.2", after)):
    print(f"typer {version}: {cpu} ms of CPU, {modules} modules, pydantic {'is' if has else 'is not'} among them")
print(f"a command of typer 0.29.2 is a click.Command: expected True, seen {is_of_click('0.29.2')}")
if before[2] or not after[2] or after[0] < 1.5 * before[0] or is_of_click("0.29.2"):
    sys.exit("It no longer behaves as described here.")
PYTHON
