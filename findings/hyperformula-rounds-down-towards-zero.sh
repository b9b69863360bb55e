#!/usr/bin/env bash
# hyperformula 3.5.0: INT of -4.2 is -4.
#
# Most would expect: INT "rounds a number down to the nearest integer", as HyperFormula's list of functions says, as do those of Excel,
# Google Sheets and OpenDocument. So INT(-4.2) is -5, as FLOOR(-4.2,1) is here, and x-INT(x) is MOD(x,1).
# Seen: -4. The digits behind the point are cut, which is TRUNC, another function. So a sheet that takes a difference of days for whole
# days, or an amount for whole units, has another value here than in the program in which it was made, for what is below zero
# alone. The page that lists where HyperFormula differs from Excel does not name it. @formulajs/formulajs rounds down.
#
# Wanted: Node.
set -euo pipefail
command -v npm >/dev/null || { echo "Node is wanted" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts 'hyperformula@3.5.0' '@formulajs/formulajs@4.6.1' >npm.log 2>&1 || { cat npm.log >&2; exit 2; }
cat >finding.mjs <<'JS'
import * as formulajs from "@formulajs/formulajs";
import { HyperFormula } from "hyperformula";

const { INT, FLOOR, TRUNC, MOD } = formulajs;
const cases = {
  "INT(4.2)": INT(4.2),
  "INT(-4)": INT(-4),
  "INT(-4.2)": INT(-4.2),
  "INT(-0.5)": INT(-0.5),
  "-0.5-INT(-0.5)": -0.5 - INT(-0.5),
  "MOD(-0.5,1)": MOD(-0.5, 1),
  "FLOOR(-4.2,1)": FLOOR(-4.2, 1),
  "TRUNC(-4.2)": TRUNC(-4.2),
};
const formulas = Object.keys(cases);
const sheet = HyperFormula.buildFromArray(formulas.map((formula) => [`=${formula}`]), { licenseKey: "gpl-v3" });
formulas.forEach((formula, row) => {
  console.log(`${formula}: expected ${cases[formula]}, seen ${sheet.getCellValue({ sheet: 0, row, col: 0 })}`);
});
JS
echo "hyperformula $(node -p 'require("./node_modules/hyperformula/package.json").version'), @formulajs/formulajs $(node -p 'require("./node_modules/@formulajs/formulajs/package.json").version'), Node $(node --version)"
node finding.mjs | tee seen
cat >known <<'KNOWN'
INT(4.2): expected 4, seen 4
INT(-4): expected -4, seen -4
INT(-4.2): expected -5, seen -4
INT(-0.5): expected -1, seen 0
-0.5-INT(-0.5): expected 0.5, seen -0.5
MOD(-0.5,1): expected 0.5, seen 0.5
FLOOR(-4.2,1): expected -5, seen -5
TRUNC(-4.2): expected -4, seen -4
KNOWN
cmp -s seen known || { echo "not seen" >&2; exit 1; }
echo "seen"
