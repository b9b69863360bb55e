"""What is kept of the person behind an order: sealed, shown, exported, erased."""
