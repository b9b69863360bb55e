"""`python -m cludale` is `cludale`."""

from cludale.cli import main

main()
