package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// letter is a dead letter as it stands in Redis: what is known of the entry,
// then the entry's own fields.
type letter struct {
	Stream     string `json:"stream"`
	ID         string `json:"id"`
	Epoch      string `json:"epoch"`
	Group      string `json:"group"`
	Consumer   string `json:"consumer"`
	Handler    string `json:"handler"`
	Stage      string `json:"stage"`
	Error      string `json:"error"`
	Attempts   int    `json:"attempts"`
	Deliveries int64  `json:"deliveries"`

	fields []string // names and values in turn
}

func deadLetters(group string) string { return "{" + eventsStream + "}:dead:" + group }

// letters reads a group's dead letters by the ID of their entry.
func (s *site) letters(group string) map[string]letter {
	s.t.Helper()
	// XRANGE of go-redis gives a map, which hides repeated fields.
	reply, err := s.rdb.Do(context.Background(), "XRANGE", deadLetters(group), "-", "+").Slice()
	if err != nil {
		s.t.Fatalf("read the dead letters of %s: %v", group, err)
	}
	letters := map[string]letter{}
	for _, entry := range reply {
		var fields []string
		for _, f := range entry.([]any)[1].([]any) {
			fields = append(fields, f.(string))
		}
		if len(fields) < 2 || fields[0] != "letter" {
			s.t.Fatalf("a dead letter of %s begins with %.100q", group, fields)
		}
		l := letter{fields: fields[2:]}
		if err := json.Unmarshal([]byte(fields[1]), &l); err != nil {
			s.t.Fatalf("a dead letter of %s is no JSON: %v", group, err)
		}
		if _, twice := letters[l.ID]; twice {
			s.t.Errorf("%s has two dead letters for %s", group, l.ID)
		}
		letters[l.ID] = l
	}
	return letters
}

// buried waits for n dead letters of a group.
func (s *site) buried(within time.Duration, group string, n int) map[string]letter {
	s.t.Helper()
	var got map[string]letter
	eventually(s.t, within, "bury", func() error {
		if got = s.letters(group); len(got) < n {
			return fmt.Errorf("%s has %d dead letters of %d", group, len(got), n)
		}
		return nil
	})
	return got
}
