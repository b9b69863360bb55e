#!/usr/bin/env bash
# Dapr's pubsub.jetstream (components-contrib 1.16.0), concurrency: parallel: what the app refuses never comes again.
#
# Most would expect: with ackPolicy: explicit a message is acknowledged when the app has taken it, whether messages are
# handed to it one by one or side by side; one that it refuses, or that it was working on when its sidecar died, is
# delivered again.
# Seen: with concurrency: parallel JetStream has the acknowledgement while the app is still at work. When the app then
# refuses the message, it is not delivered again, and the broker has nothing outstanding. With concurrency: single, the
# default, the same message comes again.
#
# The component is called here as a sidecar calls it, without a sidecar, over the real NATS server 2.15.2, which is
# built and started on loopback. Wanted: Go 1.26.
set -euo pipefail
command -v go >/dev/null || { echo "Go is wanted" >&2; exit 2; }
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; sleep 0.5; rm -rf "$folder"' EXIT

cd "$folder"
cat >main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dapr/components-contrib/metadata"
	"github.com/dapr/components-contrib/pubsub"
	"github.com/dapr/components-contrib/pubsub/jetstream"
	"github.com/dapr/kit/logger"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func check(err error) { must(0, err) }

func main() {
	connection := must(nats.Connect(os.Args[1], nats.RetryOnFailedConnect(true), nats.ReconnectWait(100*time.Millisecond)))
	for !connection.IsConnected() {
		time.Sleep(100 * time.Millisecond)
	}
	broker := must(connection.JetStream())
	quiet := logger.NewLogger("finding")
	quiet.SetOutput(io.Discard)
	for _, concurrency := range []string{"single", "parallel"} {
		stream, topic := "stream-"+concurrency, "orders-"+concurrency
		must(broker.AddStream(&nats.StreamConfig{Name: stream, Subjects: []string{topic}}))
		component := jetstream.NewJetStream(quiet)
		check(component.Init(context.Background(), pubsub.Metadata{Base: metadata.Base{Properties: map[string]string{
			"natsURL": os.Args[1], "durableName": "app", "ackPolicy": "explicit", "ackWait": "2s",
			"deliverPolicy": "all", "concurrency": concurrency,
		}}}))
		var deliveries atomic.Int32
		begun, end := make(chan struct{}, 8), make(chan struct{})
		check(component.Subscribe(context.Background(), pubsub.SubscribeRequest{Topic: topic}, func(context.Context, *pubsub.NewMessage) error {
			begun <- struct{}{}
			if deliveries.Add(1) == 1 {
				<-end
				return errors.New("the app can't take it now")
			}
			return nil
		}))
		must(broker.Publish(topic, []byte("{}")))
		<-begun
		time.Sleep(500 * time.Millisecond)
		fmt.Printf("%s, while the app is at work: %d not acknowledged\n", concurrency, must(broker.ConsumerInfo(stream, "app")).NumAckPending)
		close(end)
		time.Sleep(6 * time.Second)
		fmt.Printf("%s, after it refused: delivered %d times\n", concurrency, deliveries.Load())
		check(component.Close())
	}
}
GO
cat >go.mod <<'MOD'
module finding

go 1.24.6

require (
	github.com/dapr/components-contrib v1.16.0
	github.com/dapr/kit v0.16.1
	github.com/nats-io/nats.go v1.31.0
)
MOD
export CGO_ENABLED=0 GOFLAGS=-mod=mod GOWORK=off
log() { "$@" 2>>go.log || { cat go.log >&2; exit 2; }; }
log go mod tidy
log go build -trimpath -o finding .
GOBIN=$folder log go install -trimpath github.com/nats-io/nats-server/v2@v2.15.2

port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
./nats-server --addr 127.0.0.1 --port "$port" --jetstream --store_dir "$folder/store" >server.log 2>&1 &
server=$!; disown

echo "components-contrib 1.16.0, nats.go $(go list -m -f '{{.Version}}' github.com/nats-io/nats.go), $(./nats-server --version), $(go version | cut -d' ' -f3)"
timeout 60 ./finding "nats://127.0.0.1:$port" | tee seen
cat >known <<'KNOWN'
single, while the app is at work: 1 not acknowledged
single, after it refused: delivered 2 times
parallel, while the app is at work: 0 not acknowledged
parallel, after it refused: delivered 1 times
KNOWN
echo "expected with parallel: what is seen with single"
cmp -s seen known || { echo "It no longer behaves as described here." >&2; exit 1; }
