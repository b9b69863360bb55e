"""What NATS says of itself over HTTP (`http:` in its configuration): how many messages wait for whom. Read only."""
