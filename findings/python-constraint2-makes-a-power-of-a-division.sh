#!/usr/bin/env bash
# python-constraint2 2.9.0: a condition with `//` that is written as a text is solved with a power.
#
# Most would expect: addConstraint("seat // 3 == 2"), the form that the documentation prefers to a function, means what it means in
# Python, only faster, or is refused as texts with abs() or "not" are. Of the seats 0 to 39 these are 6, 7 and 8.
# Seen: the solver finds 8 alone, for what is divided by is brought to the other side by writing * for each /, which makes
# 2 ** 3 of // 3. So "seat // 2 == 3" is 9, and "seat // 10 <= 2" lets in every seat up to 1024. The sign in "-a <= b" is lost in the
# same place: it is solved as a <= b. No error, no warning, and solutions come, many of which break the rule. The same
# condition as a function is right, and so is "/" with a number.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'python-constraint2==2.9.0'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from constraint import Problem

A, B = range(40), range(-3, 4)


def solutions(*condition) -> set[tuple[int, int]]:
    problem = Problem()
    problem.addVariable("a", list(A))
    problem.addVariable("b", list(B))
    problem.addConstraint(*condition)
    return {(found["a"], found["b"]) for found in problem.getSolutions()}


def all_of(condition: str) -> set[tuple[int, int]]:
    return {(a, b) for a in A for b in B if eval(condition, {"a": a, "b": b})}


CASES = {
    # what is written: what is solved
    "a // 3 == 2": "a == 2 ** 3",
    "a // 2 == 3": "a == 3 ** 2",
    "a // 10 <= 2": "a <= 2 ** 10",
    "-a <= b": "a <= b",
    "a / 3 == 2": "a == 6",
    "2 * a <= b": "2 * a <= b",
}
print("python-constraint2", version("python-constraint2"), "on Python", sys.version.split()[0])
changed = False
for written, solved in CASES.items():
    expected, known = all_of(written), all_of(solved)
    seen, as_function = solutions(written), solutions(eval(f"lambda a, b: {written}"), ("a", "b"))
    print(f"{written}, values of a\n  expected {sorted({a for a, _ in expected})}\n  seen     {sorted({a for a, _ in seen})}")
    print(f"  {len(seen - expected)} of {len(seen)} solutions break it, {len(expected - seen)} are missing")
    changed |= seen != known or as_function != expected
if changed:
    sys.exit("not seen")
print("seen")
PYTHON
