// Package rabbitmq is the pub/sub component pubsub.rabbitmq with the metadata of Dapr's own, for the exchanges and
// queues that `cludale broker definitions` prints, or makes them as Dapr's own does. It differs where that one loses
// messages or time:
//
//   - A message is taken when the broker has confirmed it and had a queue for it; all else is an error. Dapr's own
//     answers success when the confirmation never came, and when the caller's time ended while it reconnected.
//   - The messages of a bulk, and of requests at once, are under way together on one channel. Dapr's own waits for each
//     confirmation before it sends the next message.
//   - What the app could not take is held for a while before it goes back to its queue, and a subscription that ends is
//     cancelled at the broker. Dapr's own returns it at once, for ever.
//   - Bulks are made of what is there, with no waiting.
//   - Events of types that the app does not hear are left out (see unheard).
//   - Publishing and consuming have a connection each: a broker that blocks publishers still hears acknowledgements.
//   - The connections are made again for as long as it takes, and every wait for the broker has an end.
package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/dapr/components-contrib/metadata"
	"github.com/dapr/components-contrib/pubsub"
	"github.com/dapr/kit/logger"
	kitmd "github.com/dapr/kit/metadata"
	amqp "github.com/rabbitmq/amqp091-go"

	"cludale/tools/daprd/unheard"
)

const (
	// How long the broker may take for an answer where nobody said anything shorter.
	answerTime = 5 * time.Second
	// How long until a connection is given up whose broker owes an answer. All that is under way on it begins anew then,
	// which is more work for a broker that has too much: so it has longer. One that is gone is known by its heartbeat.
	patience    = 20 * time.Second
	heartbeat   = 10 * time.Second
	defaultBulk = 100
)

type settings struct {
	pubsub.TLSProperties `mapstructure:",squash"`
	ConnectionString     string `mapstructure:"connectionString"`
	ClientName           string `mapstructure:"clientName"`
	ConsumerID           string `mapstructure:"consumerID"`
	PrefetchCount        uint16 `mapstructure:"prefetchCount"`
}

// fixed is what Dapr's own lets one choose, and what it is here: another choice would lose messages.
var fixed = map[string]string{
	"durable":           "true",
	"deletedWhenUnused": "false",
	"deliveryMode":      "2",
	"publisherConfirm":  "true",
	"autoAck":           "false",
	"requeueInFailure":  "true",
	"enableDeadLetter":  "false",
	"exchangeKind":      "fanout",
}

type component struct {
	log       logger.Logger
	settings  settings
	publisher *publisher
	consuming *link
	closing   chan struct{}
	close     sync.Once
	underWay  sync.WaitGroup // subscriptions, and what they have in hand
	leaving   chan struct{}  // closed after that, for the connections
	links     sync.WaitGroup
}

// New makes the component; Init connects it.
func New(log logger.Logger) pubsub.PubSub {
	return &component{log: log, closing: make(chan struct{}), leaving: make(chan struct{})}
}

func (c *component) Init(ctx context.Context, given pubsub.Metadata) error {
	c.settings = settings{PrefetchCount: 250, ClientName: "dapr"}
	if err := kitmd.DecodeMetadata(given.Properties, &c.settings); err != nil {
		return err
	}
	if c.settings.ConnectionString == "" {
		return errors.New("missing connectionString")
	}
	if c.settings.PrefetchCount == 0 {
		return errors.New("prefetchCount 0 would be no limit; give one")
	}
	for name, only := range fixed {
		if value, isGiven := kitmd.GetMetadataProperty(given.Properties, name); isGiven && value != only {
			return fmt.Errorf("%s is %s in this component, not %s", name, only, value)
		}
	}
	config := amqp.Config{Heartbeat: heartbeat, Locale: "en_US", Properties: amqp.NewConnectionProperties()}
	config.Properties.SetClientConnectionName(c.settings.ClientName)
	var err error
	if c.settings.TLSProperties, err = pubsub.TLS(given.Properties); err != nil {
		return err
	}
	// without any, the address says whom to trust: amqps://…?cacertfile=/path
	if c.settings.TLSProperties != (pubsub.TLSProperties{}) {
		if config.TLSClientConfig, err = pubsub.ConvertTLSPropertiesToTLSConfig(c.settings.TLSProperties); err != nil {
			return err
		}
	}
	dial := dialer(c.settings.ConnectionString, config)
	publishing := newLink(c.log, "publishing", dial)
	c.publisher = newPublisher(publishing, c.closing)
	c.consuming = newLink(c.log, "consuming", dial)
	ctx, cancel := context.WithTimeout(ctx, 2*answerTime)
	defer cancel()
	for _, each := range []*link{publishing, c.consuming} {
		c.links.Add(1)
		go func() {
			defer c.links.Done()
			each.run(c.leaving)
		}()
		if _, _, err := each.get(ctx, c.closing); err != nil {
			return err
		}
	}
	return nil
}

// Features tells the sidecar to publish bulks as such; without it, it publishes their entries one by one.
func (c *component) Features() []pubsub.Feature { return []pubsub.Feature{pubsub.FeatureBulkPublish} }

func (c *component) GetComponentMetadata() metadata.MetadataMap { return nil }

// Ping says whether the broker can be reached and takes messages.
func (c *component) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	_, blocked, err := c.publisher.link.get(ctx, c.closing)
	if blocked != "" {
		return errors.New(blocked)
	}
	return err
}

func (c *component) Publish(ctx context.Context, req *pubsub.PublishRequest) error {
	return c.publisher.publish(ctx, req.Topic, [][]byte{req.Data})[0]
}

