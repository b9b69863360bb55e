#!/usr/bin/env bash
# Dapr's pubsub.rabbitmq (components-contrib 1.16.0): a message that the broker refuses is published, it says.
#
# Most would expect: with publisherConfirm=true, publishing succeeds when RabbitMQ has confirmed the message, and is
# an error when RabbitMQ refuses it (basic.nack) or goes away before it answers.
# Seen: the component waits for the confirmation, logs that it did not come, and answers no error, which a sidecar
# hands to its caller as 204. It does so where a queue is full and rejects what is published, as it was set up to, and
# where the broker is killed with the message in hand. RabbitMQ's own Go client reports both.
#
# The component is called here as a sidecar calls it, without a sidecar. Wanted: Go, and Debian's rabbitmq-server,
# which is started on loopback in a temporary folder.
set -euo pipefail
server=$(PATH=/usr/lib/rabbitmq/bin:$PATH command -v rabbitmq-server) || { echo "rabbitmq-server is wanted" >&2; exit 2; }
command -v go >/dev/null || { echo "Go is wanted" >&2; exit 2; }
folder=$(mktemp -d)
started=()
trap 'kill -9 "${started[@]}" 2>/dev/null || true; sleep 0.5; rm -rf "$folder"' EXIT

cd "$folder"
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/dapr/components-contrib/metadata"
	"github.com/dapr/components-contrib/pubsub"
	"github.com/dapr/components-contrib/pubsub/rabbitmq"
	"github.com/dapr/kit/logger"
)

// Full has room for one message, and refuses what comes then. Empty has room for all.
const full, empty = "full", "empty"

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func check(err error) { must(0, err) }

func main() {
	ctx := context.Background()
	connection := must(amqp.Dial(os.Args[1]))
	channel := must(connection.Channel())
	check(channel.Confirm(false))
	for name, arguments := range map[string]amqp.Table{
		full:  {"x-max-length": 1, "x-overflow": "reject-publish"},
		empty: {},
	} {
		check(channel.ExchangeDeclare(name, "fanout", true, false, false, false, nil))
		must(channel.QueueDeclare(name, true, false, false, false, arguments))
		check(channel.QueueBind(name, "", name, false, nil))
	}

	quiet := logger.NewLogger("finding")
	quiet.SetOutput(io.Discard)
	component := rabbitmq.NewRabbitMQ(quiet)
	check(component.Init(ctx, pubsub.Metadata{Base: metadata.Base{Properties: map[string]string{
		"connectionString": os.Args[1], "publisherConfirm": "true", "durable": "true", "deletedWhenUnused": "false",
		"deliveryMode": "2", "consumerID": "finding",
	}}}))
	through := func(topic string) string {
		if err := component.Publish(ctx, &pubsub.PublishRequest{Topic: topic, Data: []byte("{}")}); err != nil {
			return "an error"
		}
		return "success"
	}
	plain := func(topic string) string {
		confirmation := must(channel.PublishWithDeferredConfirmWithContext(ctx, topic, "", false, false, amqp.Publishing{Body: []byte("{}")}))
		if confirmation.Wait() {
			return "success"
		}
		return "an error"
	}

	fmt.Println("room for it, Dapr:", through(full))
	fmt.Println("refused, RabbitMQ's client:", plain(full))
	fmt.Println("refused, Dapr:", through(full))
	fmt.Println("messages in the full queue:", must(channel.QueueDeclarePassive(full, true, false, false, false, nil)).Messages)

	fmt.Println("room for all, Dapr:", through(empty))
	// the broker stands still, gets both messages, and is killed before it has looked at them
	broker := must(strconv.Atoi(strings.TrimSpace(string(must(os.ReadFile(os.Args[2]))))))
	check(syscall.Kill(broker, syscall.SIGSTOP))
	fromClient, fromDapr := make(chan string, 1), make(chan string, 1)
	go func() { fromClient <- plain(empty) }()
	go func() { fromDapr <- through(empty) }()
	time.Sleep(2 * time.Second)
	check(syscall.Kill(broker, syscall.SIGKILL))
	fmt.Println("killed, RabbitMQ's client:", <-fromClient)
	fmt.Println("killed, Dapr:", <-fromDapr)
}
GO
cat >go.mod <<'MOD'
module finding

go 1.24.6

require (
	github.com/dapr/components-contrib v1.16.0
	github.com/dapr/kit v0.16.1
	github.com/rabbitmq/amqp091-go v1.9.0
)
MOD
export CGO_ENABLED=0 GOFLAGS=-mod=mod GOWORK=off
go mod tidy 2>"$folder/go.log" || { cat "$folder/go.log" >&2; exit 2; }
go build -trimpath -o finding . 2>"$folder/go.log" || { cat "$folder/go.log" >&2; exit 2; }

ports=$(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(each.getsockname()[1] for each in sockets))')
read -r port distribution mapper <<<"$ports"
export HOME=$folder ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$mapper RABBITMQ_NODENAME=finding@localhost
export RABBITMQ_CONFIG_FILE=$folder/rabbitmq RABBITMQ_CONF_ENV_FILE=$folder/none RABBITMQ_DIST_PORT=$distribution
export RABBITMQ_ENABLED_PLUGINS_FILE=$folder/plugins RABBITMQ_MNESIA_BASE=$folder/mnesia RABBITMQ_LOG_BASE=$folder/log
export RABBITMQ_PID_FILE=$folder/pid RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
echo '[].' >plugins
printf 'listeners.tcp.1 = 127.0.0.1:%s\nlog.console = true\nlog.file = false\n' "$port" >rabbitmq.conf
epmd -address 127.0.0.1 -port "$mapper" >epmd.log 2>&1 &
started+=($!); disown
"$server" >server.log 2>&1 &
started+=($!); disown
for _ in $(seq 120); do
    grep -q "Server startup complete" server.log && break
    sleep 0.5
done
grep -q "Server startup complete" server.log || { cat server.log >&2; exit 2; }
broker=$(cat pid)
started+=("$broker")

echo "components-contrib 1.16.0, RabbitMQ $(grep -om1 'Starting RabbitMQ [0-9.]*' server.log | cut -d' ' -f3), $(go version | cut -d' ' -f3)"
timeout 120 ./finding "amqp://guest:guest@127.0.0.1:$port/" pid | tee seen
cat >known <<'KNOWN'
room for it, Dapr: success
refused, RabbitMQ's client: an error
refused, Dapr: success
messages in the full queue: 1
room for all, Dapr: success
killed, RabbitMQ's client: an error
killed, Dapr: success
KNOWN
echo "expected of Dapr: an error where RabbitMQ's client has one"
cmp -s seen known || { echo "It no longer behaves as described here." >&2; exit 1; }
