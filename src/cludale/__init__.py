"""Cludale Tickets: event-driven concert ticketing that never oversells and can prove it.

The product, to be read in this order, each folder standing on those before it:

1. `kernel`: events, wire codec, money, times, refusals; pure
2. `ports`: what services need of the world, as protocols
3. `runtime`: machinery over the ports: commit, command queue, relay, replay
4. `web`: the HTTP server, and what each `api.py` says its routes with
5. `services`: the six services; start with `services/orders/manifest.py`
6. `adapters`: the ports over SQLite, PostgreSQL, Cosmos DB, Dapr, SMTP, …
7. `wiring`: the settings, and the one place that puts all of it together

What runs and releases it is `cludale_operations`, what proves it `cludale_proof`; nothing here imports either.
"""

import os
import zoneinfo

# Time zones are those of the locked package tzdata, so that every process reckons alike; without this, the system's
# come first, which may be years older. Who sets PYTHONTZPATH chooses others.
if "PYTHONTZPATH" not in os.environ:
    zoneinfo.reset_tzpath(to=())

__version__ = "0.1.0"
