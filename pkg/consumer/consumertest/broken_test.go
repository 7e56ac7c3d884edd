package consumertest_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// breakages are ways to break the contract, each with the case that must tell.
var breakages = map[string]string{
	"read counts":             "read in stream order, at most max",
	"read goes beyond max":    "read in stream order, at most max",
	"read reverses":           "read in stream order, at most max",
	"read has no epoch":       "read in stream order, at most max",
	"read always waits":       "read does not wait when wait is 0",
	"read never waits":        "read waits at most wait",
	"read misses a wake":      "read returns an entry that comes while it waits",
	"read drops a repeat":     "read keeps the fields as they are",
	"read cuts":               "read keeps an entry of 1 MiB and one of 3000 fields",
	"read has no limit":       "read stops at its limit, and the next goes on",
	"read says no more":       "rest is what a read has left",
	"rest hides one":          "rest is what a read has left",
	"read reuses memory":      "read leaves earlier deliveries alone",
	"read ignores ctx":        "read returns soon after ctx is done",
	"read ignores a done ctx": "read returns soon when ctx is done before",
	"read loses a reply":      "read loses nothing when it is cancelled",
	"read blocks settling":    "read and settle at once",
	"own counts":              "own neither counts nor touches",
	"own touches":             "own neither counts nor touches",
	"own skips":               "own lists this consumer's pending entries in order",
	"own never ends":          "own of nothing is done",
	"own hides the vanished":  "own lists entries without data as vanished",
	"claim counts":            "claim takes over what is idle",
	"claim does not look":     "claim leaves what is not idle",
	"claim ends early":        "claim goes on over many entries that are not idle",
	"claim begins again":      "claim goes on over many entries that are not idle",
	"claim leaves own":        "claim takes this consumer's own idle entries too",
	"claim hides vanished":    "claim reports entries without data as vanished",
	"ack does nothing":        "ack acknowledges all when the probes are fresh",
	"ack takes foreign ones":  "ack acknowledges only this consumer's own",
	"ack counts all":          "ack of what is not pending acknowledges nothing",
	"ack stops at 8000":       "ack of 9000 entries in one call",
	"hold does nothing":       "hold touches",
	"hold forgets the count":  "hold sets the count",
	"hold does not free":      "hold frees for anybody at once",
	"hold loses nothing":      "hold returns what is not ours and leaves it",
	"hold stops at 8000":      "hold of 9000 entries in one call",
	"bury writes nothing":     "bury writes the letter and acknowledges",
	"bury drops the stage":    "bury writes the letter and acknowledges",
	"bury drops a field":      "bury writes the letter and acknowledges",
	"bury always buries":      "bury twice writes once",
	"bury has room":           "bury leaves the entry pending when the letters are full",
	"group is a riddle":       "every method tells that the group is missing",
	"group is silent":         "a waiting read tells that the group is missing",
	"IDs are floats":          "IDs beyond the exact range of a float are told apart",
}

// brokenSource is a source with one of the breakages.
type brokenSource struct {
	*consumertest.Source
	how      string
	rig      memoryRig
	name     string
	previous []stream.Delivery
	settling chan struct{} // held by a settler, and by a reader that blocks it
}

type brokenRig struct {
	memoryRig
	how string
}

func (r brokenRig) Source(name string) consumer.Source {
	if r.how == "bury has room" {
		r.LimitLetters(0)
	}
	return &brokenSource{
		Source:   r.memoryRig.Source(name).(*consumertest.Source),
		how:      r.how,
		rig:      r.memoryRig,
		name:     name,
		settling: make(chan struct{}, 1),
	}
}

