#!/usr/bin/env bash
# pytest-xdist 3.8.0 under pytest 9.2.0: `--dist=loadgroup` groups nothing, and says nothing.
#
# Most would expect: tests that are marked `xdist_group` run in one process, one after the other, as they did
# under pytest 9.1; or, where the two releases don't fit, a warning or an error.
# Seen: they are spread over all processes like any others, the run is green, and the only sign is that the test
# names in the output lack their "@group". Whatever a group was made for (a fixture that is built once, a server
# that only one test may hurt at a time) is gone. pytest 9.2 made a test's id a value of its own, and xdist still
# writes the field that it was before (pytest-dev/pytest-xdist#1386).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/test_group.py" <<'PYTHON'
import os
import time
from pathlib import Path

import pytest


@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(12))
def test_of_the_group(number):
    time.sleep(0.1)
    with Path(os.environ["SEEN"]).open("a") as seen:
        seen.write(os.environ["PYTEST_XDIST_WORKER"] + "\n")
PYTHON
processes() { # how many processes a group ran in, under this pytest
    python3 -m venv --clear "$folder/venv"
    "$folder/venv/bin/pip" --disable-pip-version-check --quiet install "pytest==$1" 'pytest-xdist==3.8.0'
    rm -f "$folder/seen"
    (cd "$folder" && SEEN="$folder/seen" venv/bin/python -m pytest -q -p no:cacheprovider -n 3 --dist=loadgroup \
        > "$folder/output")
    sort -u "$folder/seen" | wc -l
}
before=$(processes 9.1.0)
after=$(processes 9.2.0)
echo "pytest 9.1.0: one group ran in $before process(es)"
echo "pytest 9.2.0: expected 1, seen $after; exit status 0"
tail -n 1 "$folder/output"
if [ "$before" != 1 ] || [ "$after" -lt 2 ]; then
    echo "It no longer behaves as described here." >&2
    exit 1
fi
