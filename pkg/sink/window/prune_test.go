package window

import (
	"context"
	"database/sql"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
)

const hour = uint64(time.Hour / time.Millisecond)

// clockHours is where the clock of these tests stands, in hours since 1970;
// identities are kept for 100 hours.
const clockHours = 1000

func openCounting(t *testing.T) *sink {
	t.Helper()
	c := &Config{
		Size: time.Hour * 100_000, Measures: Measures{{Name: "n", Expr: "count()"}}, Create: true,
		Table: "totals", DSN: telemetry.Secret("sqlite:" + filepath.Join(t.TempDir(), "a.db")),
	}
	env := handlertest.Env(t, "g")
	env.Dedupe = 100 * time.Hour
	s, err := open(c, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.pruner.now = func() time.Time { return time.UnixMilli(clockHours * int64(hour)) }
	return s
}

// at makes deliveries with IDs at those hours.
func at(t *testing.T, epoch string, hours ...uint64) []handler.Delivery {
	t.Helper()
	var list []handler.Delivery
	for _, h := range hours {
		list = append(list, handlertest.Delivery(t, "s", epoch, stream.ID{Ms: h * hour}, `{}`))
	}
	return list
}

// handle takes a batch after which identities are forgotten if they may be.
func handle(t *testing.T, s *sink, lowWater stream.ID, list ...handler.Delivery) error {
	t.Helper()
	s.pruner.last = time.Time{}
	b := handlertest.Batch("g", list...)
	b.LowWater = lowWater
	return s.Handle(t.Context(), b)
}

func mustHandleAt(t *testing.T, s *sink, lowWater stream.ID, list ...handler.Delivery) {
	t.Helper()
	if err := handle(t, s, lowWater, list...); err != nil {
		t.Fatal(err)
	}
}

func wantTooOld(t *testing.T, err error) {
	t.Helper()
	if handler.MarkOf(err) != handler.MarkPermanent || !strings.Contains(err.Error(), "cannot be told whether it was counted") {
		t.Errorf("error %v with mark %d, want permanent: too old", err, handler.MarkOf(err))
	}
}

func query(t *testing.T, s *sink, query string) int {
	t.Helper()
	var n int
	err := s.store.Update(t.Context(), func(tx *sql.Tx) error { return tx.QueryRow(query).Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantSeen(t *testing.T, s *sink, want int) {
	t.Helper()
	if got := query(t, s, "SELECT count(*) FROM fanout_seen"); got != want {
		t.Errorf("%d identities are remembered, want %d", got, want)
	}
}

func wantCounted(t *testing.T, s *sink, want int) {
	t.Helper()
	if got := query(t, s, "SELECT sum(n) FROM totals"); got != want {
		t.Errorf("%d entries are counted, want %d", got, want)
	}
}

func TestWhatMayBeForgotten(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		lowWater stream.ID
		want     int // of the identities at hours 10, 500, 899, 900, 950
	}{
		{"low-water mark unknown", stream.ID{}, 5},
		{"all pending", stream.ID{Ms: 10*hour - 1}, 5},
		{"pending from the second on", stream.ID{Ms: 500 * hour}.Prev(), 4},
		{"the second is settled", stream.ID{Ms: 500 * hour}, 3},
		{"all settled, two not old enough", stream.ID{Ms: 2000 * hour}, 2},
	}
	for _, tt := range tests {
		s := openCounting(t)
		list := at(t, "e", 10, 500, 899, 900, 950)
		mustHandleAt(t, s, tt.lowWater, list...)
		wantSeen(t, s, tt.want)
		// Those that are remembered can come again, the others are refused.
		for i, d := range list {
			err := handle(t, s, tt.lowWater, d)
			if forgotten := i < len(list)-tt.want; forgotten {
				wantTooOld(t, err.(*handler.BatchError).Failed[0])
			} else if err != nil {
				t.Errorf("%s: delivery %d: %v", tt.name, i, err)
			}
		}
		wantCounted(t, s, 5)
	}
}

func TestOldHistoryIsCountedTheFirstTime(t *testing.T) {
	t.Parallel()
	s := openCounting(t)
	for h := uint64(1); h <= 300; h++ { // all older than what is kept
		mustHandleAt(t, s, stream.ID{Ms: (h - 1) * hour}, at(t, "e", h)...)
	}
	wantCounted(t, s, 300)
	wantSeen(t, s, 1)
}

func TestRefusedAloneAmongOthers(t *testing.T) {
	t.Parallel()
	s := openCounting(t)
	mustHandleAt(t, s, stream.ID{Ms: 20 * hour}, at(t, "e", 10, 20, 950)...) // 20 is the mark
	err := handle(t, s, stream.ID{}, at(t, "e", 15, 950, 951, 20, 952, 21)...)
	failed := err.(*handler.BatchError).Failed
	if len(failed) != 2 {
		t.Errorf("failed are %v, want 15 and 20", failed)
	}
	wantTooOld(t, failed[0])
	wantTooOld(t, failed[3])
	wantCounted(t, s, 6)
}

func TestEpochsAreForgottenApart(t *testing.T) {
	t.Parallel()
	s := openCounting(t)
	mustHandleAt(t, s, stream.ID{}, at(t, "old", 10, 20)...)
	// A replay of the old epoch says nothing about where that epoch's group is.
	replay := at(t, "old", 30)[0]
	replay.Origin = stream.Replayed
	mustHandleAt(t, s, stream.ID{Ms: 500 * hour}, append(at(t, "new", 10, 20), replay)...)
	if got := query(t, s, "SELECT group_concat(n) = '3,0' FROM (SELECT count(ms) n FROM fanout_sources LEFT JOIN fanout_seen ON source = id GROUP BY id ORDER BY id)"); got != 1 {
		t.Error("want the three identities of the old epoch remembered and none of the new")
	}
	mustHandleAt(t, s, stream.ID{}, at(t, "old", 10, 20, 30, 40)...)
	wantCounted(t, s, 6)

	// Two epochs at once leave open which one the mark is of.
	both := append(at(t, "old", 50), at(t, "newer", 50)...)
	mustHandleAt(t, s, stream.ID{Ms: 600 * hour}, both...)
	mustHandleAt(t, s, stream.ID{}, both...)
	wantCounted(t, s, 8)
}

func TestReplayedDeadLetters(t *testing.T) {
	t.Parallel()
	s := openCounting(t)
	replay := func(h uint64) []handler.Delivery {
		list := at(t, "e", h)
		list[0].Origin = stream.Replayed
		return list
	}
	mustHandleAt(t, s, stream.ID{Ms: 960 * hour}, at(t, "e", 10, 950, 960)...) // 20 and 955 were buried
	mustHandleAt(t, s, stream.ID{Ms: 960 * hour}, replay(955)...)
	mustHandleAt(t, s, stream.ID{Ms: 960 * hour}, replay(955)...) // replayed twice, counted once
	mustHandleAt(t, s, stream.ID{Ms: 960 * hour}, replay(20)...)  // above what was forgotten
	wantCounted(t, s, 5)
	mustHandleAt(t, s, stream.ID{Ms: 960 * hour}, at(t, "e", 970)...) // now 20 is forgotten
	wantTooOld(t, handle(t, s, stream.ID{Ms: 960 * hour}, replay(15)...).(*handler.BatchError).Failed[0])
	wantTooOld(t, handle(t, s, stream.ID{Ms: 960 * hour}, replay(20)...).(*handler.BatchError).Failed[0])
	wantCounted(t, s, 6)
}

func TestForgettingGoesInSteps(t *testing.T) {
	t.Parallel()
	s := openCounting(t)
	var list []handler.Delivery
	for i := range uint64(100) {
		list = append(list, handlertest.Delivery(t, "s", "e", stream.ID{Ms: i / 7, Seq: i % 7}, `{}`))
	}
	mustHandleAt(t, s, stream.ID{}, list...)
	for left := 100; left > 0; {
		forget(t, s, stream.ID{Ms: hour}, 30)
		left = max(left-30, 0)
		wantSeen(t, s, left)
		var known int
		for _, d := range list {
			if err := s.Handle(t.Context(), handlertest.Batch("g", d)); err == nil {
				known++
			}
		}
		if known != left {
			t.Errorf("%d entries are known, want %d", known, left)
		}
	}
	forget(t, s, stream.ID{Ms: hour}, 30) // nothing is left
	wantCounted(t, s, 100)
}

func forget(t *testing.T, s *sink, upTo stream.ID, limit int) {
	t.Helper()
	if err := s.store.Update(t.Context(), func(tx *sql.Tx) error {
		return s.ledger.forget(t.Context(), tx, "e", upTo, limit)
	}); err != nil {
		t.Fatal(err)
	}
}

func TestIDsBeyond63BitsAreNeverForgotten(t *testing.T) {
	t.Parallel()
	s := openCounting(t)
	ids := []stream.ID{{Ms: 1, Seq: 1}, {Ms: 1, Seq: math.MaxUint64}, {Ms: 2, Seq: math.MaxInt64}, {Ms: 2, Seq: math.MaxInt64 + 1}}
	var list []handler.Delivery
	for _, id := range ids {
		list = append(list, handlertest.Delivery(t, "s", "e", id, `{}`))
	}
	mustHandleAt(t, s, stream.MaxID, list...)
	wantSeen(t, s, 2)
	for i, d := range list {
		err := handle(t, s, stream.MaxID, d)
		if huge := d.ID.Seq > math.MaxInt64; huge != (err == nil) {
			t.Errorf("%s again: error %v", ids[i], err)
		}
	}
	wantCounted(t, s, 4)
}

func TestPrunerIsBounded(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_763_856_000_000)
	p := pruner{dedupe: time.Hour, now: func() time.Time { return now }, last: now}
	batch := func(n int) *handler.Batch {
		return &handler.Batch{Deliveries: make([]handler.Delivery, n), LowWater: stream.MaxID}
	}
	steps := []struct {
		n     int
		after time.Duration
		want  int
	}{
		{5000, 0, 0},
		{4999, time.Second, 0},
		{1, 0, 21_000},
		{1, 59 * time.Second, 0},
		{1, time.Second, 1004},
		{20_000, 0, 41_000},
	}
	for i, step := range steps {
		now = now.Add(step.after)
		upTo, limit := p.due(batch(step.n))
		if limit != step.want {
			t.Errorf("step %d: limit %d, want %d", i, limit, step.want)
		}
		if want := (stream.ID{Ms: uint64(now.Add(-time.Hour).UnixMilli())}).Prev(); limit > 0 && upTo != want {
			t.Errorf("step %d: up to %s, want %s", i, upTo, want)
		}
	}
}

// The statements of the hot path must find their rows by the primary key.
func TestStatementsUseTheKeys(t *testing.T) {
	t.Parallel()
	s := openCounting(t)
	tests := []struct{ query, want string }{
		{selectSeen + "(1, 2), (3, 4))", "source=? AND ms=? AND seq=?"},
		{s.table.selectWindows() + "(1, 'a'), (2, 3))", "fanout_group=? AND window_start=? AND key=?"},
		{oldestSeen, "source=? AND ms>?"},
		{deleteSeen, "source=? AND ms>?"},
		{selectSource, "tbl=? AND grp=? AND epoch=?"},
	}
	for _, tt := range tests {
		plan := explain(t, s, tt.query)
		if !strings.Contains(plan, tt.want) || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s\nthe plan is %s\nwant %q in it and no sorting", tt.query, plan, tt.want)
		}
	}
}

func explain(t *testing.T, s *sink, query string) string {
	t.Helper()
	var steps []string
	err := s.store.Update(context.Background(), func(tx *sql.Tx) error {
		rows, err := tx.Query("EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return err
			}
			steps = append(steps, detail)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "; ")
}
