"""Guest lists: complimentary orders in the names of those who come."""
