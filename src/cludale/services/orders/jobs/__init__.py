"""What becomes of all orders of a concert that is called off or moved, page by page."""