func (s *brokenSource) Read(ctx context.Context, c *stream.Chunk, limit int, wait time.Duration) error {
	bytes := c.Limit
	c.Reset()
	inner := ctx
	switch s.how {
	case "read goes beyond max":
		limit++
	case "read always waits":
		wait = max(wait, 2*time.Second)
	case "read never waits":
		wait = 0
	case "read misses a wake":
		if err := s.Source.Read(ctx, c, limit, 0); err != nil || len(c.Deliveries) > 0 {
			return err
		}
		time.Sleep(min(wait, 1500*time.Millisecond))
	case "read ignores ctx":
		inner, wait = context.WithoutCancel(ctx), min(wait, 1500*time.Millisecond)
	case "read ignores a done ctx":
		inner = context.WithoutCancel(ctx)
		defer time.Sleep(min(wait, 1500*time.Millisecond))
	case "read blocks settling":
		s.settling <- struct{}{}
		defer func() { <-s.settling }()
		wait = min(wait, 1500*time.Millisecond)
	}
	if s.how == "read has no limit" {
		c.Limit = 0
	}
	err := s.Source.Read(inner, c, limit, wait)
	c.Limit = bytes
	got := c.Deliveries
	switch {
	case len(got) == 0:
	case s.how == "read counts":
		got[0].Count++
	case s.how == "read reverses":
		got[0], got[len(got)-1] = got[len(got)-1], got[0]
	case s.how == "read has no epoch":
		got[0].Epoch = ""
	case s.how == "read drops a repeat":
		got[0].Fields = got[0].Fields[1:]
	case s.how == "read cuts":
		got[0].Fields[0].Value = got[0].Fields[0].Value[:1<<20-1]
	case s.how == "read reuses memory":
		for _, d := range s.previous {
			clear(d.Fields[0].Value)
		}
		s.previous = got
	case s.how == "read loses a reply" && wait > 0 && got[0].ID.Ms%3 == 0:
		return context.Canceled
	case s.how == "read says no more":
		c.More = false
	}
	return s.riddle(err)
}

func (s *brokenSource) Rest(ctx context.Context) ([]stream.ID, error) {
	refs, err := s.Source.Rest(ctx)
	if s.how == "rest hides one" && len(refs) > 0 {
		refs = refs[1:]
	}
	return refs, err
}

func (s *brokenSource) Own(ctx context.Context, after stream.ID, limit int) (stream.Page, error) {
	page, err := s.Source.Own(ctx, after, limit)
	for _, d := range page.Deliveries {
		switch s.how {
		case "own counts":
			s.hold(ctx, stream.Hold{Ref: d.Ref, Count: d.Count + 1})
		case "own touches":
			s.hold(ctx, stream.Hold{Ref: d.Ref, Count: stream.KeepCount})
		}
	}
	switch {
	case s.how == "own skips" && !page.Done:
		page.Next = page.Next.Next()
		page.Deliveries = page.Deliveries[:len(page.Deliveries)-1]
	case s.how == "own never ends":
		page.Done = false
	case s.how == "own hides the vanished":
		page.Vanished = nil
	}
	return page, s.riddle(err)
}

func (s *brokenSource) Claim(ctx context.Context, cursor stream.ID, minIdle time.Duration, limit int) (stream.Page, error) {
	switch s.how {
	case "claim does not look":
		minIdle = 0
	case "claim begins again":
		cursor = stream.ID{}
	}
	page, err := s.Source.Claim(ctx, cursor, minIdle, limit)
	switch s.how {
	case "claim counts":
		for _, d := range page.Deliveries {
			s.hold(ctx, stream.Hold{Ref: d.Ref, Count: d.Count + 1})
		}
	case "claim ends early":
		page.Done = true
	case "claim leaves own":
		page.Deliveries = nil
	case "claim hides vanished":
		page.Vanished = nil
	}
	return page, s.riddle(err)
}

