"""A door device that goes on without network: its journal, its clock, and what it does with a code."""
