package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/fanout"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/supervisor"
	"example.com/fanout/pkg/telemetry"
)

func (o operator) Position(ctx context.Context, group string) (admin.Position, error) {
	g, err := o.declared(group)
	if err != nil {
		return admin.Position{}, err
	}
	p := admin.Position{Group: g.Name, RedisGroup: g.Group, Stream: g.Stream}
	info, err := o.redis(g).Info(ctx)
	if errors.Is(err, stream.ErrNoGroup) {
		return p, nil
	}
	if err != nil {
		return admin.Position{}, described(err)
	}
	p.LastDelivered, p.LowWater, p.Pending, p.Length = &info.LastDelivered, new(info.LowWater()), info.Pending, info.Length
	p.OldestPending, p.FirstEntry, p.LastGenerated = info.OldestPending.OrNil(), info.FirstEntry.OrNil(), &info.LastGenerated
	if info.EntriesRead >= 0 {
		p.EntriesRead = &info.EntriesRead
	}
	if info.LagKnown {
		p.Lag = &info.Lag
	}
	return p, nil
}

// mostCounted bounds what is counted for a seek, one entry after the other.
const mostCounted = 1_000_000

// seek is a move of a group while it is worked out.
type seek struct {
	group   manifest.Group
	redis   *redisstream.Group
	info    stream.GroupInfo
	missing bool // Redis does not have the group
	target  target
	move    redisstream.Move
	answer  admin.Seek
}

func (o operator) Seek(ctx context.Context, group string, r admin.SeekRequest) (admin.Seek, error) {
	g, err := o.group(group)
	if err != nil {
		return admin.Seek{}, err
	}
	if r.Rebuild {
		if r.To != "" && r.To != "earliest" {
			return admin.Seek{}, fmt.Errorf("%w: a rebuild begins with the first entry: leave out to, or say earliest", admin.ErrRequest)
		}
		r.To = "earliest"
	}
	s := &seek{group: g, redis: o.redis(g), answer: admin.Seek{Group: g.Name, DryRun: r.DryRun, Rebuild: r.Rebuild}}
	if s.target, err = parseTarget(r.To, time.Now()); err != nil {
		return admin.Seek{}, fmt.Errorf("%w: to: %w", admin.ErrRequest, err)
	}
	var store handler.Rebuilder
	if r.Rebuild {
		h, err := o.rebuilder(g)
		if err != nil {
			return admin.Seek{}, err
		}
		defer h.Close() // it has handled nothing: there is nothing that it could have lost
		store = h.(handler.Rebuilder)
	}
	if r.DryRun {
		err := s.plan(ctx)
		return s.answer, err
	}
	err = o.app.fanout.Held(group, func(remote fanout.Remote, prefix string) error {
		if err := s.plan(ctx); err != nil {
			return err
		}
		s.move.Resting = prefix
		return o.apply(ctx, s, remote, store)
	})
	return s.answer, s.inWords(err)
}

// rebuilder builds the handler of a group that can be emptied.
func (o operator) rebuilder(g manifest.Group) (h handler.Handler, err error) {
	err = supervisor.Guard(func() (err error) {
		h, err = o.app.build(g)
		return err
	})()
	if err != nil {
		return nil, fmt.Errorf("build handler %s: %w", g.Handler.Type, err)
	}
	if _, ok := h.(handler.Rebuilder); ok {
		return h, nil
	}
	_ = h.Close() // it has handled nothing
	return nil, &admin.Refused{
		Reason: fmt.Sprintf("what handler %s of %s has done cannot be taken back", g.Handler.Type, g.Name),
		Hint:   "fanout seek " + g.Name + " --to earliest repeats every entry without that",
	}
}

