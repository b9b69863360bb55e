"""`python -m cludale_operations` is `cludale`."""

from cludale_operations.cli import main

main()
