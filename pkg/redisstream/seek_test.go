package redisstream_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

// read reads n entries as host-0, a consumer that is known to rest afterwards,
// and settles the first settled of them.
func (s *scene) read(g *redisstream.Group, n, settled int) {
	s.Helper()
	src := g.Source("host-0", g.Epoch())
	defer src.Close()
	ds, err := consumertest.Take(s.Context(), src, n, 0)
	if err != nil || len(ds) != n {
		s.Fatalf("read %d, %v, want %d", len(ds), err, n)
	}
	var refs []stream.ID
	for _, d := range ds[:settled] {
		refs = append(refs, d.Ref)
	}
	if settled > 0 {
		if _, err := src.Ack(s.Context(), refs[:1], refs); err != nil {
			s.Fatal(err)
		}
	}
}

// move is a Move from where the group stands, with what can be counted.
func (s *scene) move(g *redisstream.Group, to uint64) redisstream.Move {
	s.Helper()
	info, err := g.Info(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	m := redisstream.Move{From: info.LastDelivered, To: stream.ID{Ms: to}, Read: -1, Resting: "host-"}
	low, high := m.From, m.To
	if m.To.Before(m.From) {
		low, high = m.To, m.From
	}
	n, exact, err := g.Between(s.Context(), low, high, 1000)
	if err != nil || !exact {
		s.Fatal(exact, err)
	}
	m.Read = redisstream.ReadAt(info, m.To, n)
	return m
}

// TestSeek: the group gets what comes after its new position and nothing else;
// Redis knows its lag wherever it can be known; no entry counts as lost; a group
// that is lost then begins again there.
func TestSeek(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		read, settled int   // of ten entries
		change        []any // before the move
		then          []any // after it
		to            uint64
		want          []uint64 // what comes then
		lag           int64    // -1: not known
		low           uint64
		lost          int // losses of what the group had not had, told before the move
		lostThen      int // and after it
	}{
		"back to the first":       {read: 6, settled: 6, to: 0, want: []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, lag: 10},
		"back into the middle":    {read: 6, settled: 6, to: 4, want: []uint64{5, 6, 7, 8, 9, 10}, lag: 6, low: 4},
		"on into the middle":      {read: 2, settled: 2, to: 7, want: []uint64{8, 9, 10}, lag: 3, low: 7},
		"on to the end":           {read: 2, settled: 2, to: 10, low: 10},
		"nowhere":                 {read: 5, settled: 5, to: 5, want: []uint64{6, 7, 8, 9, 10}, lag: 5, low: 5},
		"before what is trimmed":  {read: 6, settled: 6, change: []any{"XTRIM", key, "MAXLEN", 7}, to: 0, want: []uint64{4, 5, 6, 7, 8, 9, 10}, lag: 7},
		"behind what is trimmed":  {read: 6, settled: 6, change: []any{"XTRIM", key, "MAXLEN", 7}, to: 5, want: []uint64{6, 7, 8, 9, 10}, lag: 5, low: 5},
		"over trimmed entries":    {read: 1, settled: 1, change: []any{"XTRIM", key, "MAXLEN", 4}, to: 8, want: []uint64{9, 10}, lag: 2, low: 8, lost: 1},
		"before a deleted entry":  {read: 8, settled: 8, change: []any{"XDEL", key, "5-0"}, to: 3, want: []uint64{4, 6, 7, 8, 9, 10}, lag: -1, low: 3},
		"on before a deleted one": {read: 2, settled: 2, change: []any{"XDEL", key, "9-0"}, to: 5, want: []uint64{6, 7, 8, 10}, lag: -1, low: 5, lost: 1},
		"behind a deleted entry":  {read: 8, settled: 8, change: []any{"XDEL", key, "2-0"}, to: 3, want: []uint64{4, 5, 6, 7, 8, 9, 10}, lag: 7, low: 3},
		"on with pending entries": {read: 6, settled: 2, to: 9, want: []uint64{10}, lag: 1, low: 2},
		"back over trimmed ones":  {read: 2, settled: 2, change: []any{"XTRIM", key, "MAXLEN", 4}, to: 0, want: []uint64{7, 8, 9, 10}, lag: 4, lost: 1},
		"skipped, then deleted":   {read: 2, settled: 2, to: 7, then: []any{"XDEL", key, "5-0"}, want: []uint64{8, 9, 10}, lag: 3, low: 7},
		"repeated, then trimmed":  {read: 6, settled: 6, to: 0, then: []any{"XTRIM", key, "MAXLEN", 7}, want: []uint64{4, 5, 6, 7, 8, 9, 10}, lag: 7, lostThen: 1},
		"back before pending":     {read: 6, settled: 4, to: 1, want: []uint64{2, 3, 4, 5, 6, 7, 8, 9, 10}, lag: 9, low: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.add(1, 10)
			g := s.group(redisstream.Start{})
			ensure(t, g)
			s.read(g, tt.read, tt.settled)
			losses := func() int {
				n := 0
				if _, err := g.Losses(t.Context(), func(stream.Loss) { n++ }); err != nil {
					t.Fatal(err)
				}
				return n
			}
			losses()
			if tt.change != nil {
				s.do(tt.change...)
			}
			if n := losses(); n != tt.lost {
				t.Errorf("%d losses told before the move, want %d", n, tt.lost)
			}
			if err := g.Seek(t.Context(), s.move(g, tt.to)); err != nil {
				t.Fatal(err)
			}
			if tt.then != nil {
				s.do(tt.then...)
			}
			if n := losses(); n != tt.lostThen {
				t.Errorf("%d losses told after the move, want %d", n, tt.lostThen)
			}
			info, err := g.Info(t.Context())
			low := stream.ID{Ms: tt.low}
			if tt.settled < tt.read && tt.low == uint64(tt.settled) {
				low = stream.ID{Ms: tt.low + 1}.Prev()
			}
			if err != nil || info.LastDelivered.Ms != tt.to || info.LowWater() != low || info.Pending != int64(tt.read-tt.settled) {
				t.Errorf("stands at %s, low water %s, pending %d, %v, want low water %s", info.LastDelivered, info.LowWater(), info.Pending, err, low)
			}
			if info.LagKnown != (tt.lag >= 0) || info.LagKnown && info.Lag != tt.lag {
				t.Errorf("lag %d, known %v, want %d", info.Lag, info.LagKnown, tt.lag)
			}
			if (info.EntriesRead >= 0) != info.LagKnown {
				t.Errorf("entries-read %d, with a lag that is known: %v", info.EntriesRead, info.LagKnown)
			}
			for _, kept := range s.store.kept {
				if kept.ID != low {
					t.Errorf("the local store has %s, want %s", kept.ID, low)
				}
			}

			s.do("XGROUP", "DESTROY", key, group)
			if o := ensure(t, g); !o.Recreated || o.At != low {
				t.Errorf("created again at %s (recreated %v), want %s", o.At, o.Recreated, low)
			}
			s.do("XGROUP", "SETID", key, group, fmt.Sprint(tt.to, "-0"))
			src := g.Source("host-0", g.Epoch())
			defer src.Close()
			ds, err := consumertest.Take(t.Context(), src, 20, 0)
			if err != nil || len(ds) != len(tt.want) {
				t.Fatalf("read %d, %v, want %v", len(ds), err, tt.want)
			}
			for i, d := range ds {
				if d.ID.Ms != tt.want[i] {
					t.Errorf("got %s, want %d", d.ID, tt.want[i])
				}
			}
		})
	}
}

