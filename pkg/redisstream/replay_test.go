package redisstream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
)

const (
	replays   = "{events}:replay:g"
	replaying = "{events}:replaying:g"
)

func TestReplayBringsTheOriginal(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	fields := []string{"event", "\x00\xff\r\n", "a", "1", "event", "2", "letter", "x", "of", "y"}
	entry, letter := y.bury(fields...)
	if got := y.replay(y.letters()...); !slices.Equal(got, []redisstream.Sending{redisstream.Sent}) {
		t.Fatalf("replay: %v", got)
	}
	ds := y.read("a-replay")
	if len(ds) != 1 {
		t.Fatalf("read %d replays, want 1", len(ds))
	}
	d := ds[0]
	if d.ID != entry || d.Stream != key || d.Epoch != y.g.Epoch() || d.Origin != stream.Replayed || d.Count != 1 || d.Ref == entry {
		t.Errorf("delivery %+v, want entry %s of %s", d, entry, key)
	}
	var got []string
	for _, f := range d.Fields {
		got = append(got, string(f.Name), string(f.Value))
	}
	if !slices.Equal(got, fields) {
		t.Errorf("fields %q, want %q", got, fields)
	}

	all := y.letters()
	if len(all) != 1 || !all[0].Replaying || all[0].ID != letter {
		t.Fatalf("while it is replayed: %+v", all)
	}
	if n, err := y.g.ReplaySource("b-replay").Ack(t.Context(), nil, []stream.ID{d.Ref}); n != 0 || err != nil {
		t.Errorf("another consumer acked %d, %v", n, err)
	}
	if n, err := y.g.ReplaySource("a-replay").Ack(t.Context(), nil, []stream.ID{d.Ref}); n != 1 || err != nil {
		t.Fatalf("acked %d, %v", n, err)
	}
	if rest := y.letters(); len(rest) != 0 {
		t.Errorf("after the ack: %+v", rest)
	}
	for _, k := range []string{replays, dead} {
		if n := y.srv.Do(t, "XLEN", k); n != int64(0) {
			t.Errorf("%s still has %v entries", k, n)
		}
	}
	if n := y.srv.Do(t, "EXISTS", replaying); n != int64(0) {
		t.Errorf("%s is still there", replaying)
	}
}

func TestReplayOfAPackedLetter(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	var fields []string
	for i := range 2 * deadletter.MaxFields {
		fields = append(fields, fmt.Sprint("n", i))
	}
	fields = append(fields, fields...)
	y.bury(fields...)
	y.replay(y.letters()...)
	if ds := y.read("a-replay"); len(ds) != 1 || len(ds[0].Fields) != len(fields)/2 {
		t.Fatalf("read %d replays", len(ds))
	}
}

func TestReplayTwiceIsOneReplay(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	y.bury("event", "1")
	letters := y.letters()
	y.replay(letters...)
	if got := y.replay(letters...); got[0] != redisstream.SentBefore {
		t.Errorf("second replay: %v", got)
	}
	if n := len(y.read("a-replay")); n != 1 {
		t.Errorf("read %d replays, want 1", n)
	}
	letters[0].ID = letters[0].ID.Next()
	if got := y.replay(letters...); got[0] != redisstream.NothingToSend {
		t.Errorf("replay of a letter that is gone: %v", got)
	}
}

func TestReplayThatIsLostCanBeRepeated(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	y.bury("event", "1")
	y.replay(y.letters()...)
	y.srv.Do(t, "DEL", replays)
	letters := y.letters()
	if letters[0].Replaying {
		t.Errorf("shown as on its way though the replay stream is gone")
	}
	if got := y.replay(letters...); got[0] != redisstream.Sent {
		t.Errorf("replay: %v", got)
	}
	if n := len(y.read("a-replay")); n != 1 {
		t.Errorf("read %d replays, want 1", n)
	}
}

