#!/usr/bin/env bash
# pycep-parser 0.7.1, by which checkov reads Bicep: an expression becomes the tree of another one.
#
# Most would expect: what a parser of Bicep makes of an expression is what Bicep computes: `10 - 4 - 3` is 3, `2 * 3 + 1`
# is 7, and `!a && b` negates a alone (the table of operators in the language's documentation).
# Seen: every operator takes all that stands to its right as its operand, whatever binds first, and `!` all of it, too.
# The trees say 10 - (4 - 3), 2 * (3 + 1) and !(a && b). A name and a text of the same letters become the same value. So
# whoever computes with the trees, or looks whether a property is a constant, gets wrong answers without an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'pycep-parser==0.7.1'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from pycep import BicepParser

SIGNS = {"add": "+", "substract": "-", "multiply": "*", "divide": "/", "and": "&&", "or": "||", "equals": "=="}
parser = BicepParser()


def tree(value: object) -> str:
    """The expression that a tree stands for, with all its brackets."""
    if not isinstance(value, dict):
        return str(value)
    operator = value["operator"]
    operands = operator["operands"]
    if operator["type"] == "not":
        return f"!{tree(operands['bool_value'])}"
    return f"({tree(operands['operand_1'])} {SIGNS[operator['type']]} {tree(operands['operand_2'])})"


def read(expression: str) -> str:
    return tree(parser.parse(text=f"var x = {expression}\n")["variables"]["x"]["value"])


print(f"pycep-parser {version('pycep-parser')}")
CASES = (
    ("10 - 4 - 3", "((10 - 4) - 3)", "(10 - (4 - 3))"),
    ("12 / 2 / 3", "((12 / 2) / 3)", "(12 / (2 / 3))"),
    ("2 * 3 + 1", "((2 * 3) + 1)", "(2 * (3 + 1))"),
    ("a == b && c", "((a == b) && c)", "(a == (b && c))"),
    ("!a && b", "(!a && b)", "!(a && b)"),
)
changed = False
for expression, expected, seen in CASES:
    found = read(expression)
    print(f"{expression}: expected {expected}, found {found}")
    changed |= found != seen
alike = read("location") == read("'location'")
print(f"the name location and the text 'location': {'alike' if alike else 'told apart'}")
if changed or not alike:
    sys.exit("not seen")
print("seen")
PYTHON
