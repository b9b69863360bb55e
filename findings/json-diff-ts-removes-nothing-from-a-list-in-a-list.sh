#!/usr/bin/env bash
# json-diff-ts 4.10.4: what is gone from a list that is in a list is still there when the difference is applied.
#
# Most would expect: applyChangeset(a, diff(a, b)) is b. That is what the two functions are for, and diff sees here what has changed.
# Seen: of free seats by row, [[1, 2], [3]], that become [[1], [3]], all three are left. The difference names seat 2 and its place,
# but when it is applied, the inner list is taken for one of objects with a key, and nothing with that key is found to remove. A
# line on the console says so, and the call returns as if all were well. What is added to an inner list or changed in it is right, so
# a copy that is kept up by differences keeps each seat that is sold. A row that is an object with a list in it is right. Undone with
# revertChangeset, a row that was emptied comes back in another order. fast-json-patch gives what is expected.
#
# Wanted: Node.
set -euo pipefail
command -v npm >/dev/null || { echo "Node is wanted" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts 'json-diff-ts@4.10.4' 'fast-json-patch@3.1.1' >npm.log 2>&1 || { cat npm.log >&2; exit 2; }
cat >finding.mjs <<'JS'
import jsonPatch from "fast-json-patch";
import { applyChangeset, diff, revertChangeset } from "json-diff-ts";

const cases = [
  [{ free: [[1, 2], [3]] }, { free: [[1], [3]] }],
  [{ free: [[1, 2], [3]] }, { free: [[1, 2], []] }],
  [{ free: [[1, 2], [3]] }, { free: [[1, 2, 4], [3]] }],
  [{ free: [[1, 2], [3]] }, { free: [[1, 2]] }],
  [{ free: [{ row: [1, 2] }] }, { free: [{ row: [1] }] }],
];
for (const [a, b] of cases) {
  const patched = jsonPatch.applyPatch(structuredClone(a), jsonPatch.compare(a, b)).newDocument;
  const changed = applyChangeset(structuredClone(a), diff(a, b));
  console.log(`${JSON.stringify(a)} becomes ${JSON.stringify(b)}`);
  console.log(`  expected ${JSON.stringify(patched)}\n  seen     ${JSON.stringify(changed)}`);
}
const [full, empty] = [{ free: [[1, 2]] }, { free: [[]] }];
const undone = revertChangeset(structuredClone(empty), diff(full, empty));
console.log(`${JSON.stringify(full)} becomes ${JSON.stringify(empty)}, undone\n  expected ${JSON.stringify(full)}\n  seen     ${JSON.stringify(undone)}`);
JS
echo "json-diff-ts $(node -p 'JSON.parse(require("fs").readFileSync("node_modules/json-diff-ts/package.json")).version'), Node $(node --version)"
node finding.mjs 2>said | tee seen
echo "said on the console: $(sort -u said)"
cat >known <<'KNOWN'
{"free":[[1,2],[3]]} becomes {"free":[[1],[3]]}
  expected {"free":[[1],[3]]}
  seen     {"free":[[1,2],[3]]}
{"free":[[1,2],[3]]} becomes {"free":[[1,2],[]]}
  expected {"free":[[1,2],[]]}
  seen     {"free":[[1,2],[3]]}
{"free":[[1,2],[3]]} becomes {"free":[[1,2,4],[3]]}
  expected {"free":[[1,2,4],[3]]}
  seen     {"free":[[1,2,4],[3]]}
{"free":[[1,2],[3]]} becomes {"free":[[1,2]]}
  expected {"free":[[1,2]]}
  seen     {"free":[[1,2]]}
{"free":[{"row":[1,2]}]} becomes {"free":[{"row":[1]}]}
  expected {"free":[{"row":[1]}]}
  seen     {"free":[{"row":[1]}]}
{"free":[[1,2]]} becomes {"free":[[]]}, undone
  expected {"free":[[1,2]]}
  seen     {"free":[[2,1]]}
KNOWN
cmp -s seen known || { echo "not seen" >&2; exit 1; }
echo "seen"
