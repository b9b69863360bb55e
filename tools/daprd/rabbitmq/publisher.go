package rabbitmq

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var (
	errUnconfirmed = errors.New("RabbitMQ did not confirm the message")
	errClosed      = errors.New("the component is closed")
)

// How long it is known that the broker has taken a message after nobody waited for its answer any longer.
const knownTime = 30 * time.Second

// publisher sends messages on one channel, many of them under way at once, and waits for what the broker says to each.
type publisher struct {
	link    *link
	closing <-chan struct{}
	turn    chan struct{} // held while messages are written, not while their confirmations are waited for
	open    *confirming
	sent    uint64
}

func newPublisher(link *link, closing <-chan struct{}) *publisher {
	return &publisher{link: link, closing: closing, turn: make(chan struct{}, 1)}
}

// publish says for each body why it was not taken; nil only where the broker confirmed it and had a queue for it.
func (p *publisher) publish(ctx context.Context, topic string, bodies [][]byte) []error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	failures := make([]error, len(bodies))
	channel, messages, err := p.write(ctx, topic, bodies)
	for i := range bodies {
		if i >= len(messages) {
			failures[i] = err
			continue
		}
		taken, err := messages[i].confirmation.WaitContext(ctx)
		switch {
		case err != nil:
			failures[i] = fmt.Errorf("%w: %w", errUnconfirmed, err)
		case !taken:
			failures[i] = errUnconfirmed
		}
	}
	if len(messages) > 0 {
		for i, reason := range channel.returned(messages, failures) {
			if reason != nil && failures[i] == nil {
				failures[i] = reason
			}
		}
	}
	return failures
}

// write sends as many as it can; the error is why not all.
func (p *publisher) write(ctx context.Context, topic string, bodies [][]byte) (*confirming, []*message, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("waiting for earlier messages: %w", ctx.Err())
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	channel, err := p.channel(ctx, topic)
	if err != nil {
		return nil, nil, err
	}
	written := make([]*message, 0, len(bodies))
	for _, body := range bodies {
		content := contentOf(topic, body)
		if m := channel.underWay(content); m != nil {
			written = append(written, m)
			continue
		}
		p.sent++
		m := &message{id: strconv.FormatUint(p.sent, 10), content: content}
		channel.expect(m)
		// mandatory: what no queue takes comes back, rather than being confirmed and gone
		m.confirmation, err = channel.PublishWithDeferredConfirmWithContext(ctx, topic, "", true, false, amqp.Publishing{
			ContentType:  "application/cloudevents+json",
			DeliveryMode: amqp.Persistent,
			MessageId:    m.id, // known within the channel, for what comes back
			Body:         body,
		})
		if err != nil {
			channel.forget(m)
			return channel, written, fmt.Errorf("not sent to RabbitMQ: %w", err)
		}
		written = append(written, m)
	}
	return channel, written, nil
}

// channel is the one in use, or a new one, with the topic's exchange declared.
func (p *publisher) channel(ctx context.Context, topic string) (*confirming, error) {
	connection, blocked, err := p.link.get(ctx, p.closing)
	if err != nil {
		return nil, err
	}
	if blocked != "" {
		return nil, errors.New(blocked)
	}
	if p.open == nil || p.open.connection != connection || p.open.IsClosed() {
		opened, err := openConfirming(connection)
		if err != nil {
			return nil, err
		}
		p.open = opened
	}
	open := p.open
	if !open.declared[topic] {
		if err := connection.within(func() error { return declareTopic(connection, open.Channel, topic) }); err != nil {
			return nil, fmt.Errorf("declaring exchange %s: %w", topic, err)
		}
		open.declared[topic] = true
	}
	return open, nil
}

// content is what a message says, and to whom.
type content [sha256.Size]byte

func contentOf(topic string, body []byte) content {
	hash := sha256.New()
	hash.Write([]byte(topic))
	hash.Write([]byte{0})
	hash.Write(body)
	return content(hash.Sum(nil))
}

// message is one on its way.
type message struct {
	id           string
	content      content
	confirmation *amqp.DeferredConfirmation
	cameBack     error
	isLeft       bool // by whoever waited, before it was answered
}

// confirming is a channel on which the broker confirms each message.
type confirming struct {
	*amqp.Channel
	connection *connection
	declared   map[string]bool
	sync       chan chan struct{} // for those who want all that came back until now to be noted
	over       chan struct{}

	mutex    sync.Mutex
	expected map[string]*message
	contents map[content]*message // of those; see underWay
}

func openConfirming(connection *connection) (*confirming, error) {
	made := &confirming{
		connection: connection,
		declared:   map[string]bool{},
		sync:       make(chan chan struct{}),
		over:       make(chan struct{}),
		expected:   map[string]*message{},
		contents:   map[content]*message{},
	}
	err := connection.within(func() error {
		channel, err := connection.Channel()
		if err != nil {
			return err
		}
		made.Channel = channel
		return channel.Confirm(false)
	})
	if err != nil {
		return nil, fmt.Errorf("opening a channel to RabbitMQ: %w", err)
	}
	// no room: a message that came back is noted before the client reads its confirmation, which follows it
	go made.note(made.NotifyReturn(make(chan amqp.Return)))
	return made, nil
}

func (c *confirming) note(returns <-chan amqp.Return) {
	defer close(c.over)
	for {
		select {
		case back, open := <-returns:
			if !open {
				return
			}
			c.mutex.Lock()
			if m := c.expected[back.MessageId]; m != nil {
				m.cameBack = fmt.Errorf("no queue for messages of %s: %s", back.Exchange, back.ReplyText)
			}
			c.mutex.Unlock()
		case noted := <-c.sync:
			close(noted)
		}
	}
}

// underWay is the message that says the same and for which the broker owes an answer, or gave it lately to nobody; nil
// if there is none. A broker that is slow is asked again by whoever has waited for long enough: each time it got all of
// it once more, it would be slower still, and never be through.
func (c *confirming) underWay(content content) *message {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.contents[content]
}

func (c *confirming) expect(m *message) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.expected[m.id] = m
	c.contents[m.content] = m
}

func (c *confirming) forget(m *message) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.drop(m)
}

func (c *confirming) drop(m *message) {
	delete(c.expected, m.id)
	if c.contents[m.content] == m {
		delete(c.contents, m.content)
	}
}

// forgetLater keeps what nobody waited for until the broker has answered, and for a while after that.
func (c *confirming) forgetLater(m *message) {
	defer c.forget(m)
	select {
	case <-m.confirmation.Done():
	case <-c.over:
		return
	}
	if !m.confirmation.Acked() {
		return
	}
	select {
	case <-time.After(knownTime):
	case <-c.over:
	}
}

// returned says of each message why it came back, nil if it did not; those that were answered are forgotten with it.
func (c *confirming) returned(messages []*message, failures []error) []error {
	noted := make(chan struct{})
	select {
	case c.sync <- noted:
		<-noted
	case <-c.over: // all that came back was noted
	}
	reasons := make([]error, len(messages))
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for i, m := range messages {
		reasons[i] = m.cameBack
		switch {
		case failures[i] == nil || m.cameBack != nil:
			c.drop(m)
		case !m.isLeft:
			m.isLeft = true
			go c.forgetLater(m)
		}
	}
	return reasons
}
