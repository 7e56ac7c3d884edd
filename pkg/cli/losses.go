package cli

import (
	"fmt"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/telemetry"
)

// lossLine is one line on a loss: how many, where, and what may come again.
func lossLine(l admin.Loss, now time.Time) string {
	what := "some entries, perhaps"
	switch {
	case l.First == nil:
		what = "nothing"
	case l.Entries != nil && l.Certain:
		what = telemetry.Plural(*l.Entries, "entry")
	case l.Entries != nil:
		what = "at most " + telemetry.Plural(*l.Entries, "entry")
	}
	text := fmt.Sprintf("%s ago, %s: %s", ago(l.At, now), l.Reason, what)
	if l.First != nil {
		text += fmt.Sprintf(", %s to %s", l.First, l.Last)
	}
	if l.RepeatsFrom != nil {
		text += fmt.Sprintf("; %s to %s may come again", l.RepeatsFrom, l.RepeatsTo)
	}
	if l.Note != "" {
		text += " (" + printable(l.Note, 200) + ")"
	}
	return text
}
