#!/usr/bin/env bash
# zod 4.6.7: of a JSON Schema it forgets how long a list may be, unless the schema also says what is in it.
#
# Most would expect: z.fromJSONSchema() takes what the schema takes, or says what it can't do, as it does of "not", "if" and
# "dependentRequired": it throws. The words of a JSON Schema do not depend on each other ("Keyword Independence"), but for those that
# say so, and maxItems does not: it needs no "items".
# Seen: with "items" the bounds of a list are kept, and without it they are lost. A field that is required is asked for only if it is
# among the properties, a minimum is forgotten beside an enum or a $ref, and a constant that is an object refuses the one value that
# it should take. Nothing is said. The function calls itself semi-experimental, which its documentation explains by changes to come,
# not by words that are left out. ajv does what the schema says.
#
# Wanted: Node.
set -euo pipefail
command -v npm >/dev/null || { echo "Node is wanted" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts 'zod@4.6.7' 'ajv@8.20.0' >npm.log 2>&1 || { cat npm.log >&2; exit 2; }
cat >finding.mjs <<'JS'
import { Ajv2020 } from "ajv/dist/2020.js";
import { z } from "zod";

const ajv = new Ajv2020({ strict: false });
const cases = [
  [{ type: "array", items: {}, minItems: 1, maxItems: 2 }, [[], [1, 2, 3]]],
  [{ type: "array", minItems: 1, maxItems: 2 }, [[], [1, 2, 3]]],
  [{ type: "object", properties: { seat: {}, row: {} }, required: ["seat", "row"] }, [{ seat: 1 }]],
  [{ type: "object", properties: { seat: {} }, required: ["seat", "row"] }, [{ seat: 1 }]],
  [{ type: "number", minimum: 2 }, [1]],
  [{ type: "number", enum: [1, 2], minimum: 2 }, [1]],
  [{ $defs: { price: { type: "number" } }, $ref: "#/$defs/price", minimum: 2 }, [1]],
  [{ const: { row: 1 } }, [{ row: 1 }]],
  [{ not: { type: "string" } }, [1]],
];
const word = (taken) => (taken ? "taken" : "refused");
const zods = (schema, value) => {
  try {
    return word(z.fromJSONSchema(schema).safeParse(value).success);
  } catch {
    return "can't be made";
  }
};
for (const [schema, values] of cases) {
  for (const value of values) {
    const [expected, seen] = [word(ajv.validate(schema, value)), zods(schema, value)];
    console.log(`${JSON.stringify(schema)}\n  ${JSON.stringify(value)}: expected ${expected}, seen ${seen}`);
  }
}
JS
echo "zod $(node -p 'require("./node_modules/zod/package.json").version'), Node $(node --version)"
node finding.mjs | tee seen
cat >known <<'KNOWN'
  []: expected refused, seen refused
  [1,2,3]: expected refused, seen refused
  []: expected refused, seen taken
  [1,2,3]: expected refused, seen taken
  {"seat":1}: expected refused, seen refused
  {"seat":1}: expected refused, seen taken
  1: expected refused, seen refused
  1: expected refused, seen taken
  1: expected refused, seen taken
  {"row":1}: expected taken, seen refused
  1: expected taken, seen can't be made
KNOWN
grep '^  ' seen | cmp -s - known || { echo "not seen" >&2; exit 1; }
echo "seen"