func (s *brokenSource) Ack(ctx context.Context, probes, refs []stream.ID) (int, error) {
	s.settling <- struct{}{}
	defer func() { <-s.settling }()
	switch s.how {
	case "ack does nothing":
		return len(refs), nil
	case "ack takes foreign ones":
		for _, p := range s.rig.Pending() {
			if p.Consumer != s.name {
				other := s.rig.Server.Source(group, p.Consumer, minIdle)
				if _, err := other.Ack(ctx, nil, refs); err != nil {
					return 0, err
				}
			}
		}
	case "ack stops at 8000":
		refs = refs[:min(len(refs), 8000)]
	case "IDs are floats":
		refs = floats(refs)
	}
	n, err := s.Source.Ack(ctx, probes, refs)
	if s.how == "ack counts all" {
		n = len(refs)
	}
	return n, s.riddle(err)
}

// floats rounds as a script does that reads an ID as a number.
func floats(ids []stream.ID) []stream.ID {
	out := make([]stream.ID, len(ids))
	for i, id := range ids {
		out[i] = stream.ID{Ms: id.Ms, Seq: id.Seq &^ 2047}
	}
	return out
}

func (s *brokenSource) Hold(ctx context.Context, holds []stream.Hold) ([]stream.ID, error) {
	switch s.how {
	case "hold does nothing":
		return nil, nil
	case "hold forgets the count":
		for i := range holds {
			holds[i].Count = stream.KeepCount
		}
	case "hold does not free":
		for i := range holds {
			holds[i].Free = false
		}
	case "hold stops at 8000":
		holds = holds[:min(len(holds), 8000)]
	}
	lost, err := s.Source.Hold(ctx, holds)
	if s.how == "hold loses nothing" {
		lost = nil
	}
	return lost, s.riddle(err)
}

func (s *brokenSource) hold(ctx context.Context, h stream.Hold) {
	_, _ = s.Source.Hold(ctx, []stream.Hold{h}) // breaks what it can
}

func (s *brokenSource) Bury(ctx context.Context, ref stream.ID, letter *deadletter.Letter) (stream.Burial, error) {
	changed := *letter
	switch s.how {
	case "bury writes nothing":
		_, err := s.Source.Ack(ctx, nil, []stream.ID{ref})
		return stream.Buried, err
	case "bury drops the stage":
		changed.Stage = ""
	case "bury drops a field":
		changed.Entry.Fields = changed.Entry.Fields[1:]
	}
	burial, err := s.Source.Bury(ctx, ref, &changed)
	if s.how == "bury always buries" {
		burial = stream.Buried
	}
	return burial, s.riddle(err)
}

// riddle spoils the error of a missing group.
func (s *brokenSource) riddle(err error) error {
	switch {
	case !errors.Is(err, stream.ErrNoGroup):
	case s.how == "group is a riddle":
		return errors.New("NOGROUP No such key")
	case s.how == "group is silent":
		return nil
	}
	return err
}

// breakVariable makes TestBrokenSource check a source with that breakage.
const breakVariable = "CONSUMERTEST_BREAK"

func TestBrokenSource(t *testing.T) {
	how := os.Getenv(breakVariable)
	if how == "" {
		return // only as a child of TestSuiteFinds
	}
	consumertest.TestSource(t, func(t *testing.T) consumertest.Rig {
		return brokenRig{newMemoryRig(t).(memoryRig), how}
	})
}

// TestSuiteFinds runs the case of each breakage, in a process of its own, and
// wants it to fail.
func TestSuiteFinds(t *testing.T) {
	t.Parallel()
	for how, name := range breakages {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			name := strings.ReplaceAll(name, " ", "_")
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.timeout=90s",
				"-test.run=^TestBrokenSource$/^"+regexp.QuoteMeta(name)+"$")
			child.Env = append(os.Environ(), breakVariable+"="+how)
			out, err := child.CombinedOutput()
			exit := (*exec.ExitError)(nil)
			if !errors.As(err, &exit) || !bytes.Contains(out, []byte("FAIL: TestBrokenSource/"+name)) {
				t.Errorf("the case %s passed: %v\n%s", name, err, out)
			}
			if bytes.Contains(out, []byte("panic:")) {
				t.Errorf("the case %s panicked:\n%s", name, out)
			}
		})
	}
}
