package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dapr/kit/logger"
	amqp "github.com/rabbitmq/amqp091-go"

	"cludale/tools/daprd/bulks"
)

const (
	// How long a message that could not be handled nor buried is held before it goes back to its queue: the longer
	// nothing of the subscription is taken, the longer, and no longer than until something is.
	shortestHold = time.Second
	longestHold  = 15 * time.Second
	// How often a subscription says that messages are not taken.
	sayEvery = 10 * time.Second
	// How long the broker may take to make a subscription.
	subscribeTime = 20 * time.Second
)

var errConsumerLost = errors.New("RabbitMQ ended the consumer")

// subscription is a queue that is consumed until its context ends.
type subscription struct {
	log      logger.Logger
	link     *link
	closing  <-chan struct{}
	underWay *sync.WaitGroup
	topic    string
	queue    string
	prefetch int
	size     int
	handle   func([]amqp.Delivery) []error

	mutex      sync.Mutex
	failing    time.Time     // since when nothing was taken; zero if the last was
	healed     chan struct{} // closed when something is taken again; nil while nothing fails
	saidAt     time.Time
	unsaid     int
	subscribed chan struct{} // closed at the first success
	once       sync.Once
}

// run consumes, over one connection after the other.
func (s *subscription) run(ctx context.Context) {
	wait := shortestWait
	for {
		began := time.Now()
		err := s.session(ctx)
		if s.isOver(ctx) {
			return
		}
		if time.Since(began) > longestWait {
			wait = shortestWait
		}
		s.log.Warnf("consuming %s goes on in %s: %v", s.queue, wait, err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		case <-s.closing:
			return
		}
		wait = min(2*wait, longestWait)
	}
}

func (s *subscription) isOver(ctx context.Context) bool {
	select {
	case <-s.closing:
		return true
	default:
		return ctx.Err() != nil
	}
}

// session consumes on one channel, until that is lost or the subscription ends. What is begun is finished then and its
// outcome told; all else that was delivered goes back with the channel.
func (s *subscription) session(ctx context.Context) error {
	connection, _, err := s.link.get(ctx, s.closing)
	if err != nil {
		return err
	}
	channel, deliveries, err := s.consume(connection)
	if err != nil {
		return err
	}
	s.once.Do(func() { close(s.subscribed) })
	over, end := context.WithCancel(ctx)
	var begun sync.WaitGroup
	bulks.Deliver(ctx, s.closing, s.gathered(deliveries), s.size, one, &begun, func(bulk []amqp.Delivery) { s.settle(over, &begun, bulk) })
	end()
	finish := func() {
		begun.Wait()
		_ = connection.within(channel.Close) // may be lost already, with the same effect
	}
	if s.isOver(ctx) {
		_ = channel.Cancel(s.queue, true) // no more of them meanwhile; the channel's end does the same
		finish()
		return nil
	}
	// the next session does not wait for the handlers of this one
	s.underWay.Add(1)
	go func() {
		defer s.underWay.Done()
		finish()
	}()
	return errConsumerLost
}

func one(amqp.Delivery) int { return 1 }

// gathered lets what was delivered lie together, for bulks: the client hands its messages over one by one. All that the
// broker delivers without an answer has room.
func (s *subscription) gathered(deliveries <-chan amqp.Delivery) <-chan amqp.Delivery {
	together := make(chan amqp.Delivery, s.prefetch)
	go func() {
		defer close(together)
		for delivery := range deliveries {
			together <- delivery
		}
	}()
	return together
}

func (s *subscription) consume(connection *connection) (*amqp.Channel, <-chan amqp.Delivery, error) {
	var channel *amqp.Channel
	var deliveries <-chan amqp.Delivery
	err := connection.within(func() error {
		var err error
		if channel, err = connection.Channel(); err != nil {
			return err
		}
		if err = channel.Qos(s.prefetch, 0, false); err != nil {
			return err
		}
		if err = declareTopic(connection, channel, s.topic); err != nil {
			return err
		}
		if err = declareQueue(connection, channel, s.queue, s.topic); err != nil {
			return err
		}
		deliveries, err = channel.Consume(s.queue, s.queue, false, false, false, false, nil)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("subscribing to %s: %w", s.queue, err)
	}
	return channel, deliveries, nil
}

// settle tells the broker what became of each. What was not taken is held for a while first: sent back at once it would
// come again at once. Held messages count as delivered, so that the broker sends no more than the prefetch of them.
func (s *subscription) settle(over context.Context, begun *sync.WaitGroup, bulk []amqp.Delivery) {
	outcomes := s.handle(bulk)
	var held []amqp.Delivery
	var reason error
	for i, delivery := range bulk {
		if outcomes[i] == nil {
			s.tell(delivery.Ack(false))
		} else {
			held, reason = append(held, delivery), outcomes[i]
		}
	}
	hold, healed := s.holds(len(bulk)-len(held), len(held), reason, time.Now())
	if len(held) == 0 {
		return
	}
	begun.Add(1)
	go func() {
		defer begun.Done()
		s.wait(over, shortestHold, nil)
		s.wait(over, hold-shortestHold, healed)
		for _, delivery := range held {
			s.tell(delivery.Reject(true))
		}
	}()
}

// wait waits so long, or until healed is closed, or the session or the component ends.
func (s *subscription) wait(over context.Context, long time.Duration, healed <-chan struct{}) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-healed:
	case <-over.Done():
	case <-s.closing:
	}
}

// holds says for how long what failed is held, and what ends that early.
func (s *subscription) holds(taken, failed int, reason error, now time.Time) (time.Duration, <-chan struct{}) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if taken > 0 && s.healed != nil {
		close(s.healed)
		s.failing, s.healed = time.Time{}, nil
	}
	if failed == 0 {
		return 0, nil
	}
	if s.healed == nil {
		s.failing, s.healed = now, make(chan struct{})
	}
	s.unsaid += failed
	if now.Sub(s.saidAt) >= sayEvery {
		s.log.Warnf("%d deliveries of %s were not taken and come again: %v", s.unsaid, s.queue, reason)
		s.saidAt, s.unsaid = now, 0
	}
	return min(max(now.Sub(s.failing), shortestHold), longestHold), s.healed
}

func (s *subscription) tell(err error) {
	if err != nil {
		s.log.Debugf("telling RabbitMQ about a message of %s, which will come again: %v", s.queue, err)
	}
}
