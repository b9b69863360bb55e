#!/usr/bin/env bash
# opentelemetry-exporter-otlp-proto-http 1.45.2: spans that a collector's gateway redirects are gone, and count as exported.
#
# Most would expect: 307 and 308 say that a POST is to be sent again to the address in `Location`, and an exporter does
# so, as this one did up to 1.44.0; or it says that nothing was delivered, as it does of a 404.
# Seen: 1.45 brought a transport of its own, which follows no redirect, above a client to which all below 400 is success.
# So the spans reach nobody, the result is SUCCESS, nothing is logged at any level, and nothing is tried again. A gateway
# that is put before the collector, leads from http to https or moves a tenant ends all telemetry, and the programs that
# send it can't tell. It is the same for metrics and logs, and for 301 and 302 (up to 1.44.0 these became a GET without
# the spans, as in browsers).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/export.py" <<'PYTHON'
import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

delivered, logged = [], []


class Gateway(BaseHTTPRequestHandler):
    """/307/v1/traces leads to /v1/traces with 307; /404/v1/traces is 404."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        status = 200 if self.path == "/v1/traces" else int(self.path.split("/")[1])
        if status == 200:
            delivered.append(body)
        self.send_response(status)
        if status in (307, 308):
            self.send_header("location", "/v1/traces")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Noting(logging.Handler):
    def emit(self, record):
        if record.name.startswith("opentelemetry"):
            logged.append(record.levelname)


class Told(OTLPSpanExporter):
    def export(self, spans):
        self.result = super().export(spans)
        return self.result


logging.basicConfig(level=logging.DEBUG, handlers=[Noting()])
gateway = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
Thread(target=gateway.serve_forever, daemon=True).start()
for status in (307, 308, 404):
    delivered.clear()
    logged.clear()
    exporter = Told(f"http://127.0.0.1:{gateway.server_port}/{status}/v1/traces", timeout=5)
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("finding").start_span("order").end()
    provider.shutdown()
    print(f"{status}: {exporter.result.name}, delivered {len(delivered)}, logged {' '.join(logged) or 'nothing'}")
PYTHON
seen() { # what this release makes of each status
    python3 -m venv --clear "$folder/venv"
    "$folder/venv/bin/pip" --disable-pip-version-check --quiet install \
        "opentelemetry-sdk==$1" "opentelemetry-exporter-otlp-proto-http==$1"
    NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 timeout 60 "$folder/venv/bin/python" "$folder/export.py"
}
before=$(seen 1.44.0)
after=$(seen 1.45.2)
printf '1.44.0, and expected of later ones\n%s\n1.45.2\n%s\n' "$before" "$after"
known_before='307: SUCCESS, delivered 1, logged nothing
308: SUCCESS, delivered 1, logged nothing
404: FAILURE, delivered 0, logged ERROR'
known_after='307: SUCCESS, delivered 0, logged nothing
308: SUCCESS, delivered 0, logged nothing
404: FAILURE, delivered 0, logged ERROR'
if [ "$before" != "$known_before" ] || [ "$after" != "$known_after" ]; then
    echo "not seen" >&2
    exit 1
fi
echo "seen"
