#!/usr/bin/env bash
# hyperformula 3.5.0: EDATE never gives February 29, not even for the February 29 that it was given.
#
# Most would expect: EDATE moves a date by whole months. Where the month has no such day the last one is taken: one month after
# January 31 2028 is February 29 2028, and no months after a date is that date (OpenDocument's EDATE). HyperFormula's own EOMONTH
# and DATE know that 2028 is a leap year.
# Seen: February 28, for February has 28 days here in every year. So EDATE(DATE(2028,2,29),0) is the day before, EDATE of August 29
# and six months ends a contract a day early, and EDATE(d,1)=EOMONTH(d,1) is false for January 31 in leap years alone.
# @formulajs/formulajs, with the same functions, gives the dates that are expected.
#
# Wanted: Node.
set -euo pipefail
command -v npm >/dev/null || { echo "Node is wanted" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts 'hyperformula@3.5.0' '@formulajs/formulajs@4.6.1' >npm.log 2>&1 || { cat npm.log >&2; exit 2; }
cat >cells <<'CELLS'
EDATE 2027-01-31 1
EDATE 2028-01-31 1
EDATE 2028-02-29 0
EDATE 2028-02-29 48
EDATE 2027-08-29 6
EDATE 2028-03-31 1
EOMONTH 2028-01-31 1
CELLS
cat >expected.mjs <<'JS'
import { readFileSync } from "node:fs";
import * as formulajs from "@formulajs/formulajs";

for (const line of readFileSync("cells", "utf8").trim().split("\n")) {
  const [name, day, months] = line.split(" ");
  const moved = formulajs[name](day, Number(months));
  console.log(line, [moved.getFullYear(), moved.getMonth() + 1, moved.getDate()].map((part) => String(part).padStart(2, "0")).join("-"));
}
JS
cat >finding.mjs <<'JS'
import { readFileSync } from "node:fs";
import { HyperFormula } from "hyperformula";

const cells = readFileSync("cells", "utf8").trim().split("\n");
const formulas = cells.map((line) => line.replace(/(\w+) (\d+)-(\d+)-(\d+) (\d+)/, "=$1(DATE($2,$3,$4),$5)"));
const sheet = HyperFormula.buildFromArray(formulas.map((formula) => [formula]), { licenseKey: "gpl-v3" });
cells.forEach((line, row) => {
  const { year, month, day } = sheet.numberToDate(sheet.getCellValue({ sheet: 0, row, col: 0 }));
  console.log(line, [year, month, day].map((part) => String(part).padStart(2, "0")).join("-"));
});
JS
echo "hyperformula $(node -p 'require("./node_modules/hyperformula/package.json").version'), Node $(node --version)"
echo "expected, by @formulajs/formulajs"; node expected.mjs | tee expected
echo "seen"; node finding.mjs | tee seen
cat >known_expected <<'KNOWN'
EDATE 2027-01-31 1 2027-02-28
EDATE 2028-01-31 1 2028-02-29
EDATE 2028-02-29 0 2028-02-29
EDATE 2028-02-29 48 2032-02-29
EDATE 2027-08-29 6 2028-02-29
EDATE 2028-03-31 1 2028-04-30
EOMONTH 2028-01-31 1 2028-02-29
KNOWN
sed '/^EDATE/s/02-29$/02-28/' known_expected >known
cmp -s expected known_expected && cmp -s seen known || { echo "not seen" >&2; exit 1; }
echo "seen"
