"""What tickets cost: the price list, and the bill that follows from it."""
