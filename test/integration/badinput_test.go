package integration

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Entries that cannot be handled are buried where they cannot be, with every
// field as it was; their neighbours are handled.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(rowsGroup + minutesGroup + faultyGroup("probe"))
	s.run().ready()

	const good = `{"trade_id":1,"market_id":"m-1","odds":{"ticks":245},"stake":{"value":2500},"timestamp":1763856000123}`
	padding := strings.Repeat("x", 10<<20)
	everywhere := []string{"rows", "minutes", "probe"}
	tests := []struct {
		name   string
		fields []string
		buried []string // groups
		stage  string
	}{
		{"truncated JSON", []string{"event", good[:40]}, everywhere, "decode"},
		{"text behind the JSON", []string{"event", good + "}"}, everywhere, "decode"},
		{"empty", []string{"event", ""}, everywhere, "decode"},
		{"no event field", []string{"evnt", good, "source", "test"}, everywhere, "decode"},
		{"repeated event field", []string{"event", good, "note", "a", "event", good, "note", "b"}, everywhere, "decode"},
		{"binary bytes", []string{"event", "\x00\xff\xfe\r\n\x80{", "\x00name\xff", "\x00"}, everywhere, "decode"},
		{"10 MiB of no JSON", []string{"event", padding}, everywhere, "decode"},
		{"required field is missing", []string{"event", `{"trade_id":2,"odds":{"ticks":1},"stake":{"value":1},"timestamp":1763856000123}`}, []string{"rows", "minutes"}, "handle"},
		{"10 MiB of JSON", []string{"event", good[:len(good)-1] + `,"note":"` + padding + `"}`}, nil, ""},
		{"repeated other field", []string{"note", "a", "event", good, "note", "b"}, nil, ""},
		{"good", []string{"event", good}, nil, ""},
	}
	bad := map[string]int{} // index of tests by ID
	handled := map[string][]string{}
	want := map[string]int{}
	for i, tt := range tests {
		neighbour := s.add("*", "event", good)
		id := s.add("*", tt.fields...)
		bad[id] = i
		for _, group := range everywhere {
			handled[group] = append(handled[group], neighbour)
			if slices.Contains(tt.buried, group) {
				want[group]++
			} else {
				handled[group] = append(handled[group], id)
			}
		}
	}
	s.settled(60*time.Second, everywhere...)

	for _, group := range everywhere {
		letters := s.letters(group)
		if len(letters) != want[group] {
			t.Errorf("%s has %d dead letters, want %d", group, len(letters), want[group])
		}
		for id, l := range letters {
			i, ok := bad[id]
			if !ok {
				t.Errorf("%s buried the neighbour %s: %s", group, id, l.Error)
				continue
			}
			tt := tests[i]
			if !slices.Contains(tt.buried, group) {
				t.Errorf("%s: %s buried it: %s", tt.name, group, l.Error)
			}
			if l.Stream != eventsStream || l.Group != group || l.Stage != tt.stage || l.Error == "" || l.Epoch == "" || l.Consumer == "" || l.Handler == "" {
				l.fields = nil
				t.Errorf("%s: the letter of %s says %+v, want stage %q", tt.name, group, l, tt.stage)
			}
			if len(l.Error) > 2000 {
				t.Errorf("%s: the reason in %s has %d bytes", tt.name, group, len(l.Error))
			}
			if !slices.Equal(l.fields, tt.fields) {
				t.Errorf("%s: the fields of the letter of %s are not those of the entry", tt.name, group)
			}
		}
	}
	s.onceEach("probe", handled["probe"])
	s.rows("rows.db", "trades", len(handled["rows"]))
	if got := s.query("minutes.db", `SELECT sum(trades) AS n FROM minutes`)[0]["n"]; got != int64(len(handled["minutes"])) {
		t.Errorf("the windows count %v trades, want %d", got, len(handled["minutes"]))
	}
}
