#!/usr/bin/env bash
# bloom-filters 3.0.4: its HyperLogLog counts half of what it has seen, until it has seen many.
#
# Most would expect: HyperLogLog is most exact when few are counted: it then counts the registers that are still empty. With 4096
# registers accuracy() says 1.6 %, so 1000 visitors are counted as 984 to 1016, give or take.
# Seen: 499. A register holds the place of the first 1 bit, and here places are counted from 0, so a register that has seen an element
# whose first bit is 1, as every other has, still looks empty. So with m registers about half is counted up to two times m, beyond
# which another formula begins and is about right. Whoever tries it with few registers and many elements finds it sound, and more
# registers, taken to be more exact, make the wrong part longer.
#
# Wanted: Node.
set -euo pipefail
command -v npm >/dev/null || { echo "Node is wanted" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts 'bloom-filters@3.0.4' >npm.log 2>&1 || { cat npm.log >&2; exit 2; }
cat >finding.mjs <<'JS'
import filters from "bloom-filters";

for (const [registers, visitors] of [[256, 100], [1024, 100], [1024, 1000], [4096, 1000], [1024, 20000]]) {
  const sketch = new filters.HyperLogLog(registers);
  for (let i = 0; i < visitors; i++) sketch.update(`visitor ${i}`);
  const share = sketch.count() / visitors;
  const seen = Math.abs(share - 1) < 0.1 ? "all" : Math.abs(share - 0.5) < 0.1 ? "half" : "neither";
  console.log(`${registers} registers (${(100 * sketch.accuracy()).toFixed(1)} %), ${visitors} visitors: ${Math.round(sketch.count())}, ${seen}`);
}
JS
echo "bloom-filters $(node -p 'require("./node_modules/bloom-filters/package.json").version'), Node $(node --version)"
echo "expected: all each time"
node finding.mjs | tee seen
cat >known <<'KNOWN'
half
half
half
half
all
KNOWN
sed 's/.*, //' seen | cmp -s - known || { echo "not seen" >&2; exit 1; }
echo "seen"
