# The sidecar of tools/daprd: Dapr's own with the components that are used here. Built from the project's folder:
#   docker build -f docker/daprd.Dockerfile -t cludale-daprd .
# Dapr's image daprio/daprd:1.16.0 works in its place; it delivers over JetStream one message at a time.
ARG GO=docker.io/library/golang:1.26-bookworm
FROM ${GO} AS build
WORKDIR /src
COPY tools/daprd/go.mod tools/daprd/go.sum ./
RUN ["go", "mod", "download"]
COPY tools/daprd/ ./
ENV CGO_ENABLED=0 GOTOOLCHAIN=local
RUN ["go", "build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w -X github.com/dapr/dapr/pkg/buildinfo.version=1.16.0", "-o", "/daprd", "."]

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /daprd /daprd
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/daprd"]
