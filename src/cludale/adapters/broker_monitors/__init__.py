"""What brokers say of themselves over HTTP, beside the sidecar: how many events wait for a service. Read only."""
