package consumertest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

var buryCases = []sourceCase{
	{"bury writes the letter and acknowledges", buryLetter},
	{"bury twice writes once", buryTwice},
	{"bury of another consumer's entry does nothing", buryForeign},
	{"bury of what is not pending does nothing", buryUnknown},
	{"bury leaves the entry pending when the letters are full", buryFull},
	{"bury of an entry without data keeps the letter's", buryVanished},
	{"bury of 1 MiB and of 5000 fields", buryBig},
}

// letterOf is a letter for a delivery with something in every field.
func letterOf(d stream.Delivery) *deadletter.Letter {
	return &deadletter.Letter{
		Entry:        d.Entry,
		Stream:       d.Stream,
		ID:           d.ID,
		Epoch:        d.Epoch,
		Group:        "analytics",
		Consumer:     "host-0",
		Handler:      "window",
		Stage:        deadletter.Handle,
		Error:        "write row: \"quoted\"\n\u2028 <tag>, 100 %",
		Attempts:     5,
		Deliveries:   2,
		FirstFailure: time.Date(2026, 2, 3, 4, 5, 6, 7_000_000, time.UTC),
		LastFailure:  time.Date(2026, 2, 3, 4, 5, 9, 0, time.UTC),
		Replays:      1,
	}
}

// wantBury buries a delivery and checks what came of it.
func (r *rig) wantBury(src consumer.Source, d stream.Delivery, want stream.Burial) {
	r.t.Helper()
	got, err := src.Bury(r.ctx(), d.Ref, letterOf(d))
	if err != nil || got != want {
		r.t.Errorf("bury %s: %s and error %v, want %s", d.Ref, got, err, want)
	}
}

// wantLetters checks that the letters of these deliveries stand there, all
// that is in them included.
func (r *rig) wantLetters(want ...stream.Delivery) {
	r.t.Helper()
	got := r.Letters()
	if len(got) != len(want) {
		r.t.Errorf("%d dead letters, want %d", len(got), len(want))
		return
	}
	for i, d := range want {
		wantFields(r.t, got[i].Entry, flatten(d.Entry))
		meta, wantMeta := got[i], *letterOf(d)
		if !meta.FirstFailure.Equal(wantMeta.FirstFailure) || !meta.LastFailure.Equal(wantMeta.LastFailure) {
			r.t.Errorf("letter %d: failures %s and %s, want %s and %s", i,
				meta.FirstFailure, meta.LastFailure, wantMeta.FirstFailure, wantMeta.LastFailure)
		}
		meta.FirstFailure, meta.LastFailure = wantMeta.FirstFailure, wantMeta.LastFailure
		meta.Entry, wantMeta.Entry = stream.Entry{}, stream.Entry{}
		if !sameMeta(meta, wantMeta) {
			r.t.Errorf("letter %d is %+v, want %+v", i, meta, wantMeta)
		}
	}
}

func sameMeta(a, b deadletter.Letter) bool {
	return a.Stream == b.Stream && a.ID == b.ID && a.Epoch == b.Epoch && a.Group == b.Group &&
		a.Consumer == b.Consumer && a.Handler == b.Handler && a.Stage == b.Stage && a.Error == b.Error &&
		a.Attempts == b.Attempts && a.Deliveries == b.Deliveries && a.Replays == b.Replays
}

func flatten(e stream.Entry) []string {
	var fields []string
	for _, f := range e.Fields {
		fields = append(fields, string(f.Name), string(f.Value))
	}
	return fields
}

func buryLetter(t *testing.T, r *rig) {
	r.Add(oddFields...)
	r.Add("event", "{}")
	r.Add("letter", "a field of the entry that is named as the letter's own")
	src := r.open("a")
	got := r.readN(src, 3)
	r.wantBury(src, got[2], stream.Buried)
	r.wantBury(src, got[0], stream.Buried)
	r.wantLetters(got[2], got[0])
	r.wantPending("a", got[1].Ref)
}

func buryTwice(t *testing.T, r *rig) {
	r.add(2)
	src := r.open("a")
	got := r.readN(src, 2)
	r.wantBury(src, got[0], stream.Buried)
	r.wantBury(src, got[0], stream.NotPending)
	r.wantLetters(got[0])
	r.wantPending("a", got[1].Ref)
}

func buryForeign(t *testing.T, r *rig) {
	ids := r.add(2)
	a, b := r.open("a"), r.open("b")
	got := r.readN(a, 2)
	r.free(a, ids[0])
	r.claim(b, never, 10)
	r.wantBury(a, got[0], stream.NotOurs)
	r.wantLetters()
	r.wantPending("b", ids[0])
	r.wantBury(b, got[0], stream.Buried)
	r.wantBury(a, got[0], stream.NotPending)
	r.wantLetters(got[0])
}

func buryUnknown(t *testing.T, r *rig) {
	ids := r.add(2)
	src := r.open("a")
	unread := stream.Delivery{Entry: stream.Entry{ID: ids[0]}, Ref: ids[0]}
	r.wantBury(src, unread, stream.NotPending)
	got := r.readN(src, 2)
	r.ack(src, ids[0], ids[0])
	r.wantBury(src, got[0], stream.NotPending)
	r.wantLetters()
	r.wantPending("a", ids[1])
}

func buryFull(t *testing.T, r *rig) {
	limit := r.MaxLetters()
	r.add(limit + 2)
	a, b := r.open("a"), r.open("b")
	got := r.readN(a, limit+2)
	for _, d := range got[:limit] {
		r.wantBury(a, d, stream.Buried)
	}
	for range 2 {
		_, err := a.Bury(r.ctx(), got[limit].Ref, letterOf(got[limit]))
		if !errors.Is(err, stream.ErrDeadLettersFull) {
			t.Errorf("bury beyond the limit: %v, want %v", err, stream.ErrDeadLettersFull)
		}
	}
	// What there is no letter to write for is no matter of room.
	r.wantBury(a, got[0], stream.NotPending)
	r.wantBury(b, got[limit], stream.NotOurs)
	r.wantLetters(got[:limit]...)
	r.wantPending("a", got[limit].Ref, got[limit+1].Ref)
}

func buryVanished(t *testing.T, r *rig) {
	ids := r.add(1)
	src := r.open("a")
	got := r.readN(src, 1)
	r.Delete(ids...)
	r.wantBury(src, got[0], stream.Buried)
	r.wantLetters(got[0])
	r.wantPending("a")
}

func buryBig(t *testing.T, r *rig) {
	r.Add("event", strings.Repeat("\x00\xff\n0123", 150_000))
	r.Add(manyFields(5000)...)
	src := r.open("a")
	got := r.readN(src, 2)
	for _, d := range got {
		r.wantBury(src, d, stream.Buried)
	}
	r.wantLetters(got...)
	r.wantPending("a")
}