// apply moves the group, and then empties its store. In this order nothing is
// lost when the process ends between them: the entries that come again then
// find what they did before.
func (o operator) apply(ctx context.Context, s *seek, remoteGroup fanout.Remote, store handler.Rebuilder) error {
	ctx = context.WithoutCancel(ctx) // from here on it is done as a whole
	logger := o.app.logger.With(telemetry.KeyGroup, s.group.Name)
	running := remoteGroup.(remote).Group // what the group itself goes by must know of it
	if err := running.Seek(ctx, s.move); err != nil {
		return described(err)
	}
	from := "nowhere"
	if !s.missing {
		from = s.move.From.String()
	}
	logger.Info("position set", telemetry.KeyFrom, from, telemetry.KeyTo, s.move.To.String())
	if store == nil {
		return nil
	}
	if err := supervisor.Guard(func() error { return store.Empty(ctx) })(); err != nil {
		return fmt.Errorf("the group was set back to its first entry, but its store is not emptied (repeat the command): %w", err)
	}
	logger.Info("store emptied, to be built anew")
	return nil
}

// plan works out where the group goes on, and what that means.
func (s *seek) plan(ctx context.Context) error {
	info, err := s.redis.Info(ctx)
	switch {
	case errors.Is(err, stream.ErrNoGroup):
		s.missing = true
		if info, err = s.redis.StreamInfo(ctx); err != nil {
			return described(err)
		}
	case err != nil:
		return described(err)
	}
	s.info = info
	to, err := s.target.in(info)
	if err != nil {
		return &admin.Refused{Reason: err.Error(), Hint: "fanout seek " + s.group.Name + " --to latest goes on after the last entry"}
	}
	s.move = redisstream.Move{From: info.LastDelivered, Missing: s.missing, To: to, Read: -1, Whole: s.answer.Rebuild}
	a := &s.answer
	a.To, a.Pending, a.Exact = to, info.Pending, true
	if !s.missing {
		a.From = &info.LastDelivered
		if err := s.count(ctx); err != nil {
			return described(err)
		}
	}
	s.gone()
	if s.answer.Rebuild && a.Gone != 0 {
		return &admin.Refused{
			Reason: fmt.Sprintf("%s no longer holds all of its entries (%d of those ever added are there): the store cannot be built anew from it", s.group.Stream, info.Length),
			Hint:   "without --rebuild the entries that are there come again",
		}
	}
	s.notes()
	return nil
}

// count counts what lies between the two positions.
func (s *seek) count(ctx context.Context) (err error) {
	a, from, to := &s.answer, s.info.LastDelivered, s.move.To
	back := to.Before(from)
	low, high := from, to
	if back {
		low, high = to, from
	}
	n, exact, err := s.redis.Between(ctx, low, high, mostCounted)
	if err != nil {
		return err
	}
	a.Exact = exact
	if back {
		a.Repeats = n
	} else {
		a.Skips = n
	}
	if exact {
		s.move.Read = redisstream.ReadAt(s.info, to, n)
	}
	return nil
}

// gone tells how many entries after the new position are not in the stream any
// more.
func (s *seek) gone() {
	a, info := &s.answer, s.info
	switch {
	case info.EntriesAdded < 0:
		a.Gone = -1
	case a.To.IsZero():
		a.Gone = info.EntriesAdded - info.Length
	case info.EntriesAdded > info.Length && !info.FirstEntry.IsZero() && a.To.Before(info.FirstEntry.Prev()):
		a.Gone = -1
	}
}

