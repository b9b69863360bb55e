"""Machinery around the ports: group commit, folding turns, relay, retries, sweeper. No service, no technology."""
