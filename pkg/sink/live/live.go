// Package live is the handler "live": it streams the events of its group to
// browsers and services, as server-sent events over HTTP.
//
//		id: 1763856000123-0
//		data: {"trade_id":812,"market_id":"m-17",…}
//
//	  - The group never waits for a client. The newest events are kept in a ring
//	    that all clients read from; one that the ring has overtaken is told what it
//	    has missed (event "missed") and goes on with the oldest event that is there.
//	  - A client that comes back with Last-Event-ID gets what came after that event.
//	    Where the ring does not hold it any more the client is told that, too, and
//	    gets all that is there: some events may come twice.
//	  - Events come in the order in which the group has handled them, which is not
//	    always that of their IDs; an entry that the group gets again comes again.
//	  - Clients stay connected while the group restarts. The ring is this process's
//	    alone: it holds what this process has handled since it started.
package live

import (
	"context"
	"fmt"
	"net/http"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
)

// Config is the part of the manifest below "live".
type Config struct {
	Keep      int `yaml:"keep" default:"10000" min:"1" max:"1000000" doc:"events that are kept for clients that come late or read slowly"`
	KeepBytes int `yaml:"keep_bytes" default:"8388608" min:"1024" max:"1073741824" doc:"bytes of such events at most; the newest one is kept whatever its size"`
	Clients   int `yaml:"clients" default:"64" min:"1" max:"10000" doc:"clients at once; others are told to come later"`

	hubs *hubs
}

const (
	defaultKeep      = 10_000
	defaultKeepBytes = 8 << 20
	defaultClients   = 64
)

// Factory makes the handler type "live". The groups of its configs share what
// clients are connected to by their names: a group that restarts, or is declared
// anew, has the clients of the one before.
func Factory() handler.Factory {
	shared := newHubs()
	return handler.Factory{
		Doc: "streams events to browsers and services as server-sent events, at /live/GROUP of the admin server",
		Config: func() handler.Config {
			return &Config{Keep: defaultKeep, KeepBytes: defaultKeepBytes, Clients: defaultClients, hubs: shared}
		},
	}
}

// Check implements [handler.Config].
func (c *Config) Check() []handler.Finding {
	var found []handler.Finding
	for _, bound := range []struct {
		key string
		n   int
	}{{"keep", c.Keep}, {"keep_bytes", c.KeepBytes}, {"clients", c.Clients}} {
		if bound.n < 1 {
			found = append(found, handler.Finding{Path: bound.key, Message: fmt.Sprintf("%d is not above 0", bound.n)})
		}
	}
	return found
}

// Repeats implements [handler.Repeater].
func (c *Config) Repeats() handler.Repetition {
	return handler.Repetition{Effect: "is streamed again"}
}

// Local implements [handler.Local]: only those who ask get something.
func (c *Config) Local() {}

// Preview implements [handler.Previewer]: it gives what clients get.
func (c *Config) Preview(_ handler.Env, d *handler.Delivery) (any, error) {
	return struct {
		ID   string `json:"id"`
		Data string `json:"data"`
	}{d.ID.String(), string(payload(d.Event))}, nil
}

// New implements [handler.Config].
func (c *Config) New(env handler.Env) (handler.Handler, error) {
	h := c.hubs.of(env.Group)
	h.bound(c.Keep, c.KeepBytes, c.Clients)
	return streamer{h}, nil
}

// Serve returns what answers requests for the events of a group; see [hub]. It
// works whether the group runs or not.
func (c *Config) Serve(group string) http.Handler { return c.hubs.of(group) }

// Forget lets go of the events of a group that has left the manifest. Whoever
// still streams them is to end by itself.
func (c *Config) Forget(group string) { c.hubs.forget(group) }

// streamer is the handler: it puts events into the ring of its group.
type streamer struct{ hub *hub }

// Handle implements [handler.Handler].
func (s streamer) Handle(ctx context.Context, batch *handler.Batch) error {
	if ctx.Err() != nil {
		return fmt.Errorf("stream events: %w", context.Cause(ctx))
	}
	added := make([]held, len(batch.Deliveries))
	for i := range batch.Deliveries {
		d := &batch.Deliveries[i]
		_, isJSON := d.Event.Root()
		added[i] = held{id: d.ID, data: payload(d.Event), opaque: !isJSON}
	}
	s.hub.add(added)
	return nil
}

// Close implements [handler.Handler]. Clients stay for the next incarnation.
func (s streamer) Close() error { return nil }

// payload is an event in one line, copied: JSON as it was published, bytes that
// are no JSON as a JSON text.
func payload(e *event.Event) []byte {
	raw := e.Raw()
	if _, ok := e.Root(); !ok {
		return quoted(raw)
	}
	line := make([]byte, len(raw))
	for i, b := range raw {
		if b == '\n' || b == '\r' { // in JSON they stand between values alone
			b = ' '
		}
		line[i] = b
	}
	return line
}
