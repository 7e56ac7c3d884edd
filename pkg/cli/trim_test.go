package cli

import (
	"testing"
	"time"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
)

func TestPrintTrimmed(t *testing.T) {
	t.Parallel()
	at := func(ms uint64) stream.ID { return stream.ID{Ms: ms} }
	rules := manifest.Retention{Stream: "events", Rules: manifest.Rules{MaxLen: 10, MaxAge: time.Hour}}
	for name, test := range map[string]struct {
		trimmed redisstream.Trimmed
		dry     bool
		want    string
	}{
		"no stream": {redisstream.Trimmed{Missing: []string{"a"}}, false, "events: not in Redis yet\n"},
		"missing": {redisstream.Trimmed{There: true, Missing: []string{"a", "b"}, Length: 12, First: at(1), OverLen: 2}, false, `events: 0 entries trimmed; 12 left
events: nothing is trimmed while a group is missing in Redis: a, b
events: 2 entries more than max_len 10
`},
		"held": {redisstream.Trimmed{
			There: true, Entries: 1, Last: at(4), Length: 11, First: at(5), OverLen: 1, OverAge: time.Minute,
			Groups: []redisstream.Need{
				{Group: "a", Known: true, From: at(5), Pending: 2, OldestPending: at(5), Undelivered: -1, Idle: -1},
				{Group: "b\x1b", From: at(5), Undelivered: 3, Idle: 90 * time.Second},
				{Group: "c", From: at(3), Ignored: true, Idle: time.Hour},
			},
		}, true, `events: 1 entry would be trimmed, up to 4-0; 11 left
events: 1 entry more than max_len 10, needed by a, b\x1b
events: the oldest entry is 1m0s older than max_age 1h0m0s, needed by a, b\x1b
  GROUP  NEEDS FROM  PENDING  OLDEST PENDING  UNDELIVERED  IDLE
  a      5-0               2  5-0                 unknown  -
  b\x1b  5-0               0  -                         3  1m30s  not in groups.yaml
  c      3-0               0  -                         0  1h00m  ignored, idle
`},
		"dropped": {redisstream.Trimmed{
			There: true, Entries: 5, Last: at(5),
			Groups: []redisstream.Need{{Group: "a", Known: true, From: at(1), Idle: -1, LostUndelivered: 3, LostPending: 2, LostFrom: at(1), LostTo: at(5)}},
		}, true, `events: 5 entries would be trimmed, up to 5-0; 0 left
events: a would lose 3 undelivered and 2 pending entries between 1-0 and 5-0
  GROUP  NEEDS FROM  PENDING  OLDEST PENDING  UNDELIVERED  IDLE
  a      1-0               0  -                         0  -
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &caller{}
			e := c.newEnv()
			e.config = "groups.yaml"
			e.printTrimmed(rules, test.trimmed, test.dry)
			if got := c.out.String(); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
