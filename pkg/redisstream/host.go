package redisstream

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"example.com/fanout/pkg/stream"
)

// hostLease is how long a host keeps the right to run a group after its last
// process has renewed it.
const hostLease = 30 * time.Second

// hostHolder is a host that runs a group. Each process of one host writes the
// same text, so that they share the right.
type hostHolder struct {
	Host string `json:"host"`
	Boot string `json:"boot,omitempty"` // tells hosts of one name apart
}

var thisHost = sync.OnceValue(func() string {
	self := thisProcess("/proc")
	text, err := json.Marshal(hostHolder{self.Host, self.Boot})
	if err != nil {
		panic(err) // texts always encode
	}
	return string(text)
})

// holdHost takes the right of this host to run the group, or renews it. Where
// another host has it the error wraps [stream.ErrOtherHost] and names it. A
// group that any host may run needs none.
func (g *Group) holdHost(ctx context.Context) error {
	if !g.cfg.OneHost {
		return nil
	}
	op := g.op("take the host's lease of")
	v, err := g.client.run(ctx, op, hostScript, []string{g.hostKey}, thisHost(), hostLease.Milliseconds())
	if err != nil {
		return err
	}
	held, left := v.text(), time.Duration(v.integer())*time.Millisecond
	if v.err != nil || held == "" {
		return v.err
	}
	var other hostHolder
	if json.Unmarshal([]byte(held), &other) != nil || other.Host == "" {
		return fmt.Errorf("%s: %w: something that is not fanout holds %s: delete it", op, stream.ErrOtherHost, quoted(g.hostKey))
	}
	if left < 0 { // nobody renews what does not run out
		return fmt.Errorf("%s: %w: %s, by a lease without an end: delete %s", op, stream.ErrOtherHost, quoted(other.Host), quoted(g.hostKey))
	}
	return fmt.Errorf("%s: %w: %s; its store is a file there, so run the group on one host; it may run here %v after it has ended there",
		op, stream.ErrOtherHost, quoted(other.Host), hostLease)
}
