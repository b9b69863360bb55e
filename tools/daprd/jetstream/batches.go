package jetstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/dapr/components-contrib/pubsub"
	"github.com/nats-io/nats.go"
)

const (
	contentType = "Content-Type"
	batchType   = "application/cloudevents-batch+json"
	countHeader = "Cludale-Events"
	// A batch is no larger than this, well below what a NATS server takes by default (1 MiB), and has no more events
	// than an app is asked to take at once.
	batchBytes = 256 << 10
	batchSize  = 100
)

// batch is a message, and the entries that travel in it.
type batch struct {
	message *nats.Msg
	entries []pubsub.BulkMessageEntry
}

// batched puts entries that are JSON objects together; what is something else travels alone, as it is.
func batched(topic string, entries []pubsub.BulkMessageEntry) []batch {
	var found []batch
	var together []pubsub.BulkMessageEntry
	size := 0
	flush := func() {
		switch len(together) {
		case 0:
			return
		case 1:
			found = append(found, batch{message(topic, together[0].Event), together})
		default:
			found = append(found, batch{batchMessage(topic, together, size), together})
		}
		together, size = nil, 0
	}
	for _, entry := range entries {
		if event := bytes.TrimSpace(entry.Event); len(event) == 0 || event[0] != '{' || !json.Valid(event) {
			found = append(found, batch{message(topic, entry.Event), []pubsub.BulkMessageEntry{entry}})
			continue
		}
		if len(together) == batchSize || size+len(entry.Event) > batchBytes {
			flush()
		}
		together = append(together, entry)
		size += len(entry.Event) + 1
	}
	flush()
	return found
}

func batchMessage(topic string, entries []pubsub.BulkMessageEntry, size int) *nats.Msg {
	data := make([]byte, 0, size+1)
	for i, entry := range entries {
		data = append(data, "[,"[min(i, 1)])
		data = append(data, entry.Event...)
	}
	m := nats.NewMsg(topic)
	m.Data = append(data, ']')
	m.Header.Set(contentType, batchType)
	m.Header.Set(countHeader, strconv.Itoa(len(entries)))
	// the same batch sent again is known by what is in it
	digest := sha256.Sum256(m.Data)
	m.Header.Set(nats.MsgIdHdr, hex.EncodeToString(digest[:16]))
	return m
}

// events are what a message carries: the events of a batch, or its data as they are.
func events(m *nats.Msg) [][]byte {
	if m.Header.Get(contentType) != batchType {
		return [][]byte{m.Data}
	}
	var found []json.RawMessage
	if json.Unmarshal(m.Data, &found) != nil {
		return [][]byte{m.Data} // the app finds out, and it goes to the dead letters
	}
	each := make([][]byte, len(found))
	for i, event := range found {
		each[i] = event
	}
	return each
}

// count is how many events a message carries, as its header says.
func count(m *nats.Msg) int {
	if n, err := strconv.Atoi(m.Header.Get(countHeader)); err == nil && n > 0 {
		return n
	}
	return 1
}
