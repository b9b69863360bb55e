"""The only wiring: which services, over which adapters, from Settings. Nothing else knows the whole.

`needs` (what they must be told) ← `stores`, `services` ← `platform`, which runs it all;
`offline` is for tools that look at a store beside the servers.
"""
