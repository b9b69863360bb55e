"""The gateway: one address before the services' processes, where in Azure the ingress of Container Apps stands.

`routes` (what goes where, as it is written) → `balance` (which backend) → `backend` + `upstream` (connections to it)
← `exchange` (one request on its way) ← `front` (connections of clients). `gateway` holds them together, `health`
watches the backends, `admin` changes the routes while it runs.
"""
