package cli

import (
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/stream"
)

func TestLossLine(t *testing.T) {
	t.Parallel()
	now := time.Now()
	first, last := stream.ID{Ms: 5, Seq: 1}, stream.ID{Ms: 9}
	tests := map[string]struct {
		loss stream.Loss
		want string
	}{
		"certain":  {stream.Loss{Reason: stream.LossTrimmed, Certain: true, Entries: 1, First: first, Last: last}, "3m05s ago, trimmed: 1 entry, 5-1 to 9-0"},
		"possible": {stream.Loss{Reason: stream.LossDeleted, Entries: 12, First: first, Last: last}, "3m05s ago, deleted: at most 12 entries, 5-1 to 9-0"},
		"unknown": {
			stream.Loss{Reason: stream.LossGroupMissing, Entries: stream.Unknown, First: first, Last: last, Note: "it stood at\x1b[31m 5-0"},
			"3m05s ago, group_missing: some entries, perhaps, 5-1 to 9-0 (it stood at\\x1b[31m 5-0)",
		},
		"none": {
			stream.Loss{Reason: stream.LossGroupMissing, Entries: stream.Unknown, RepeatsFrom: first, RepeatsTo: last},
			"3m05s ago, group_missing: nothing; 5-1 to 9-0 may come again",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.loss.At = now.Add(-185 * time.Second)
			if got := lossLine(admin.LossOf(test.loss), now); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}
