package integration

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// peakKiB is the most memory that the process has had.
func (p *process) peakKiB() int {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// Entries of a megabyte come when the consumers have learned to ask for many at
// once. Three groups with two consumers each would have to hold a gigabyte.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	const large, most = 400, 400 << 10 // entries, KiB
	s := newSite(t).manifest("  quiet:\n    handler: {log: {level: none}}\n" + rowsGroup + minutesGroup)
	s.publish(events(trades(9, 20_000))...)
	more := trades(10, large)
	for i := range more {
		more[i].TradeID += 1_000_000
	}
	for _, e := range events(more) {
		e = strings.TrimSuffix(e, "}") + `,"pad":"` + strings.Repeat("x", 1<<20) + `"}`
		if err := s.rdb.Do(context.Background(), "XADD", eventsStream, "*", "event", e).Err(); err != nil {
			t.Fatal(err)
		}
	}
	p := s.run().ready()
	s.settled(90*time.Second, "quiet", "rows", "minutes")
	s.rows("rows.db", "trades", 20_000+large)
	if peak := p.peakKiB(); peak > most {
		t.Errorf("the process has had %d MiB, want at most %d", peak>>10, most>>10)
	} else {
		t.Logf("the process has had %d MiB", peak>>10)
	}
	p.stop()
}
