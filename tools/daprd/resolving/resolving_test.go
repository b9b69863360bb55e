package resolving

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dapr/components-contrib/nameresolution"
)

type asked struct {
	nameresolution.Resolver
	times int
	err   error
}

func (a *asked) ResolveID(context.Context, nameresolution.ResolveRequest) (string, error) {
	a.times++
	return "here", a.err
}

func TestAnAddressIsAskedForAgainAfterAMomentOrSoManyCallsAndAnErrorIsNotKept(t *testing.T) {
	behind, now := &asked{}, time.Now()
	brief := Brief(behind).(*resolver)
	brief.now = func() time.Time { return now }
	resolve := func(id string) error {
		_, err := brief.ResolveID(context.Background(), nameresolution.ResolveRequest{ID: id})
		return err
	}
	for range calls {
		resolve("concerts")
	}
	if behind.times != 1 {
		t.Errorf("asked %d times for %d calls", behind.times, calls)
	}
	resolve("concerts")
	resolve("orders")
	if behind.times != 3 {
		t.Errorf("asked %d times: once more for the next call, and for another app", behind.times)
	}
	now = now.Add(moment)
	behind.err = errors.New("away")
	if resolve("concerts") == nil || resolve("concerts") == nil || behind.times != 5 {
		t.Errorf("asked %d times after a moment", behind.times)
	}
}