func TestReaderMakesTheGroupOfItsReplays(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	if n := len(y.read("a-replay")); n != 0 || y.srv.Do(t, "EXISTS", replays) != int64(0) {
		t.Fatalf("read %d replays where none ever were, or made the key", n)
	}
	y.bury("event", "1")
	y.replay(y.letters()...)
	y.srv.Do(t, "XGROUP", "DESTROY", replays, group)
	if n := len(y.read("a-replay")); n != 1 {
		t.Errorf("read %d replays after the group was destroyed, want 1", n)
	}
}

func TestReplayThatFailsAgain(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, func(c *redisstream.GroupConfig) { c.MaxDeadLetters = 1 })
	_, first := y.bury("event", "1")
	for n := 1; n <= 3; n++ {
		y.replay(y.letters()...)
		d := y.read("a-replay")[0]
		again := letterFor(d, fmt.Sprint("again ", n))
		again.FirstFailure = failedAt.Add(time.Hour)
		again.LastFailure = failedAt.Add(time.Hour)
		if b, err := y.g.ReplaySource("b-replay").Bury(t.Context(), d.Ref, again); b != stream.NotOurs || err != nil {
			t.Fatalf("bury of another's: %v, %v", b, err)
		}
		if b, err := y.g.ReplaySource("a-replay").Bury(t.Context(), d.Ref, again); b != stream.Buried || err != nil {
			t.Fatalf("bury: %v, %v", b, err)
		}
		if b, err := y.g.ReplaySource("a-replay").Bury(t.Context(), d.Ref, again); b != stream.NotPending || err != nil {
			t.Fatalf("second bury: %v, %v", b, err)
		}
		all := y.letters()
		if len(all) != 1 {
			t.Fatalf("%d letters, want 1", len(all))
		}
		l := all[0]
		if l.ID == first || l.Replaying || l.Head.Replays != n || l.Head.Error != again.Error ||
			!l.Head.FirstFailure.Equal(failedAt) || !l.Head.LastFailure.Equal(again.LastFailure) {
			t.Errorf("letter %+v with %+v after replay %d", l, l.Head.Letter, n)
		}
		if len(again.Entry.Fields) != 1 || again.Replays != 0 {
			t.Errorf("the caller's letter was changed: %+v", again)
		}
	}
	if n := y.srv.Do(t, "XLEN", replays); n != int64(0) {
		t.Errorf("the replay stream still has %v entries", n)
	}
}

// A letter that cannot be written leaves everything as it was.
func TestReplayThatCannotBeBuried(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	y.bury("event", "1")
	y.replay(y.letters()...)
	d := y.read("a-replay")[0]
	y.srv.Do(t, "RENAME", dead, "aside")
	y.srv.Do(t, "SET", dead, "x")
	src := y.g.ReplaySource("a-replay")
	if _, err := src.Bury(t.Context(), d.Ref, letterFor(d, "again")); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("bury: %v, want WRONGTYPE", err)
	}
	if _, err := src.Ack(t.Context(), nil, []stream.ID{d.Ref}); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("ack: %v, want WRONGTYPE", err)
	}
	y.srv.Do(t, "DEL", dead)
	y.srv.Do(t, "RENAME", "aside", dead)
	page, err := src.Own(t.Context(), stream.ID{}, 10)
	if err != nil || len(page.Deliveries) != 1 || len(y.letters()) != 1 {
		t.Errorf("pending %+v, %v, letters %d, want one of each", page, err, len(y.letters()))
	}
}

