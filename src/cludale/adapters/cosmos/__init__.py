"""Cosmos DB: `Records` and `Outbox` in one container a process, a logical partition an aggregate."""
