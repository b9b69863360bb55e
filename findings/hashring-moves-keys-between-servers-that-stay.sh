#!/usr/bin/env bash
# hashring 3.2.0: a server that is added with another weight also moves keys between the servers that were there.
#
# Most would expect: that is what consistent hashing is for: when a server is added, keys move to it and nowhere else, whatever
# the weights are. A key that stays with the old ones stays where it was, so its cache, lock or queue does, too.
# Seen: with equal weights it is so. Otherwise a server's points on the ring are a share of all weights, not a number of its own, so
# whatever is added gives or takes points of all others: some keys go from one old server to another, and each of these has two owners
# until all who use the ring have the new list. uhashring for Python, with its weights, moves none.
#
# Wanted: Node.
set -euo pipefail
command -v npm >/dev/null || { echo "Node is wanted" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts 'hashring@3.2.0' >npm.log 2>&1 || { cat npm.log >&2; exit 2; }
python3 -m venv venv
venv/bin/pip --disable-pip-version-check --quiet install 'uhashring==2.5'
cat >finding.mjs <<'JS'
import HashRing from "hashring";

const keys = Array.from({ length: 10000 }, (_, i) => `seat-${i}`);
for (const [one, two, three] of [[1, 1, 1], [1, 2, 1], [1, 1, 2], [1, 3, 4]]) {
  const ring = new HashRing({ one: { weight: one }, two: { weight: two } });
  const before = keys.map((key) => ring.get(key));
  ring.add({ three: { weight: three } });
  const after = keys.map((key) => ring.get(key));
  const moved = after.filter((server, i) => server !== "three" && server !== before[i]).length;
  console.log(`weights ${one} and ${two}, and ${three} added: ${moved} of 10000 keys moved between the first two`);
}
JS
cat >finding.py <<'PYTHON'
from uhashring import HashRing

keys = [f"seat-{i}" for i in range(10000)]
for one, two, three in ((1, 1, 1), (1, 2, 1), (1, 1, 2), (1, 3, 4)):
    ring = HashRing({"one": one, "two": two})
    before = [ring.get_node(key) for key in keys]
    ring.add_node("three", three)
    moved = sum(ring.get_node(key) not in ("three", old) for key, old in zip(keys, before))
    print(f"weights {one} and {two}, and {three} added: {moved} of 10000 keys moved between the first two")
PYTHON
echo "hashring $(node -p 'require("./node_modules/hashring/package.json").version'), Node $(node --version)"
echo "expected, by uhashring"; venv/bin/python finding.py | tee expected
echo "seen"; node finding.mjs | tee seen
cat >known <<'KNOWN'
weights 1 and 1, and 1 added: 0 of 10000 keys moved between the first two
weights 1 and 2, and 1 added: 310 of 10000 keys moved between the first two
weights 1 and 1, and 2 added: 340 of 10000 keys moved between the first two
weights 1 and 3, and 4 added: 371 of 10000 keys moved between the first two
KNOWN
cmp -s seen known && ! grep -qv ': 0 of' expected || { echo "not seen" >&2; exit 1; }
echo "seen"
