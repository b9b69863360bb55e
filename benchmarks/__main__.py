"""`python -m benchmarks`: the on-sale."""

from benchmarks.command import main

if __name__ == "__main__":
    main()
