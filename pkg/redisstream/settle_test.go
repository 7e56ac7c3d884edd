package redisstream_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
)

func (s *scene) letter(id stream.ID, fields ...stream.Field) *deadletter.Letter {
	return &deadletter.Letter{Entry: stream.Entry{ID: id, Fields: fields}, Stream: key, Group: group, ID: id, Error: "bad"}
}

// Entries of any shape are buried with their fields as they were.
func TestBuryAnyEntry(t *testing.T) {
	t.Parallel()
	many := func(n int) []stream.Field {
		fields := make([]stream.Field, n)
		for i := range fields {
			fields[i] = stream.Field{Name: fmt.Append(nil, "n", i), Value: []byte("v")}
		}
		return fields
	}
	for name, fields := range map[string][]stream.Field{
		"10 MiB":          {{Name: []byte("event"), Value: bytes.Repeat([]byte("x"), 10<<20)}},
		"repeated names":  {{Name: []byte("a"), Value: []byte("1")}, {Name: []byte("a"), Value: []byte("2")}},
		"binary":          {{Name: []byte("\x00\r\n"), Value: []byte("\xff\x00\r\n")}},
		"as many as fit":  many(deadletter.MaxFields),
		"one more":        many(deadletter.MaxFields + 1),
		"twenty thousand": many(20_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			args := []any{"XADD", key, "1-0"}
			for _, f := range fields {
				args = append(args, f.Name, f.Value)
			}
			s.do(args...)
			src := s.source("a")
			got := read(t, src)
			if len(got) != 1 || !slices.EqualFunc(got[0].Fields, fields, sameField) {
				t.Fatal("the entry was read differently")
			}
			id := got[0].Ref
			burial, err := src.Bury(t.Context(), id, s.letter(id, got[0].Fields...))
			if err != nil || burial != stream.Buried {
				t.Fatalf("%v, %v", burial, err)
			}
			entries, err := s.server.Client().XRange(t.Context(), dead, "-", "+").Result()
			if err != nil || len(entries) != 1 {
				t.Fatalf("%d letters, %v", len(entries), err)
			}
			if l := parseLetter(t, s.server.Client(), entries[0].ID); !slices.EqualFunc(l.Entry.Fields, fields, sameField) {
				t.Fatal("the letter has other fields")
			}
			if again, err := src.Bury(t.Context(), id, s.letter(id)); err != nil || again != stream.NotPending {
				t.Fatalf("once more: %v, %v", again, err)
			}
			if n := s.do("XLEN", dead); n != int64(1) {
				t.Fatalf("%v letters, want 1", n)
			}
		})
	}
}

func sameField(a, b stream.Field) bool {
	return bytes.Equal(a.Name, b.Name) && bytes.Equal(a.Value, b.Value)
}

// A letter that cannot be written leaves the entry pending.
func TestBuryFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before func(*scene)
		want   string
	}{
		"wrong type":    {func(s *scene) { s.do("SET", dead, "x") }, "WRONGTYPE"},
		"out of memory": {func(s *scene) { s.do("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1") }, "OOM"},
		"no permission": {func(s *scene) { s.do("ACL", "SETUSER", "default", "resetkeys", "~"+key, "~{"+key+"}:fanout:*") }, "NOPERM"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.add(1, 1)
			src := s.source("a")
			id := s.take(src, 1)[0]
			test.before(s)
			_, err := src.Bury(t.Context(), id, s.letter(id, stream.Field{Name: []byte("a"), Value: []byte("b")}))
			if err == nil || !strings.Contains(redisstream.Describe(err), test.want) {
				t.Fatalf("error %v, want %s", err, test.want)
			}
			page, err := src.Own(t.Context(), stream.ID{}, 10)
			if err != nil || len(page.Deliveries) != 1 {
				t.Fatalf("pending %v, %v, want the entry", page, err)
			}
		})
	}
}

// While Redis is out of memory entries are read, held, acknowledged and
// released; the checkpoint is told beside the error and kept locally.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 5)
	src := s.source("a")
	ids := s.take(src, 2)
	s.do("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1")
	if n, err := src.Ack(t.Context(), ids[:1], ids[:1]); err != nil || n != 1 {
		t.Errorf("acked %d, %v", n, err)
	}
	if lost, err := src.Hold(t.Context(), []stream.Hold{{Ref: ids[1], Count: 0, Free: true}}); err != nil || lost != nil {
		t.Errorf("hold: lost %v, %v", lost, err)
	}
	if p, err := src.Claim(t.Context(), stream.ID{}, time.Minute, 10); err != nil || len(p.Deliveries) != 1 {
		t.Errorf("claim: %+v, %v", p, err)
	}
	g := s.group(redisstream.Start{})
	low, err := g.Checkpoint(t.Context())
	if low != (stream.ID{Ms: 1, Seq: 1<<64 - 1}) || err == nil || !strings.Contains(redisstream.Describe(err), "OOM") {
		t.Errorf("checkpoint %v, %v, want the mark and OOM", low, err)
	}
	kept := false
	for _, c := range s.store.kept {
		kept = kept || c.ID == low
	}
	if !kept {
		t.Errorf("the local store holds %+v", s.store.kept)
	}
}

// What has been claimed by another is not acknowledged, held or buried, though
// this process slept through it.
func TestOwnerIsChecked(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.add(1, 3000)
	a, b := s.source("a"), s.source("b")
	ids := s.take(a, 3000)
	if _, err := a.Hold(t.Context(), []stream.Hold{{Ref: ids[1500], Count: 1, Free: true}}); err != nil {
		t.Fatal(err)
	}
	var from stream.ID
	for {
		p, err := b.Claim(t.Context(), from, time.Hour, 100)
		if err != nil {
			t.Fatal(err)
		}
		if from = p.Next; p.Done {
			break
		}
	}
	theirs := ids[1500]
	if lost, err := a.Hold(t.Context(), []stream.Hold{{Ref: theirs, Count: stream.KeepCount}}); err != nil || len(lost) != 1 {
		t.Errorf("hold: lost %v, %v", lost, err)
	}
	if burial, err := a.Bury(t.Context(), theirs, s.letter(theirs)); err != nil || burial != stream.NotOurs {
		t.Errorf("bury: %v, %v", burial, err)
	}
	// Its own probe was claimed: each of the others is looked at.
	if n, err := a.Ack(t.Context(), []stream.ID{theirs}, ids); err != nil || n != 2999 {
		t.Errorf("acked %d, %v, want 2999", n, err)
	}
	if page, err := b.Own(t.Context(), stream.ID{}, 10); err != nil || len(page.Deliveries) != 1 || page.Deliveries[0].Ref != theirs {
		t.Errorf("b has %+v, %v, want %v", page, err, theirs)
	}
}
