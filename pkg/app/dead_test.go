package app_test

import (
	"fmt"
	"log/slog"
	"testing"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
	"example.com/fanout/test/redistest"
)

// What is counted is what is replayed or purged, whatever is buried meanwhile:
// letters that fail again would else be sent for ever.
func TestSurveyBoundsWhatIsDone(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	bury := func(n int) {
		t.Helper()
		for range n {
			s.Do(t, "XADD", "{events}:dead:g", "*", "letter", `{"stream":"events","group":"g","id":"1-1"}`, "event", "{}")
		}
	}
	m := &manifest.Manifest{
		Redis:  manifest.Redis{URL: telemetry.Secret(s.URL())},
		Groups: []manifest.Group{{Name: "g", Group: "g", Stream: "events"}},
	}
	d, err := app.OpenDeadLetters(m, "g", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()

	bury(3)
	survey, choice, err := d.Survey(t.Context(), app.Choice{})
	if err != nil || survey.Letters != 3 {
		t.Fatalf("survey %+v, %v", survey, err)
	}
	bury(2)
	if sent, err := d.Replay(t.Context(), choice, 0, func(int64) {}); sent != 3 || err != nil {
		t.Errorf("sent %d, %v, want 3", sent, err)
	}
	survey, choice, err = d.Survey(t.Context(), app.Choice{})
	if err != nil || survey.Letters != 2 || survey.Replaying != 3 {
		t.Fatalf("survey %+v, %v", survey, err)
	}
	bury(2)
	var shown []int64
	deleted, err := d.Purge(t.Context(), choice, func(n int64) { shown = append(shown, n) })
	if deleted != 2 || err != nil || fmt.Sprint(shown) != "[2]" {
		t.Errorf("deleted %d, %v, shown %v, want 2", deleted, err, shown)
	}
}
