"""The gateway: one address before the services' processes, where in Azure the ingress of Container Apps stands.

The proxy is HAProxy (ADR 29). Here is what tells it what to do: `routes` (what goes where, as it is written),
`configuration` (the same in HAProxy's words), `control` (changes and figures while it runs), `site` (the pages about
all services), `process` (HAProxy and the pages, started and stopped together).
"""
