package rabbitmq

import (
	"errors"
	"testing"
	"time"

	"github.com/dapr/components-contrib/pubsub"
	"github.com/dapr/kit/logger"
)

var errRefused = errors.New("the app refused it")

func TestWhatFailsIsHeldLongerTheLongerNothingIsTaken(t *testing.T) {
	s := &subscription{log: logger.NewLogger("test")}
	began := time.Unix(1_700_000_000, 0)
	for _, each := range []struct{ after, hold time.Duration }{
		{0, shortestHold},
		{500 * time.Millisecond, shortestHold},
		{4 * time.Second, 4 * time.Second},
		{time.Hour, longestHold},
	} {
		if hold, _ := s.holds(0, 3, errRefused, began.Add(each.after)); hold != each.hold {
			t.Errorf("after %s it is held for %s, not %s", each.after, hold, each.hold)
		}
	}
}

func TestWhatIsHeldGoesBackOnceSomethingIsTaken(t *testing.T) {
	s := &subscription{log: logger.NewLogger("test")}
	began := time.Unix(1_700_000_000, 0)
	_, healed := s.holds(0, 1, errRefused, began)
	s.holds(1, 0, nil, began.Add(time.Minute))
	select {
	case <-healed:
	default:
		t.Error("it is held although the app takes messages again")
	}
	if hold, _ := s.holds(0, 1, errRefused, began.Add(time.Hour)); hold != shortestHold {
		t.Errorf("the next failure is held for %s, not %s", hold, shortestHold)
	}
}

func TestAnErrorThatNoAnswerExplainsIsOneForTheWholeBulk(t *testing.T) {
	explained := outcomes([]pubsub.BulkSubscribeResponseEntry{{EntryId: "0"}, {EntryId: "1", Error: errRefused}}, errRefused, 2)
	if explained[0] != nil || explained[1] == nil {
		t.Errorf("an answer for each was not kept to: %v", explained)
	}
	for _, found := range [][]error{
		outcomes(nil, errRefused, 2),
		outcomes([]pubsub.BulkSubscribeResponseEntry{{EntryId: "0"}, {EntryId: "1"}}, errRefused, 2),
	} {
		if found[0] == nil || found[1] == nil {
			t.Errorf("a bulk that failed is said to be taken: %v", found)
		}
	}
}
