"""What the services need of the world, as Protocols. Each adapter package implements some of them."""
