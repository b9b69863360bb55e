"""One package a technology, each implementing ports. Adapters know nothing of one another or of any service."""
