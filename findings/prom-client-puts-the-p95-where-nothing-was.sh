#!/usr/bin/env bash
# prom-client 15.1.3 with tdigest 0.1.3: one slow request in a thousand makes the 95th percentile of a Summary nine tenths of it.
#
# Most would expect: a quantile of a Summary is, to a small error in rank, a value below which that part of the observations lies.
# Of 999 zeros and one 10 the median, the 90th, 95th and 99th percentile are 0; the estimate may blur at the 99.9th.
# Seen: 0.01, 8.01, 9.01 and 9.81. tdigest keeps equal values as one centroid, however many they are, and draws a straight line
# from the middle of one centroid to the middle of the next. With few different values (a wait in whole seconds that is mostly 0,
# a number of items, a price) that line covers half of all ranks, and a quantile on it is a value that nobody had. Of prices of 25,
# 40 and 90 the 75th percentile is 56.67. Where the same observations differ a little, the p95 is right.
#
# Wanted: Node.
set -euo pipefail
command -v npm >/dev/null || { echo "Node is wanted" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts 'prom-client@15.1.3' 'tdigest@0.1.3' >npm.log 2>&1 || { cat npm.log >&2; exit 2; }
cat >finding.mjs <<'JS'
import client from "prom-client";

const quantiles = async (values) => {
  const registers = [new client.Registry()];
  const summary = new client.Summary({ name: "wait", help: "wait", percentiles: [0.5, 0.75, 0.9, 0.95, 0.99], registers });
  values.forEach((value) => summary.observe(value));
  const { values: lines } = await summary.get();
  return lines.filter((line) => line.labels.quantile !== undefined).map((line) => Number(line.value.toFixed(2)));
};
const exact = (values) => {
  const sorted = [...values].sort((one, other) => one - other);
  return [0.5, 0.75, 0.9, 0.95, 0.99].map((q) => sorted[Math.ceil(q * sorted.length) - 1]);
};

const oneSlow = Array.from({ length: 1000 }, (_, i) => (i === 500 ? 10 : 0));
const oneSlowAmongUnequal = Array.from({ length: 1000 }, (_, i) => (i === 500 ? 10 : ((i * 7919) % 1000) / 1e6));
const prices = Array.from({ length: 600 }, (_, i) => [25, 25, 25, 40, 40, 90][i % 6]);
console.log("50, 75, 90, 95, 99 %");
for (const [name, values] of Object.entries({ oneSlow, oneSlowAmongUnequal, prices })) {
  console.log(`${name}\n  expected ${exact(values).map((value) => Number(value.toFixed(2))).join(" ")}\n  seen     ${(await quantiles(values)).join(" ")}`);
}
JS
echo "prom-client $(node -p 'require("./node_modules/prom-client/package.json").version'), tdigest $(node -p 'require("./node_modules/tdigest/package.json").version'), Node $(node --version)"
node finding.mjs | tee seen
cat >known <<'KNOWN'
50, 75, 90, 95, 99 %
oneSlow
  expected 0 0 0 0 0
  seen     0.01 5.01 8.01 9.01 9.81
oneSlowAmongUnequal
  expected 0 0 0 0 0
  seen     0 0 0 0 0
prices
  expected 25 40 90 90 90
  seen     34 56.67 86.67 90 90
KNOWN
cmp -s seen known || { echo "not seen" >&2; exit 1; }
echo "seen"
