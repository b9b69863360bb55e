#!/bin/sh
# Makes src/cludale/pages/static/qr-decoder.js anew: the BarcodeDetector of the npm package qr, as one small module.
# Usage: tools/qr-decoder.sh
set -eu
qr=0.7.0 esbuild=0.28.2
static=$(cd "$(dirname "$0")/.." && pwd)/src/cludale/pages/static
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund "qr@$qr" "esbuild@$esbuild"
echo "export { BarcodeDetector } from 'qr/decode.js';" >in.js
npx esbuild in.js --bundle --minify --format=esm --target=es2022 --legal-comments=none --log-level=error --outfile=out.js
{
    echo "/*! qr $qr (npm), its BarcodeDetector, by Paul Miller. MIT: see qr-decoder.LICENSE. Made by tools/qr-decoder.sh; not ours, so not changed here. */"
    cat out.js
} >"$static/qr-decoder.js"
cp node_modules/qr/LICENSE-MIT "$static/qr-decoder.LICENSE"
gzip -9 -c "$static/qr-decoder.js" | wc -c
