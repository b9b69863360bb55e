"""Pictures of the shop's pages."""
