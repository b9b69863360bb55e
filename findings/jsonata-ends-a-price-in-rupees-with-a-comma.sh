#!/usr/bin/env bash
# jsonata 2.2.2: a number in Indian groups is right only when it is as long as its picture.
#
# Most would expect: with the picture "#,##,##0", as prices in rupees are written, 1234 is 1,234 and 1234567 is 12,34,567. JSONata
# has its pictures from XPath (fn:format-number), which puts a comma where there are digits on both sides of it and nowhere else.
# Seen: 1234 is "12,34,", 99 is ",,99", and with "##,##,##0.00" 5 is ",5.0,0". In $formatInteger, which takes pictures of the same
# form, 1234 is ",4": three of its digits are gone. Where all groups are of one size ("#,###,##0") each number is right, for then
# the number says how many commas there are; otherwise the picture does. Large numbers, with which one would try it, hide it.
#
# Wanted: Node.
set -euo pipefail
command -v npm >/dev/null || { echo "Node is wanted" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts 'jsonata@2.2.2' >npm.log 2>&1 || { cat npm.log >&2; exit 2; }
cat >finding.mjs <<'JS'
import jsonata from "jsonata";

const indian = (digits) => digits.replace(/\d(?=(\d\d)*\d{3}$)/g, "$&,");
const western = (digits) => digits.replace(/\d(?=(\d{3})+$)/g, "$&,");
const cases = [
  [indian, "formatNumber", 1234567, "#,##,##0"],
  [indian, "formatNumber", 123456, "#,##,##0"],
  [indian, "formatNumber", 1234, "#,##,##0"],
  [indian, "formatNumber", 99, "#,##,##0"],
  [indian, "formatNumber", 5, "##,##,##0.00"],
  [indian, "formatInteger", 1234567, "#,##,##0"],
  [indian, "formatInteger", 1234, "#,##,##0"],
  [western, "formatNumber", 1234, "#,###,##0"],
  [western, "formatInteger", 99, "#,###,##0"],
];
for (const [groups, name, number, picture] of cases) {
  const expected = groups(String(number)) + (picture.endsWith(".00") ? ".00" : "");
  const seen = await jsonata(`$${name}(${number}, "${picture}")`).evaluate(null);
  console.log(`$${name}(${number}, "${picture}"): expected "${expected}", seen "${seen}"`);
}
JS
echo "jsonata $(node -p 'require("./node_modules/jsonata/package.json").version'), Node $(node --version)"
node finding.mjs | tee seen
cat >known <<'KNOWN'
$formatNumber(1234567, "#,##,##0"): expected "12,34,567", seen "12,34,567"
$formatNumber(123456, "#,##,##0"): expected "1,23,456", seen "1,23,456"
$formatNumber(1234, "#,##,##0"): expected "1,234", seen "12,34,"
$formatNumber(99, "#,##,##0"): expected "99", seen ",,99"
$formatNumber(5, "##,##,##0.00"): expected "5.00", seen ",5.0,0"
$formatInteger(1234567, "#,##,##0"): expected "12,34,567", seen "12,34,567"
$formatInteger(1234, "#,##,##0"): expected "1,234", seen ",4"
$formatNumber(1234, "#,###,##0"): expected "1,234", seen "1,234"
$formatInteger(99, "#,###,##0"): expected "99", seen "99"
KNOWN
cmp -s seen known || { echo "not seen" >&2; exit 1; }
echo "seen"
