"""The services. Each is one folder with the same file names, and one container in the distributed shape.

`events` (public facts) ← `domain` (pure decisions) ← `store` (stored form) ← `service` (load, decide, commit)
← `api` (HTTP) ← `manifest` (all of it as data). A service imports of another only its `events`.
"""

NAMES = (
    "concerts",
    "orders",
    "payments",
    "notifications",
    "tickets",
    "audit",
)
"""The folders, and so the services. Whoever is called by another in the same process comes before it."""
