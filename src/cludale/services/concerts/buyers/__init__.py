"""What a buyer may have at once: tickets of a concert, and seats held without having paid."""