// TestSeekRefuses: with every reason the group stays where it is.
func TestSeekRefuses(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 10)
	g := s.group(redisstream.Start{})
	ensure(t, g)
	s.read(g, 5, 5)
	refuses := func(m redisstream.Move, want error) {
		t.Helper()
		if err := g.Seek(t.Context(), m); !errors.Is(err, want) {
			t.Errorf("seek to %s: %v, want %v", m.To, err, want)
		}
		if info, err := g.Info(t.Context()); err != nil || info.LastDelivered.Ms != 5 {
			t.Errorf("the group stands at %s, %v", info.LastDelivered, err)
		}
	}
	refuses(s.move(g, 11), redisstream.ErrBeyondEnd)
	moved := s.move(g, 1)
	moved.From.Ms--
	refuses(moved, redisstream.ErrMoved)
	missing := s.move(g, 1)
	missing.Missing = true
	refuses(missing, redisstream.ErrMoved)
	s.do("XDEL", key, "3-0")
	whole := s.move(g, 0)
	whole.Whole = true
	refuses(whole, redisstream.ErrIncomplete)

	// One that works elsewhere, until it has been silent for long enough. A name
	// that only begins as ours do is another's.
	other := g.Source("host-1-0", g.Epoch())
	defer other.Close()
	busy, began := s.move(g, 1), time.Now()
	if _, err := consumertest.Take(t.Context(), other, 1, 0); err != nil {
		t.Fatal(err)
	}
	busy.From.Ms++ // it has read one
	var atWork *redisstream.AtWorkError
	if err := g.Seek(t.Context(), busy); !errors.As(err, &atWork) || atWork.Consumer != "host-1-0" || atWork.Quiet != g.Quiet() {
		t.Fatalf("seek while another works: %v", err)
	}
	eventually(t, func() bool {
		err := g.Seek(t.Context(), busy)
		if err != nil && !errors.As(err, &atWork) {
			t.Fatal(err)
		}
		return err == nil
	})
	if took := time.Since(began); took < g.Quiet() {
		t.Errorf("allowed after %v, want %v at least", took, g.Quiet())
	}
}

