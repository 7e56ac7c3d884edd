package handlertest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

const label = "handlertest"

// noGoroutines finds goroutines that Handle has started, directly or through
// others, and that outlive Close. They bear the label of the call that started
// them, so that tests which run at the same time do not disturb.
func noGoroutines(t *testing.T, cfg Config) {
	h, closeNow := cfg.open(t)
	name := fmt.Sprintf("%s@%p", t.Name(), t)
	pprof.Do(t.Context(), pprof.Labels(label, name), func(context.Context) {
		for i := range 3 {
			handle(t, h, cfg.batch(t, i*10, 10))
		}
	})
	closeNow()
	deadline := time.Now().Add(3 * time.Second)
	for {
		left := labelled(t, name)
		if left == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("goroutines that handle started are left after close:\n%s", left)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// labelled returns the stacks of the goroutines with that label.
func labelled(t *testing.T, name string) string {
	t.Helper()
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Fatalf("list goroutines: %v", err)
	}
	var found []string
	want := fmt.Sprintf("%q:%q", label, name)
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, want) {
			found = append(found, stack)
		}
	}
	return strings.Join(found, "\n\n")
}
