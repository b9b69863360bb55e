#!/usr/bin/env bash
# @openfeature/flagd-core 4.0.1 with openfeature-flagd-core 2.0.0: a percentage is made up of other users in Python than in JavaScript.
#
# Most would expect: a user who is among the tenth that get the presale in the shop is among them in the service behind it, for both
# read the same flag and hash the same key. flagd's specification of "fractional" names its hash so that a flag yields the same result
# "regardless of which implementation of the in-process flagd provider is being used".
# Seen: 1 in 10 of them, as many as by chance. JavaScript hashes the key as it is, Python its form in CBOR. flagd's design papers
# announce that change, but the two are the newest of December 2026, and the newest providers (@openfeature/flagd-provider 0.16.1,
# openfeature-provider-flagd 0.6.1) evaluate with them in process. Each alone has the right share, and always the same users, so no
# test of one side shows it.
#
# Wanted: Node.
set -euo pipefail
command -v npm >/dev/null || { echo "Node is wanted" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts '@openfeature/flagd-core@4.0.1' '@openfeature/core@1.12.0' >npm.log 2>&1 || { cat npm.log >&2; exit 2; }
python3 -m venv venv
venv/bin/pip --disable-pip-version-check --quiet install 'openfeature-flagd-core==2.0.0'
cat >flags.json <<'JSON'
{
  "flags": {
    "presale": {
      "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
      "targeting": {"fractional": [["on", 10], ["off", 90]]}
    },
    "checkout": {
      "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
      "targeting": {"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "city"}]}, ["on", 50], ["off", 50]]}
    }
  }
}
JSON
cat >finding.mjs <<'JS'
import { readFileSync } from "node:fs";
import { FlagdCore } from "@openfeature/flagd-core";

const quiet = { error() {}, warn() {}, info() {}, debug() {} };
const core = new FlagdCore();
core.setConfigurations(readFileSync("flags.json", "utf8"));
for (const flag of ["presale", "checkout"]) {
  for (let i = 0; i < 1000; i++) {
    const context = { targetingKey: `user-${i}`, city: `city-${i}` };
    console.log(flag, i, core.resolveBooleanEvaluation(flag, false, context, quiet).variant);
  }
}
JS
cat >finding.py <<'PYTHON'
from openfeature.contrib.tools.flagd.core.flagd_core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

core = FlagdCore()
core.set_flags(open("flags.json").read())
for flag in ("presale", "checkout"):
    for i in range(1000):
        context = EvaluationContext(f"user-{i}", {"city": f"city-{i}"})
        print(flag, i, core.resolve_boolean_value(flag, False, context).variant)
PYTHON
echo "@openfeature/flagd-core $(node -p 'require("./node_modules/@openfeature/flagd-core/package.json").version'), Node $(node --version)"
venv/bin/python -c 'import importlib.metadata, sys; print("openfeature-flagd-core", importlib.metadata.version("openfeature-flagd-core"), "on Python", sys.version.split()[0])'
node finding.mjs >javascript
venv/bin/python finding.py >python
for flag in presale checkout; do
    for part in javascript python; do grep "^$flag .* on$" "$part" | sort >"$part.on"; done
    echo "$flag, on for so many of 1000: $(wc -l <javascript.on) in JavaScript, $(wc -l <python.on) in Python, $(comm -12 javascript.on python.on | wc -l) in both"
done | tee seen
echo "expected: the same users in both"
cat >known <<'KNOWN'
presale, on for so many of 1000: 106 in JavaScript, 114 in Python, 10 in both
checkout, on for so many of 1000: 502 in JavaScript, 492 in Python, 251 in both
KNOWN
cmp -s seen known || { echo "not seen" >&2; exit 1; }
echo "seen"