func TestReplayStreamThatIsGone(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	src := y.g.ReplaySource("a-replay")
	id := stream.ID{Ms: 7}
	if page, err := src.Own(t.Context(), stream.ID{}, 10); err != nil || !page.Done || len(page.Deliveries) > 0 {
		t.Errorf("own: %+v, %v", page, err)
	}
	if page, err := src.Claim(t.Context(), stream.ID{}, 0, 10); err != nil || !page.Done || !page.Next.IsZero() {
		t.Errorf("claim: %+v, %v", page, err)
	}
	if n, err := src.Ack(t.Context(), []stream.ID{id}, []stream.ID{id}); n != 0 || err != nil {
		t.Errorf("ack: %d, %v", n, err)
	}
	if lost, err := src.Hold(t.Context(), []stream.Hold{{Ref: id}}); !slices.Equal(lost, []stream.ID{id}) || err != nil {
		t.Errorf("hold: %v, %v", lost, err)
	}
	if b, err := src.Bury(t.Context(), id, letterFor(stream.Delivery{}, "x")); b != stream.NotPending || err != nil {
		t.Errorf("bury: %v, %v", b, err)
	}
	if _, err := y.g.Reap(t.Context(), time.Hour, nil); err != nil {
		t.Errorf("reap: %v", err)
	}
}

// What something else has written to the replay stream gets an end too.
func TestForeignReplays(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	y.bury("event", "mine")
	for _, fields := range [][]any{
		{"event", "{}"},
		{"of", "no ID", "letter", "{}"},
		{"of", "99999999999999999999999-1", "letter", "{}"},
		{"of", "18446744073709551616-1", "letter", "{}"},
	} {
		y.srv.Do(t, append([]any{"XADD", replays, "*"}, fields...)...)
	}
	ds := y.read("a-replay")
	if len(ds) != 4 {
		t.Fatalf("read %d, want 4", len(ds))
	}
	src := y.g.ReplaySource("a-replay")
	for _, d := range ds[:3] {
		if d.Stream != replays || d.ID != d.Ref || d.Origin != stream.Replayed || d.Epoch == y.g.Epoch() {
			t.Errorf("delivery %+v", d)
		}
		if n, err := src.Ack(t.Context(), nil, []stream.ID{d.Ref}); n != 1 || err != nil {
			t.Errorf("ack of %s: %d, %v", d.Fields, n, err)
		}
	}
	if b, err := src.Bury(t.Context(), ds[3].Ref, letterFor(ds[3], "foreign")); b != stream.Buried || err != nil {
		t.Errorf("bury: %v, %v", b, err)
	}
	if n := len(y.letters()); n != 2 {
		t.Errorf("%d letters, want the one before and the foreign one", n)
	}
}

func TestReapOfReplays(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	y.bury("event", "1")
	y.replay(y.letters()...)
	y.read("busy")
	y.srv.Do(t, "XGROUP", "CREATECONSUMER", replays, group, "idle")
	y.srv.Do(t, "XGROUP", "CREATECONSUMER", replays, group, "kept")
	var gone []string
	eventually(t, func() bool {
		deleted, err := y.g.Reap(t.Context(), 0, []string{"kept", "a"})
		if err != nil {
			t.Fatal(err)
		}
		gone = append(gone, deleted...)
		return len(gone) > 0
	})
	if !slices.Equal(gone, []string{"idle"}) {
		t.Errorf("reaped %v, want idle alone", gone)
	}
}

func TestReplayReadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	began := time.Now()
	if _, err := consumertest.Take(ctx, y.g.ReplaySource("a-replay"), 1, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("read took %s", took)
	}
}

// A reader that waits asks Redis about every two seconds, however often it is
// called.
func TestReplayReadIsCheap(t *testing.T) {
	t.Parallel()
	y := newGraveyard(t, nil)
	src := y.g.ReplaySource("a-replay")
	commands := func() int64 {
		info, err := y.srv.Client().Info(t.Context(), "stats").Result()
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		_, rest, _ := strings.Cut(info, "total_commands_processed:")
		fmt.Sscan(rest, &n)
		return n
	}
	if _, err := consumertest.Take(t.Context(), src, 1, time.Millisecond); err != nil { // loads the script
		t.Fatal(err)
	}
	before := commands()
	for range 50 {
		if _, err := consumertest.Take(t.Context(), src, 1, time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if n := commands() - before; n > 5 {
		t.Errorf("%d commands for 50 reads within a moment", n)
	}
}
