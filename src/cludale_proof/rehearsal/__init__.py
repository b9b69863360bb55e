"""A rehearsal of an on-sale against a running server, over its public API only.

It shares no code with the services, so that what it checks is checked from outside.
"""
