"""`python -m benchmarks`: the on-sale."""

from benchmarks.onsale import main

main()
