"""The shop: concerts to find and look at, tickets to buy, and one's orders."""
