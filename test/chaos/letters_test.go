package chaos

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

func letterKey(group string) string { return "{" + streamKey + "}:dead:" + group }

// keepLetters writes down which entries have been buried.
func (r *round) keepLetters(found map[string]*redis.XMessageSliceCmd) {
	for g, cmd := range found {
		for _, m := range cmd.Val() {
			r.keepLetter(g, m)
		}
	}
}

// collect writes down the dead letters that are there now.
func (r *round) collect(error) {
	for _, g := range groups {
		found, err := r.rdb.XRange(context.Background(), letterKey(g), "-", "+").Result()
		if err != nil {
			r.violated("read dead letters of %s: %v", g, err)
		}
		for _, m := range found {
			r.keepLetter(g, m)
		}
	}
}

func (r *round) keepLetter(group string, m redis.XMessage) {
	e := stream.Entry{}
	e.ID, _ = stream.ParseID(m.ID)
	object, _ := m.Values["letter"].(string)
	event, _ := m.Values["event"].(string)
	e.Fields = []stream.Field{{Name: []byte("letter"), Value: []byte(object)}, {Name: []byte("event"), Value: []byte(event)}}
	letter, err := deadletter.Parse(e)
	if err != nil {
		r.violated("dead letter of %s: %v", group, err)
		return
	}
	var trade int64
	if _, err := fmt.Sscanf(event, `{"trade_id":%d,`, &trade); err != nil {
		r.violated("dead letter %s of %s does not hold what was published: %.200q", m.ID, group, event)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letters[group][trade] = string(letter.Stage)
}
