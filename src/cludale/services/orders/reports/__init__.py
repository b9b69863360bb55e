"""Reports and exports of orders: what was sold, what it brought, and the orders themselves, as files."""
