// Package jetstream is the pub/sub component pubsub.jetstream with the same metadata as Dapr's own, for a stream and
// durable consumers that are there beforehand or are made as Dapr's own makes them. It differs where that one loses
// messages or time:
//
//   - A message is acknowledged when the app has answered for it. Dapr's own acknowledges it when the callback returns,
//     which with `concurrency: parallel` is before the app has seen it.
//   - Bulks are made of what is there: alone a message waits for nobody, under load it travels with others. The
//     wait that a subscription asks for (maxAwaitDurationMs) is not needed.
//   - While the app is tried again the broker is told so, and does not deliver the message a second time.
//   - A bulk of CloudEvents travels as one message, in CloudEvents' JSON batch format: the broker puts a message on the
//     disk, and takes it off again, by itself, so that a bulk costs what one event costs. A batch is acknowledged when
//     all of it was answered for; who hears events knows those that come a second time.
//   - Events of types that the app does not hear are left out (see unheard).
//   - The connection is tried again for as long as it takes.
package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/dapr/components-contrib/metadata"
	"github.com/dapr/components-contrib/pubsub"
	"github.com/dapr/kit/logger"
	kitmd "github.com/dapr/kit/metadata"
	"github.com/nats-io/nats.go"

	"cludale/tools/daprd/bulks"
	"cludale/tools/daprd/unheard"
)

const (
	// How long the broker may take for an answer where nobody said anything shorter.
	answerTime = 5 * time.Second
	// How soon a message comes again that could not be handled nor buried.
	againAfter  = time.Second
	defaultBulk = 100
)

type settings struct {
	NatsURL        string        `mapstructure:"natsURL"`
	Token          string        `mapstructure:"token"`
	Name           string        `mapstructure:"name"`
	StreamName     string        `mapstructure:"streamName"`
	DurableName    string        `mapstructure:"durableName"`
	QueueGroupName string        `mapstructure:"queueGroupName"`
	AckWait        time.Duration `mapstructure:"ackWait"`
	MaxDeliver     int           `mapstructure:"maxDeliver"`
	MaxAckPending  int           `mapstructure:"maxAckPending"`
}

type component struct {
	log        logger.Logger
	settings   settings
	connection *nats.Conn
	stream     nats.JetStreamContext
	closing    chan struct{}
	close      sync.Once
	underWay   sync.WaitGroup
}

// New makes the component; Init connects it.
func New(log logger.Logger) pubsub.PubSub {
	return &component{log: log, closing: make(chan struct{})}
}

func (c *component) Init(_ context.Context, given pubsub.Metadata) error {
	c.settings = settings{AckWait: 30 * time.Second, MaxAckPending: 1000, Name: "dapr"}
	if err := kitmd.DecodeMetadata(given.Properties, &c.settings); err != nil {
		return err
	}
	if c.settings.NatsURL == "" {
		return errors.New("missing natsURL")
	}
	options := []nats.Option{
		nats.Name(c.settings.Name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second),
		// what can't be sent now is tried again by who sends it, rather than kept here
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.log.Warnf("the broker is away: %v", err) }),
		nats.ReconnectHandler(func(*nats.Conn) { c.log.Info("the broker is back") }),
	}
	if c.settings.Token != "" {
		options = append(options, nats.Token(c.settings.Token))
	}
	server, err := url.Parse(c.settings.NatsURL)
	if err != nil {
		return errors.New("natsURL is not an address")
	}
	// whom to trust, as RabbitMQ's addresses name it
	if authority := server.Query().Get("cacertfile"); authority != "" {
		options = append(options, nats.RootCAs(authority))
		server.RawQuery = ""
	}
	if c.connection, err = nats.Connect(server.String(), options...); err != nil {
		return err
	}
	c.stream, err = c.connection.JetStream(nats.MaxWait(answerTime))
	return err
}

// Features tells the sidecar to publish bulks as such; without it, it publishes their entries one by one.
func (c *component) Features() []pubsub.Feature { return []pubsub.Feature{pubsub.FeatureBulkPublish} }

func (c *component) GetComponentMetadata() metadata.MetadataMap { return nil }

