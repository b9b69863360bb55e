"""Machinery around the ports: batching, group commit, relay, retries, sweeper. No service, no technology."""
