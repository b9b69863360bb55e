#!/usr/bin/env bash
# stripe 16.1.0: a client for asyncio over httpx that was given a proxy reaches nobody, and says that it is the network.
#
# Most would expect: StripeClient with http_client=HTTPXClient(proxy=…), as the library's own error message tells one to
# write it, sends its requests through that proxy, as RequestsClient(proxy=…) does.
# Seen: each request ends with APIConnectionError, "Unexpected error communicating with Stripe". Nothing is sent, to the
# proxy or elsewhere: the library hands `proxies=` to httpx.AsyncClient.request, which has never had such an argument,
# and takes the TypeError for trouble with the network, which it retries.
#
# The proxy is a few lines on loopback that count who comes. What is shown is what the library does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'stripe==16.1.0' 'httpx==0.28.1' 'requests==2.32.5' 'anyio'
env -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY -u http_proxy -u https_proxy -u all_proxy "$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import stripe

came: list[str] = []


class Proxy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        came.append(self.path)
        body = b'{"object": "balance", "available": []}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
threading.Thread(target=server.serve_forever, daemon=True).start()
proxy = f"http://127.0.0.1:{server.server_port}"
elsewhere = {"api": "http://api.stripe.example"}  # plain HTTP, which a proxy answers by itself


def client(http_client: object) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_x", http_client=http_client, base_addresses=elsewhere, max_network_retries=0)


print(f"stripe {version('stripe')}, httpx {version('httpx')}")
client(stripe.RequestsClient(proxy={"http": proxy, "https": proxy})).v1.balance.retrieve()
print(f"RequestsClient: the proxy was asked for {came}")
came.clear()
said = None
try:
    asyncio.run(client(stripe.HTTPXClient(proxy=proxy)).v1.balance.retrieve_async())
except stripe.APIConnectionError as error:
    said = error
print(f"HTTPXClient: the proxy was asked for {came}; {type(said).__name__}, for {said.__cause__!r}" if said else "it works")
if came or said is None or not isinstance(said.__cause__, TypeError):
    sys.exit("not seen")
print("seen")
PYTHON