// Ping says whether the broker can be reached.
func (c *component) Ping(context.Context) error {
	if !c.connection.IsConnected() {
		return errors.New("not connected to NATS")
	}
	return nil
}

func (c *component) Publish(ctx context.Context, req *pubsub.PublishRequest) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	_, err := c.stream.PublishMsg(message(req.Topic, req.Data), nats.Context(ctx))
	return err
}

// BulkPublish sends the entries in batches, then waits for what the broker says to each.
func (c *component) BulkPublish(ctx context.Context, req *pubsub.BulkPublishRequest) (pubsub.BulkPublishResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	batches := batched(req.Topic, req.Entries)
	answers := make([]nats.PubAckFuture, len(batches))
	failures := make([]error, len(batches))
	for i, each := range batches {
		answers[i], failures[i] = c.stream.PublishMsgAsync(each.message)
	}
	var response pubsub.BulkPublishResponse
	for i, each := range batches {
		if failures[i] == nil {
			select {
			case <-answers[i].Ok():
			case failures[i] = <-answers[i].Err():
			case <-ctx.Done():
				failures[i] = ctx.Err()
			}
		}
		if failures[i] != nil {
			for _, entry := range each.entries {
				response.FailedEntries = append(response.FailedEntries,
					pubsub.BulkPublishResponseFailedEntry{EntryId: entry.EntryId, Error: failures[i]})
			}
		}
	}
	if failed := len(response.FailedEntries); failed > 0 {
		return response, fmt.Errorf("%d of %d not published: %w", failed, len(req.Entries), response.FailedEntries[0].Error)
	}
	return response, nil
}

// The broker knows a second publish of one event by the event's id.
func message(topic string, data []byte) *nats.Msg {
	m := nats.NewMsg(topic)
	m.Data = data
	var event struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(data, &event) == nil && event.ID != "" {
		m.Header.Set(nats.MsgIdHdr, event.ID)
	}
	return m
}

func (c *component) Subscribe(ctx context.Context, req pubsub.SubscribeRequest, handler pubsub.Handler) error {
	skipped := unheard.Of(req.Metadata)
	return c.consume(ctx, req.Topic, 1, func(ctx context.Context, messages []*nats.Msg) []error {
		outcomes := make([]error, len(messages))
		for i, m := range messages {
			for _, event := range events(m) {
				if skipped.Has(event.kind, event.data) {
					continue
				}
				outcomes[i] = errors.Join(outcomes[i], handler(ctx, &pubsub.NewMessage{
					Topic:    req.Topic,
					Data:     event.data,
					Metadata: map[string]string{"Topic": m.Subject},
				}))
			}
		}
		return outcomes
	})
}

func (c *component) BulkSubscribe(ctx context.Context, req pubsub.SubscribeRequest, handler pubsub.BulkHandler) error {
	size := req.BulkSubscribeConfig.MaxMessagesCount
	if size <= 0 {
		size = defaultBulk
	}
	skipped := unheard.Of(req.Metadata)
	return c.consume(ctx, req.Topic, size, func(ctx context.Context, messages []*nats.Msg) []error {
		var entries []pubsub.BulkMessageEntry
		var of []int // the message that an entry came in
		for i, m := range messages {
			for _, event := range events(m) {
				if skipped.Has(event.kind, event.data) {
					continue
				}
				id := strconv.Itoa(len(entries))
				entries = append(entries, pubsub.BulkMessageEntry{EntryId: id, Event: event.data, Metadata: map[string]string{}})
				of = append(of, i)
			}
		}
		outcomes := make([]error, len(messages))
		if len(entries) == 0 {
			return outcomes
		}
		answers, err := handler(ctx, &pubsub.BulkMessage{Topic: req.Topic, Entries: entries, Metadata: map[string]string{}})
		switch {
		case len(answers) == len(entries):
			for i := range answers {
				outcomes[of[i]] = errors.Join(outcomes[of[i]], answers[i].Error)
			}
			if err != nil && allNil(outcomes) {
				fill(outcomes, err)
			}
		case err != nil:
			fill(outcomes, err)
		}
		return outcomes
	})
}

