"""`python -m cludale_proof.simulator`: run seeds, or one seed with its trace."""

from cludale_proof.simulator.command import main

main()
