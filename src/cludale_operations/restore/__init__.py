"""A store restored to a moment, in Azure: made beside the one in use, tried, measured, and put in its place.

What is Azure's is in `store_commands`, `preparing` and `switch`; whether a store is whole is asked over HTTP
(`verification`).
"""
