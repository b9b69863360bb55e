package jetstream

import (
	"strings"
	"testing"

	"github.com/dapr/components-contrib/pubsub"
)

func entriesOf(bodies ...string) []pubsub.BulkMessageEntry {
	var entries []pubsub.BulkMessageEntry
	for _, body := range bodies {
		entries = append(entries, pubsub.BulkMessageEntry{Event: []byte(body)})
	}
	return entries
}

func carried(t *testing.T, batches []batch) (bodies, kinds []string) {
	t.Helper()
	for _, each := range batches {
		found := events(each.message)
		if count(each.message) != len(found) || len(found) != len(each.entries) {
			t.Errorf("%d events, %d entries, counted as %d", len(found), len(each.entries), count(each.message))
		}
		for _, one := range found {
			bodies, kinds = append(bodies, string(one.data)), append(kinds, one.kind)
		}
	}
	return bodies, kinds
}

func TestABatchIsTakenApartIntoWhatWasPutIntoIt(t *testing.T) {
	sent := []string{
		`{"id":"1","type":"OrderPaid","data":{"type":"x","a":"[,]"}}`,
		`{"type":"a type, with more"}`,
		`{"type":7}`,
		" {}\n",
	}
	bodies, kinds := carried(t, batched("order-events", entriesOf(sent...)))
	if strings.Join(bodies, "|") != strings.Join(sent, "|") || strings.Join(kinds, "|") != "OrderPaid|||" {
		t.Errorf("%q of the types %q", bodies, kinds)
	}
}

func TestWhatIsNoObjectTravelsAlone(t *testing.T) {
	batches := batched("order-events", entriesOf(`{"a":1}`, `[1]`, `{"a":`, ``, `{"b":2}`))
	bodies, _ := carried(t, batches)
	if len(batches) != 4 || len(bodies) != 5 {
		t.Errorf("%d messages with %q", len(batches), bodies)
	}
}

func TestABatchWhoseOutlineDoesNotFitIsReadAsWhatItIs(t *testing.T) {
	for _, outline := range []string{"", "2", "7 A", "7 A,8 B", "6 A,8 B", "7 A,-1 B", "x A,7 B", "7,7", "7 A,7 B,7 C"} {
		m := batched("t", entriesOf(`{"a":1}`, `{"b":2}`))[0].message
		m.Header.Set(eventsHeader, outline)
		found := events(m)
		if len(found) != 2 || string(found[0].data) != `{"a":1}` || string(found[1].data) != `{"b":2}` {
			t.Errorf("%q: %v", outline, found)
		}
	}
}

func TestAnEarlierSidecarsBatchIsCountedAsItSays(t *testing.T) {
	m := batched("t", entriesOf(`{"a":1}`, `{"b":2}`))[0].message
	m.Header.Set(eventsHeader, "2")
	if count(m) != 2 {
		t.Error(count(m))
	}
}

func TestABatchHasABoundOfEventsAndOneOfBytes(t *testing.T) {
	many := make([]string, batchSize+1)
	for i := range many {
		many[i] = "{}"
	}
	large := `{"a":"` + strings.Repeat("x", batchBytes/2) + `"}`
	for want, bodies := range map[int][]string{2: many, 3: {large, large, large}} {
		batches := batched("order-events", entriesOf(bodies...))
		if found, _ := carried(t, batches); len(batches) != want || len(found) != len(bodies) {
			t.Errorf("%d events in %d messages, not %d", len(found), len(batches), want)
		}
	}
}
