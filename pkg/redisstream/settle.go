package redisstream

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// freeIdle is the idle time of what is given free: above every min_idle. Redis
// takes an idle time that begins before 1970 for none at all, so it is not the
// greatest there is.
const freeIdle = 30 * 24 * time.Hour

// Ack acknowledges those of refs that are still this consumer's own and returns
// how many were. When every probe is pending under our name and has been so for
// less than min_idle, nobody can have claimed any of refs, and they are not
// looked at one by one.
func (s *Source) Ack(ctx context.Context, probes, refs []stream.ID) (acked int, err error) {
	if len(refs) == 0 {
		return 0, nil
	}
	if acked, tried, err := s.ackOnLine(ctx, probes, refs); tried {
		return acked, wrap(s.op("ack"), err)
	}
	n, err := s.group.client.runInt(ctx, s.op("ack"), ackScript, []string{s.group.cfg.Stream},
		s.group.cfg.Group, s.consumer, s.group.cfg.MinIdle.Milliseconds(), list(probes), list(refs))
	return int(n), err
}

// Hold sets idle time and delivery count of those entries that are still this
// consumer's own, and returns the others. What has lost its data is left as it
// is: who holds it can still settle it, and else it is found to have vanished.
func (s *Source) Hold(ctx context.Context, holds []stream.Hold) (lost []stream.ID, err error) {
	if len(holds) == 0 {
		return nil, nil
	}
	all := make([]byte, 0, len(holds)*idBytes)
	for _, h := range holds {
		all = append(h.Ref.Append(all), ' ')
		all = append(strconv.AppendInt(all, max(h.Count, stream.KeepCount), 10), ' ')
		all = append(all, flag(h.Free)...)
		all = append(all, ' ')
	}
	v, err := s.group.client.run(ctx, s.op("hold"), holdScript, []string{s.group.cfg.Stream},
		s.group.cfg.Group, s.consumer, freeIdle.Milliseconds(), all)
	if err != nil {
		return nil, err
	}
	for v.more() {
		lost = append(lost, v.id())
	}
	return lost, v.err
}

// Bury writes a dead letter for an entry that is still this consumer's own, then
// acknowledges the entry. When the letter cannot be written (no room, no
// memory, a key of another type) the entry stays pending.
func (s *Source) Bury(ctx context.Context, ref stream.ID, letter *deadletter.Letter) (stream.Burial, error) {
	cfg := &s.group.cfg
	return s.group.bury(ctx, s.op("bury "+ref.String()+" of"), buryScript, []string{cfg.Stream, cfg.DeadLetters}, s.consumer, ref, letter)
}

// bury runs one of the two scripts that write a letter.
func (g *Group) bury(
	ctx context.Context, op string, script *redis.Script, keys []string, consumer string, ref stream.ID, letter *deadletter.Letter,
) (stream.Burial, error) {
	fields, err := letter.Fields()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	args := append(make([]any, 0, 5+2*len(fields)), g.cfg.Group, consumer, ref.String(), g.cfg.MaxDeadLetters, flag(g.cfg.DropOldest))
	for _, f := range fields {
		args = append(args, f.Name, f.Value)
	}
	n, err := g.client.runInt(ctx, op, script, keys, args...)
	switch {
	case err != nil:
		return 0, err
	case n <= 0:
		if n < 0 && g.cfg.Dropped != nil {
			g.cfg.Dropped(-n)
		}
		return stream.Buried, nil
	case n == 1:
		return stream.NotPending, nil
	case n == 2:
		return stream.NotOurs, nil
	}
	return 0, fmt.Errorf("%s: %w (%s has %d letters or more)", op, stream.ErrDeadLettersFull, g.cfg.DeadLetters, g.cfg.MaxDeadLetters)
}

// idBytes is about the length of an ID and what stands around it.
const idBytes = 26

// list is a JSON array of IDs.
func list(ids []stream.ID) []byte {
	b := append(make([]byte, 0, len(ids)*idBytes), '[')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(id.Append(append(b, '"')), '"')
	}
	return append(b, ']')
}

// join makes one argument of many IDs: a tenth of the cost of one each, on both
// sides of the wire.
func join(ids []stream.ID) []byte {
	b := make([]byte, 0, len(ids)*idBytes)
	for i, id := range ids {
		if i > 0 {
			b = append(b, ' ')
		}
		b = id.Append(b)
	}
	return b
}
