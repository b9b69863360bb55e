"""Cosmos DB: `Records` and `Outbox` in one container a process, a logical partition an aggregate.

`layout` says what has to be in the account. Everything else here needs the `azure` extra to be imported.
"""
