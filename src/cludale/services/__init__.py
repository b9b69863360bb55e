"""The five services. Each is one folder with the same file names, and one container in the distributed shape.

`events` (public facts) ← `domain` (pure decisions) ← `store` (stored form) ← `service` (load, decide, commit)
← `api` (HTTP) ← `manifest` (what compose needs). A service imports of another only its `events`.
"""