func (s *seek) notes() {
	a, info := &s.answer, s.info
	note := func(format string, args ...any) { a.Notes = append(a.Notes, fmt.Sprintf(format, args...)) }
	if s.missing {
		note("the group is missing in Redis and is created there")
	}
	switch {
	case a.Gone > 0:
		note("%d entries that were ever added are not in the stream any more and do not come", a.Gone)
	case a.Gone < 0 && a.Repeats+a.Skips > 0 || a.Gone < 0 && s.missing:
		note("entries of this range may have been trimmed or deleted; they do not come")
	}
	switch back := !s.missing && a.To.Before(info.LastDelivered); {
	case a.Pending > 0 && back:
		note("the %d pending entries stay pending and are handled; those of them after %s come a second time", a.Pending, a.To)
	case a.Pending > 0:
		note("the %d pending entries stay pending and are handled", a.Pending)
	}
	repeats := handler.Repetition{}
	if r, ok := s.group.Handler.Config.(handler.Repeater); ok {
		repeats = r.Repeats()
	}
	a.Effect = repeats.Effect
	first := a.To.Next()
	if first.Before(info.FirstEntry) {
		first = info.FirstEntry
	}
	old := stream.ID{Ms: uint64(max(0, time.Now().Add(-s.group.Dedupe).UnixMilli()))}
	if repeats.Forgets && !a.Rebuild && a.Repeats > 0 && first.Before(old) {
		note("repeated entries before %s are older than dedupe (%s): those that the store has forgotten become dead letters; --rebuild counts all anew", old, s.group.Dedupe)
	}
	if a.Rebuild {
		note("what %s has stored is deleted and built anew from all %d entries", a.Group, info.Length)
	}
	if a.DryRun {
		note("the group must be paused or stopped for it, in every process that runs it")
	}
}

// inWords gives an error of a seek in the admin server's words.
func (s *seek) inWords(err error) error {
	var atWork *redisstream.AtWorkError
	switch name := s.group.Name; {
	case err == nil:
		return nil
	case errors.As(err, &atWork):
		wait := max(0, atWork.Quiet-atWork.Idle).Round(time.Second) + time.Second
		return &admin.Refused{
			Reason: fmt.Sprintf("another process runs %s: %s", name, atWork),
			Hint:   fmt.Sprintf("pause the group there too (fanout pause %s --admin ADDRESS); it counts as resting after %s without a command, try again in %s", name, atWork.Quiet, wait),
		}
	case errors.Is(err, redisstream.ErrIncomplete), errors.Is(err, redisstream.ErrBeyondEnd), errors.Is(err, redisstream.ErrMoved),
		errors.Is(err, redisstream.ErrSimulated), errors.Is(err, stream.ErrOtherHost):
		return &admin.Refused{Reason: err.Error(), Hint: "nothing was changed; see fanout seek " + name + " --dry-run"}
	}
	return inWords(s.group.Name, err)
}

// target is what somebody has asked for as a position.
type target struct {
	latest bool
	after  stream.ID
	exact  bool // an ID was named: it must not be beyond the end
}

// parseTarget reads earliest, latest, an ID, a time, or a duration ago.
func parseTarget(text string, now time.Time) (target, error) {
	switch text {
	case "":
		return target{}, errors.New("want earliest, latest, an entry ID, a time such as 2025-11-23T00:00:00Z, or a time ago such as -1h")
	case "earliest":
		return target{}, nil
	case "latest":
		return target{latest: true}, nil
	}
	if id, err := stream.ParseID(text); err == nil {
		return target{after: id, exact: true}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && !strings.HasPrefix(text, "-") {
		return target{}, fmt.Errorf("%s: a time ago begins with a minus: -%s", d, d)
	}
	id, err := idAt(text, now)
	if err != nil {
		return target{}, fmt.Errorf("%.80q: want earliest, latest, an entry ID, a time such as 2025-11-23T00:00:00Z, or a time ago such as -1h", text)
	}
	if id.Time().After(now) {
		return target{}, fmt.Errorf("%s is in the future", id.Time().UTC().Format(time.RFC3339))
	}
	return target{after: id.Prev()}, nil
}

// in is the position in a stream: a time after its last entry is its end.
func (t target) in(info stream.GroupInfo) (stream.ID, error) {
	switch {
	case t.latest || !t.exact && info.LastGenerated.Before(t.after):
		return info.LastGenerated, nil
	case info.LastGenerated.Before(t.after):
		return stream.ID{}, fmt.Errorf("the stream ends at %s, before %s", info.LastGenerated, t.after)
	}
	return t.after, nil
}