// BulkPublish sends all entries, then waits for what the broker says to each.
func (c *component) BulkPublish(ctx context.Context, req *pubsub.BulkPublishRequest) (pubsub.BulkPublishResponse, error) {
	bodies := make([][]byte, len(req.Entries))
	for i, entry := range req.Entries {
		bodies[i] = entry.Event
	}
	var response pubsub.BulkPublishResponse
	for i, failure := range c.publisher.publish(ctx, req.Topic, bodies) {
		if failure != nil {
			response.FailedEntries = append(response.FailedEntries,
				pubsub.BulkPublishResponseFailedEntry{EntryId: req.Entries[i].EntryId, Error: failure})
		}
	}
	if failed := len(response.FailedEntries); failed > 0 {
		return response, fmt.Errorf("%d of %d not published: %w", failed, len(req.Entries), response.FailedEntries[0].Error)
	}
	return response, nil
}

func (c *component) Subscribe(ctx context.Context, req pubsub.SubscribeRequest, handler pubsub.Handler) error {
	skipped := unheard.Of(req.Metadata)
	return c.subscribe(ctx, req, 1, func(bulk []amqp.Delivery) []error {
		outcomes := make([]error, len(bulk))
		for i, delivery := range bulk {
			if skipped.Has("", delivery.Body) {
				continue
			}
			// not the subscription's context: what is begun is finished, and its outcome told
			outcomes[i] = handler(context.Background(), &pubsub.NewMessage{
				Topic: req.Topic, Data: delivery.Body, Metadata: map[string]string{},
			})
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
	return c.subscribe(ctx, req, size, func(bulk []amqp.Delivery) []error {
		var entries []pubsub.BulkMessageEntry
		var of []int // the delivery that an entry came in
		for i, delivery := range bulk {
			if !skipped.Has("", delivery.Body) {
				entries = append(entries, pubsub.BulkMessageEntry{
					EntryId: strconv.Itoa(i), Event: delivery.Body, Metadata: map[string]string{},
				})
				of = append(of, i)
			}
		}
		found := make([]error, len(bulk))
		if len(entries) == 0 {
			return found
		}
		answers, err := handler(context.Background(), &pubsub.BulkMessage{
			Topic: req.Topic, Entries: entries, Metadata: map[string]string{},
		})
		for at, outcome := range outcomes(answers, err, len(entries)) {
			found[of[at]] = outcome
		}
		return found
	})
}

// outcomes are what the sidecar answered for each of a bulk. An error with no answer that explains it is one for all.
func outcomes(answers []pubsub.BulkSubscribeResponseEntry, err error, size int) []error {
	found := make([]error, size)
	explained := false
	if len(answers) == size {
		for i := range answers {
			found[i] = answers[i].Error
			explained = explained || found[i] != nil
		}
	}
	if err != nil && !explained {
		for i := range found {
			found[i] = err
		}
	}
	return found
}

// subscribe returns when the queue is consumed, which then goes on until ctx ends or the component closes.
func (c *component) subscribe(
	ctx context.Context, req pubsub.SubscribeRequest, size int, handle func([]amqp.Delivery) []error,
) error {
	if c.settings.ConsumerID == "" {
		return errors.New("missing consumerID")
	}
	s := &subscription{
		log:        c.log,
		link:       c.consuming,
		closing:    c.closing,
		underWay:   &c.underWay,
		topic:      req.Topic,
		queue:      c.settings.ConsumerID + "-" + req.Topic,
		prefetch:   int(c.settings.PrefetchCount),
		size:       size,
		handle:     handle,
		subscribed: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(ctx)
	c.underWay.Add(1)
	go func() {
		defer c.underWay.Done()
		defer cancel()
		s.run(ctx)
	}()
	select {
	case <-s.subscribed:
		return nil
	case <-time.After(subscribeTime):
		cancel()
		return fmt.Errorf("RabbitMQ did not let %s be consumed within %s", s.queue, subscribeTime)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// declareTopic and declareQueue find what is there already, which needs no right to make anything, or make it as
// `cludale broker definitions` has it.
func declareTopic(connection *connection, channel *amqp.Channel, topic string) error {
	there, err := isThere(connection, func(look *amqp.Channel) error {
		return look.ExchangeDeclarePassive(topic, amqp.ExchangeFanout, true, false, false, false, nil)
	})
	if there || err != nil {
		return err
	}
	return channel.ExchangeDeclare(topic, amqp.ExchangeFanout, true, false, false, false, nil)
}

func declareQueue(connection *connection, channel *amqp.Channel, queue, topic string) error {
	arguments := amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeClassic}
	there, err := isThere(connection, func(look *amqp.Channel) error {
		_, err := look.QueueDeclarePassive(queue, true, false, false, false, arguments)
		return err
	})
	if err != nil {
		return err
	}
	if !there {
		if _, err := channel.QueueDeclare(queue, true, false, false, false, arguments); err != nil {
			return err
		}
	}
	return channel.QueueBind(queue, "", topic, false, nil)
}

// isThere looks over a channel of its own, which the broker closes where there is no such thing.
func isThere(connection *connection, look func(*amqp.Channel) error) (bool, error) {
	channel, err := connection.Channel()
	if err != nil {
		return false, err
	}
	defer channel.Close()
	err = look(channel)
	var refused *amqp.Error
	if errors.As(err, &refused) && refused.Code == amqp.NotFound {
		return false, nil
	}
	return err == nil, err
}

func (c *component) Close() error {
	c.close.Do(func() {
		close(c.closing)
		c.underWay.Wait()
		close(c.leaving)
	})
	c.links.Wait()
	return nil
}
