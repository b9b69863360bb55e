"""What runs, watches and releases the product.

`cli` (the command `cludale`) stands on `local` (the distributed shape on one machine) and `release` (a new version
beside the old one), these on `gateway` (one address before the services' processes) and `telemetry`.
"""
