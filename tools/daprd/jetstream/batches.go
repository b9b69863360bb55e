package jetstream

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/dapr/components-contrib/pubsub"
	"github.com/nats-io/nats.go"

	"cludale/tools/daprd/unheard"
)

const (
	contentType = "Content-Type"
	batchType   = "application/cloudevents-batch+json"
	// The length of each event of a batch in bytes, and its type: whoever takes the batch apart reads no JSON for it.
	// `812 OrderPaid,790 SeatsSold`; of an earlier sidecar, only how many there are.
	eventsHeader = "Cludale-Events"
	// A batch is no larger than this, well below what a NATS server takes by default (1 MiB), and has no more events
	// than our publisher sends at once.
	batchBytes = 256 << 10
	batchSize  = 250
)

// batch is a message, and the entries that travel in it.
type batch struct {
	message *nats.Msg
	entries []pubsub.BulkMessageEntry
}

// event is one that a message carried; its type where the message said it.
type event struct {
	data []byte
	kind string
}

// batched puts entries that are JSON objects together; what is something else travels alone, as it is.
func batched(topic string, entries []pubsub.BulkMessageEntry) []batch {
	var found []batch
	var together []pubsub.BulkMessageEntry
	var kinds []string
	size := 0
	flush := func() {
		switch len(together) {
		case 0:
			return
		case 1:
			found = append(found, batch{message(topic, together[0].Event), together})
		default:
			found = append(found, batch{batchMessage(topic, together, kinds, size), together})
		}
		together, kinds, size = nil, nil, 0
	}
	for _, entry := range entries {
		kind, isObject := unheard.Kind(entry.Event)
		if !isObject {
			found = append(found, batch{message(topic, entry.Event), []pubsub.BulkMessageEntry{entry}})
			continue
		}
		if len(together) == batchSize || size+len(entry.Event) > batchBytes {
			flush()
		}
		together = append(together, entry)
		kinds = append(kinds, kind)
		size += len(entry.Event) + 1
	}
	flush()
	return found
}

func batchMessage(topic string, entries []pubsub.BulkMessageEntry, kinds []string, size int) *nats.Msg {
	data := make([]byte, 0, size+1)
	outline := make([]string, len(entries))
	for i, entry := range entries {
		data = append(data, "[,"[min(i, 1)])
		data = append(data, entry.Event...)
		outline[i] = strconv.Itoa(len(entry.Event)) + " " + kinds[i]
	}
	m := nats.NewMsg(topic)
	m.Data = append(data, ']')
	m.Header.Set(contentType, batchType)
	m.Header.Set(eventsHeader, strings.Join(outline, ","))
	// the same batch sent again is known by what is in it
	digest := sha256.Sum256(m.Data)
	m.Header.Set(nats.MsgIdHdr, hex.EncodeToString(digest[:16]))
	return m
}

// events are what a message carries: the events of a batch, or its data as they are.
func events(m *nats.Msg) []event {
	if m.Header.Get(contentType) != batchType {
		return []event{{m.Data, ""}}
	}
	if found, ok := outlined(m.Data, m.Header.Get(eventsHeader)); ok {
		return found
	}
	var parts []json.RawMessage
	if json.Unmarshal(m.Data, &parts) != nil {
		return []event{{m.Data, ""}} // the app finds out, and it goes to the dead letters
	}
	found := make([]event, len(parts))
	for i, part := range parts {
		found[i] = event{part, ""}
	}
	return found
}

// outlined takes a batch apart as its outline says, if that fits the data.
func outlined(data []byte, outline string) ([]event, bool) {
	parts := strings.Split(outline, ",")
	found := make([]event, len(parts))
	at := 0
	for i, part := range parts {
		length, kind, isWhole := strings.Cut(part, " ")
		size, err := strconv.Atoi(length)
		end := at + 1 + size
		if !isWhole || err != nil || size < 0 || end >= len(data) || data[at] != "[,"[min(i, 1)] {
			return nil, false
		}
		found[i] = event{data[at+1 : end], kind}
		at = end
	}
	return found, at == len(data)-1 && data[at] == ']'
}

// count is how many events a message carries, as its header says.
func count(m *nats.Msg) int {
	outline := m.Header.Get(eventsHeader)
	if n, err := strconv.Atoi(outline); err == nil && n > 0 {
		return n
	}
	return 1 + strings.Count(outline, ",")
}
