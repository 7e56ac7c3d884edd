package deadletter_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// replayed gives the entry of a replay stream as Redis puts it together.
func replayed(t *testing.T, l *deadletter.Letter, of stream.ID) stream.Entry {
	t.Helper()
	fields, err := l.Fields()
	if err != nil {
		t.Fatal(err)
	}
	h, err := deadletter.ParseHead(stream.Entry{ID: of, Fields: fields[:1]})
	if err != nil {
		t.Fatal(err)
	}
	head, err := h.Replay()
	if err != nil {
		t.Fatal(err)
	}
	again := append([]stream.Field{field("of", of.String()), {Name: []byte("letter"), Value: head}}, fields[1:]...)
	return stream.Entry{ID: stream.ID{Ms: 99}, Fields: again}
}

func TestReplayRoundTrip(t *testing.T) {
	t.Parallel()
	of := stream.ID{Ms: 5, Seq: 6}
	tests := map[string][]stream.Field{
		"one field": {field("event", `{"a":1}`)},
		"no field":  {},
		"own names": {field("of", "1-1"), field("letter", "x"), field("packed", "y")},
		"packed":    many(deadletter.MaxFields + 1),
	}
	for name, fields := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := letter(fields...)
			gotOf, got, err := deadletter.ParseReplay(replayed(t, want, of))
			if err != nil || gotOf != of {
				t.Fatalf("of %s, %v", gotOf, err)
			}
			want.Replays++
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), bytesEqual); diff != "" {
				t.Fatalf("letter changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReplayLeavesTheHead(t *testing.T) {
	t.Parallel()
	h := deadletter.Head{Letter: letter()}
	object, err := h.Replay()
	if err != nil || h.Replays != 1 {
		t.Fatalf("replays %d, %v", h.Replays, err)
	}
	var got struct{ Replays int }
	if err := json.Unmarshal(object, &got); err != nil || got.Replays != 2 {
		t.Errorf("%s: %v", object, err)
	}
}

func TestParseReplayRefusesForeignEntries(t *testing.T) {
	t.Parallel()
	good := field("letter", `{"stream":"s","group":"g","id":"1-2"}`)
	tests := map[string][]stream.Field{
		"no fields": nil,
		"no of":     {good},
		"bad ID":    {field("of", "x"), good},
		"no letter": {field("of", "1-1")},
		"late":      {field("of", "1-1"), field("event", "{}"), good},
	}
	for name, fields := range tests {
		_, l, err := deadletter.ParseReplay(stream.Entry{ID: stream.ID{Ms: 3}, Fields: fields})
		if !errors.Is(err, deadletter.ErrNotLetter) || l != nil || !strings.Contains(err.Error(), "3-0") {
			t.Errorf("%s: %v, %v, want ErrNotLetter of 3-0", name, l, err)
		}
	}
}

func TestSelection(t *testing.T) {
	t.Parallel()
	l := letter()
	l.Class = deadletter.ClassPermanent
	id := stream.ID{Ms: 10}
	tests := map[string]struct {
		s    deadletter.Selection
		has  bool
		most stream.ID
	}{
		"everything":       {deadletter.Selection{}, true, stream.MaxID},
		"the bounds":       {deadletter.Selection{From: id, To: id}, true, id},
		"too early":        {deadletter.Selection{From: id.Next()}, false, stream.MaxID},
		"too late":         {deadletter.Selection{To: id.Prev()}, false, id.Prev()},
		"stage":            {deadletter.Selection{Reasons: []string{"timeout", "handle"}}, true, stream.MaxID},
		"class":            {deadletter.Selection{Reasons: []string{"permanent"}}, true, stream.MaxID},
		"another reason":   {deadletter.Selection{Reasons: []string{"timeout", "error"}}, false, stream.MaxID},
		"a part of error":  {deadletter.Selection{Error: "odds.ticks"}, true, stream.MaxID},
		"another error":    {deadletter.Selection{Error: "odds,ticks"}, false, stream.MaxID},
		"reason and error": {deadletter.Selection{Reasons: []string{"handle"}, Error: "nothing"}, false, stream.MaxID},
	}
	for name, test := range tests {
		if got := test.s.Has(id, l); got != test.has || test.s.Last() != test.most {
			t.Errorf("%s: %v up to %s, want %v up to %s", name, got, test.s.Last(), test.has, test.most)
		}
	}
	if (deadletter.Selection{Reasons: []string{"handle"}}).All() || (deadletter.Selection{Error: "x"}).All() || !(deadletter.Selection{From: id}).All() {
		t.Error("All is wrong about what only letters have")
	}
}
