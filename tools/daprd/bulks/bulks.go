// Package bulks hands messages to a handler in bulks of what is there: alone a message waits for nobody, under load it
// travels with others.
package bulks

import (
	"context"
	"sync"
	"time"
)

const (
	// Bulks of a subscription that are under way at once. One that takes longer than patience, because the app is being
	// tried again, makes room for the next, up to inAll.
	atOnceAtLeast = 2
	patience      = 250 * time.Millisecond
	inAll         = 64
)

// Deliver hands what arrives to handle, in bulks of at most size, until ctx ends, closing is closed or arriving is.
// weight is how many events a message carries. Calls of handle may still be under way then: underWay counts them.
func Deliver[Message any](
	ctx context.Context, closing <-chan struct{}, arriving <-chan Message, size int, weight func(Message) int,
	underWay *sync.WaitGroup, handle func([]Message),
) {
	places := make(chan struct{}, inAll)
	atOnce := make(chan struct{}, max(atOnceAtLeast, inAll/max(size, 1)))
	take := func(from chan struct{}) bool {
		select {
		case from <- struct{}{}:
			return true
		case <-ctx.Done():
			return false
		case <-closing:
			return false
		}
	}
	for {
		// a place first, so that what arrives meanwhile goes together
		if !take(places) || !take(atOnce) {
			return
		}
		var first Message
		var open bool
		select {
		case first, open = <-arriving:
			if !open {
				return
			}
		case <-ctx.Done():
			return
		case <-closing:
			return
		}
		bulk := []Message{first}
	gathering:
		for gathered := weight(first); gathered < size; {
			select {
			case m, open := <-arriving:
				if !open {
					break gathering
				}
				bulk = append(bulk, m)
				gathered += weight(m)
			default:
				break gathering
			}
		}
		underWay.Add(1)
		go func() {
			defer underWay.Done()
			defer func() { <-places }()
			var leave sync.Once
			impatient := time.AfterFunc(patience, func() { leave.Do(func() { <-atOnce }) })
			defer func() {
				impatient.Stop()
				leave.Do(func() { <-atOnce })
			}()
			handle(bulk)
		}()
	}
}