func allNil(outcomes []error) bool {
	for _, outcome := range outcomes {
		if outcome != nil {
			return false
		}
	}
	return true
}

func fill(outcomes []error, err error) {
	for i := range outcomes {
		outcomes[i] = err
	}
}

// consume subscribes, and hands what comes to handle in bulks of at most size, until ctx ends or the component closes.
func (c *component) consume(
	ctx context.Context, topic string, size int, handle func(context.Context, []*nats.Msg) []error,
) error {
	stream, consumer, err := c.consumer(topic)
	if err != nil {
		return err
	}
	// as many as the broker sends before it wants answers
	arriving := make(chan *nats.Msg, c.settings.MaxAckPending+size)
	bind := []nats.SubOpt{nats.Bind(stream, consumer), nats.ManualAck()}
	var subscription *nats.Subscription
	if group := c.settings.QueueGroupName; group != "" {
		subscription, err = c.stream.ChanQueueSubscribe(topic, group, arriving, bind...)
	} else {
		subscription, err = c.stream.ChanSubscribe(topic, arriving, bind...)
	}
	if err != nil {
		return err
	}
	c.underWay.Add(1)
	go func() {
		defer c.underWay.Done()
		bulks.Deliver(ctx, c.closing, arriving, size, count, &c.underWay, func(bulk []*nats.Msg) { c.handle(bulk, handle) })
		if err := subscription.Unsubscribe(); err != nil {
			c.log.Warnf("unsubscribing from %s: %v", topic, err)
		}
		// another replica may have at once what nobody here will look at
		for {
			select {
			case m := <-arriving:
				c.settle(m, m.Nak())
			default:
				return
			}
		}
	}()
	return nil
}

// consumer finds the durable consumer, or makes it.
func (c *component) consumer(topic string) (stream string, name string, err error) {
	stream = c.settings.StreamName
	if stream == "" {
		if stream, err = c.stream.StreamNameBySubject(topic); err != nil {
			return "", "", err
		}
	}
	info, err := c.stream.AddConsumer(stream, &nats.ConsumerConfig{
		Durable:        c.settings.DurableName,
		DeliverGroup:   c.settings.QueueGroupName,
		DeliverSubject: nats.NewInbox(),
		FilterSubject:  topic,
		AckPolicy:      nats.AckExplicitPolicy,
		AckWait:        c.settings.AckWait,
		MaxDeliver:     c.settings.MaxDeliver,
		MaxAckPending:  c.settings.MaxAckPending,
	})
	if err != nil {
		return "", "", err
	}
	if info.Config.FilterSubject != topic {
		return "", "", fmt.Errorf("consumer %s hears %s, not %s", info.Name, info.Config.FilterSubject, topic)
	}
	return stream, info.Name, nil
}

// handle tells the broker now and then that the bulk is being worked on, and in the end what became of each message.
func (c *component) handle(bulk []*nats.Msg, handle func(context.Context, []*nats.Msg) []error) {
	done := make(chan struct{})
	var telling sync.WaitGroup
	telling.Add(1)
	go func() {
		defer telling.Done()
		ticker := time.NewTicker(c.settings.AckWait / 3)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				for _, m := range bulk {
					c.settle(m, m.InProgress())
				}
			case <-done:
				return
			}
		}
	}()
	// not the subscription's context: what is begun is finished, and its outcome told
	outcomes := handle(context.Background(), bulk)
	close(done)
	telling.Wait()
	for i, m := range bulk {
		if outcomes[i] == nil {
			c.settle(m, m.Ack())
		} else {
			c.log.Warnf("message on %s comes again: %v", m.Subject, outcomes[i])
			c.settle(m, m.NakWithDelay(againAfter))
		}
	}
}

func (c *component) settle(m *nats.Msg, err error) {
	if err != nil {
		c.log.Warnf("telling the broker about a message on %s, which will come again: %v", m.Subject, err)
	}
}

func (c *component) Close() error {
	c.close.Do(func() { close(c.closing) })
	c.underWay.Wait()
	if c.connection != nil {
		return c.connection.Drain()
	}
	return nil
}