// TestSeekCreates a group that is missing where it is to go on.
func TestSeekCreates(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"of a stream": 10, "without a stream": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.add(1, n)
			g := s.group(redisstream.Start{Latest: true})
			info, err := g.StreamInfo(t.Context())
			if err != nil || info.Length != int64(n) || info.LastGenerated.Ms != uint64(n) {
				t.Fatalf("stream %+v, %v", info, err)
			}
			if err := g.Seek(t.Context(), redisstream.Move{Missing: true, To: stream.ID{Ms: uint64(n / 2)}, Read: -1, Resting: "host-"}); err != nil {
				t.Fatal(err)
			}
			if o := ensure(t, g); o.Created || o.Epoch == "" {
				t.Errorf("opened %+v", o)
			}
			s.read(g, n-n/2, 0)
		})
	}
}

// TestSeekOnSimulated: the demo's server cannot do it and says so.
func TestSeekOnSimulated(t *testing.T) {
	t.Parallel()
	c := openConfig(t, redisstream.Config{URL: telemetry.Secret("redis://" + miniredis.RunT(t).Addr())})
	g := c.Group(config())
	ensure(t, g)
	if err := g.Seek(t.Context(), redisstream.Move{Read: -1}); !errors.Is(err, redisstream.ErrSimulated) {
		t.Errorf("error %v", err)
	}
}

func TestBetween(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 10)
	g := s.group(redisstream.Start{})
	for _, tt := range []struct {
		after, upTo uint64
		most, n     int64
		exact       bool
	}{{0, 10, 100, 10, true}, {3, 7, 100, 4, true}, {7, 7, 100, 0, true}, {9, 3, 100, 0, true}, {0, 10, 10, 10, true}, {0, 10, 4, 4, false}} {
		n, exact, err := g.Between(t.Context(), stream.ID{Ms: tt.after}, stream.ID{Ms: tt.upTo}, tt.most)
		if n != tt.n || exact != tt.exact || err != nil {
			t.Errorf("between %d and %d: %d, %v, %v", tt.after, tt.upTo, n, exact, err)
		}
	}
}
