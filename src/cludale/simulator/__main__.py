"""`python -m cludale.simulator`: run seeds, or one seed with its trace."""

from cludale.simulator.command import main

main()
