#!/usr/bin/env bash
# @bufbuild/cel 0.6.1: on a server with summer time, the first hour of each summer day is on the day before.
#
# Most would expect: a CEL expression says the same on each machine; getDayOfYear() without a zone is of UTC, and with one of that
# zone (the language definition, "Timezones"), wherever the server is. June 1 2026 is day 151, counted from 0.
# Seen: it is so where the server is in UTC. Where it is in Berlin, the first hour of June 1 is on day 150, and so is the first hour
# of each day from spring to autumn. On the day on which Berlin's clocks go forward, 02:30 in UTC is at 3 o'clock, for there is no
# 02:30 in Berlin. A time is taken apart in UTC, and built anew from its parts as a time of the server's zone, in which a day of 23
# hours lies before all of summer. A rule that was tried on a laptop may decide otherwise in the cloud, for an hour a day.
# cel-python says the same on both.
#
# Wanted: Node.
set -euo pipefail
command -v npm >/dev/null || { echo "Node is wanted" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts '@bufbuild/cel@0.6.1' >npm.log 2>&1 || { cat npm.log >&2; exit 2; }
python3 -m venv venv
venv/bin/pip --disable-pip-version-check --quiet install 'cel-python==0.5.0'
cat >rules <<'RULES'
timestamp("2026-06-01T12:00:00Z").getDayOfYear()
timestamp("2026-06-01T00:30:00Z").getDayOfYear()
timestamp("2026-05-31T22:30:00Z").getDayOfYear("+02:00")
timestamp("2026-12-01T00:30:00Z").getDayOfYear()
timestamp("2026-03-29T02:30:00Z").getHours()
RULES
cat >finding.mjs <<'JS'
import { readFileSync } from "node:fs";
import { run } from "@bufbuild/cel";

for (const rule of readFileSync("rules", "utf8").trim().split("\n")) console.log(rule, String(run(rule)));
JS
cat >finding.py <<'PYTHON'
import celpy

for rule in open("rules").read().splitlines():
    cel = celpy.Environment()
    print(rule, cel.program(cel.compile(rule)).evaluate({}))
PYTHON
echo "@bufbuild/cel $(node -p 'JSON.parse(require("fs").readFileSync("node_modules/@bufbuild/cel/package.json")).version'), Node $(node --version)"
echo "expected, by cel-python in Berlin"; TZ=Europe/Berlin venv/bin/python finding.py | tee expected
echo "seen on a server in UTC"; TZ=UTC node finding.mjs | tee utc
echo "seen on a server in Berlin"; TZ=Europe/Berlin node finding.mjs | tee berlin
cat >known_expected <<'KNOWN'
timestamp("2026-06-01T12:00:00Z").getDayOfYear() 151
timestamp("2026-06-01T00:30:00Z").getDayOfYear() 151
timestamp("2026-05-31T22:30:00Z").getDayOfYear("+02:00") 151
timestamp("2026-12-01T00:30:00Z").getDayOfYear() 334
timestamp("2026-03-29T02:30:00Z").getHours() 2
KNOWN
sed -e '/:30:/s/ 151$/ 150/' -e 's/ 2$/ 3/' known_expected >known
cmp -s expected known_expected && cmp -s utc known_expected && cmp -s berlin known || { echo "not seen" >&2; exit 1; }
echo "seen"
