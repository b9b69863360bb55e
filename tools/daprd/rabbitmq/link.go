package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/dapr/kit/logger"
	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	shortestWait = 250 * time.Millisecond
	longestWait  = 2 * time.Second
	blocksKept   = 16
)

// link is a connection to the broker that is made again for as long as it takes.
type link struct {
	log  logger.Logger
	name string
	dial func() (*connection, error)

	mutex   sync.Mutex
	current *connection
	blocked string        // why the broker takes nothing from this connection, empty if it does
	changed chan struct{} // closed when current changes
}

// connection is one that is open, and its socket: closing that ends whatever waits for the broker.
type connection struct {
	*amqp.Connection
	socket net.Conn
}

// dialer connects with the settings; no write takes longer than answerTime.
func dialer(uri string, config amqp.Config) func() (*connection, error) {
	return func() (*connection, error) {
		made := &connection{}
		config := config
		config.Dial = func(network, address string) (net.Conn, error) {
			socket, err := amqp.DefaultDial(answerTime)(network, address)
			if err != nil {
				return nil, err
			}
			made.socket = socket
			return boundedWrites{socket}, nil
		}
		var err error
		made.Connection, err = amqp.DialConfig(uri, config)
		return made, err
	}
}

// boundedWrites ends a connection that takes nothing: a broker that blocks publishers stops reading.
type boundedWrites struct{ net.Conn }

func (c boundedWrites) Write(data []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(answerTime)); err != nil {
		return 0, err
	}
	return c.Conn.Write(data)
}

func newLink(log logger.Logger, name string, dial func() (*connection, error)) *link {
	return &link{log: log, name: name, dial: dial, changed: make(chan struct{})}
}

// run keeps a connection until closing is closed, then closes it.
func (l *link) run(closing <-chan struct{}) {
	wait := shortestWait
	for {
		made, err := l.dial()
		if err != nil {
			l.log.Warnf("RabbitMQ can't be reached for %s, tried again in %s: %v", l.name, wait, err)
			select {
			case <-time.After(wait/2 + rand.N(wait)):
			case <-closing:
				return
			}
			wait = min(2*wait, longestWait)
			continue
		}
		wait = shortestWait
		if !l.keep(made, closing) {
			return
		}
	}
}

// keep holds a connection until it is lost; false if it was closed because closing is.
func (l *link) keep(made *connection, closing <-chan struct{}) bool {
	lost := made.NotifyClose(make(chan *amqp.Error, 1))
	blocks := made.NotifyBlocked(make(chan amqp.Blocking, blocksKept))
	l.set(made, "")
	l.log.Infof("connected to RabbitMQ for %s", l.name)
	for {
		select {
		case reason := <-lost:
			l.set(nil, "")
			l.log.Warnf("the connection to RabbitMQ for %s was lost: %v", l.name, reason)
			return true
		case block, open := <-blocks:
			switch {
			case !open:
				blocks = nil // with the connection
			case block.Active:
				l.log.Warnf("RabbitMQ takes no messages: %s", block.Reason)
				l.set(made, "RabbitMQ takes no messages: "+block.Reason)
			default:
				l.log.Info("RabbitMQ takes messages again")
				l.set(made, "")
			}
		case <-closing:
			l.set(nil, "")
			_ = made.within(made.Close)
			return false
		}
	}
}

func (l *link) set(current *connection, blocked string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.current != current {
		close(l.changed)
		l.changed = make(chan struct{})
	}
	l.current, l.blocked = current, blocked
}

// get is the connection, waited for until ctx ends. A broker that blocks publishers is an error where it matters.
func (l *link) get(ctx context.Context, closing <-chan struct{}) (*connection, string, error) {
	for {
		l.mutex.Lock()
		current, blocked, changed := l.current, l.blocked, l.changed
		l.mutex.Unlock()
		if current != nil {
			return current, blocked, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, "", fmt.Errorf("not connected to RabbitMQ: %w", ctx.Err())
		case <-closing:
			return nil, "", errClosed
		}
	}
}

// within waits for an answer of the broker, for patience: the client has no such bound. Without one in time the
// connection ends. Whoever asks may have had less time left; the connection is not theirs alone, so that doesn't end it.
func (c *connection) within(call func() error) error {
	answered := make(chan error, 1)
	go func() { answered <- call() }()
	select {
	case err := <-answered:
		return err
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("no answer from RabbitMQ in %s", patience), c.socket.Close())
	}
}
