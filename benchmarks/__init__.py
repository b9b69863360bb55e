"""Benchmarks: how fast it is, measured from outside against the real server. `python -m benchmarks` is the on-sale.

Nothing here is a test: machines are noisy. What is measured is written to `results/`, with machine, commit and command.
"""
