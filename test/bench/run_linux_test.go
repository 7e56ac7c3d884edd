package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// measure runs the program and returns what it has written, as a result and as
// text, and the tables that it has printed.
func measure(t *testing.T, opts options) (r result, text []byte, tables string) {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), opts, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(opts.json)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r, text, out.String()
}

// TestRun runs everything once with little to do. What it measures says
// nothing; that everything arrives does.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts, err := parseOptions([]string{
		"-entries", "2000", "-rounds", "1", "-groups", "1,2", "-deliveries", "2000", "-store-entries", "1500", "-rate", "1000", "-live-deliveries", "1000",
		"-dir", dir, "-json", filepath.Join(dir, "out", "bench.json"), "-svg", filepath.Join(dir, "out", "bench.svg"), "-many", "5",
	}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	opts.live, opts.idle = 200*time.Millisecond, 10*time.Millisecond
	r, text, _ := measure(t, opts)
	if len(r.Deliveries) != 2*len(contenders) || len(r.Live) != 2*len(contenders) || len(r.Stores) != 5 || r.Idle == nil || r.Crowd == nil {
		t.Errorf("something was not measured:\n%s", text)
	}
	for _, s := range r.Deliveries {
		if want := 2000 / s.Groups; s.Entries != want || !(s.Rate.Median > 0) || !(s.Peak.Median > 0) {
			t.Errorf("%s with %d groups: %+v, want %d entries a group and figures", s.Contender, s.Groups, s, want)
		}
	}
	for _, s := range r.Live {
		if s.Rounds[0].Count != 200 || s.PerSecond != 1000/s.Groups || !(s.P50.Median > 0) || s.P99.Median < s.P50.Median {
			t.Errorf("%s live: %+v", s.Contender, s)
		}
	}
	for _, s := range r.Stores {
		if s.Entries != 1500 || !(s.Rate.Median > 0) {
			t.Errorf("%s: %+v", s.Name, s)
		}
	}
	if _, err := os.Stat(opts.svg); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "fanout-bench-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

// TestIsolationRun: the measured groups get everything while those beside them
// hang, fail, are slow and are restarted.
func TestIsolationRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts, err := parseOptions([]string{
		"-isolation", "-entries", "2000", "-deliveries", "8000", "-rounds", "1", "-rate", "500", "-dir", dir, "-json", filepath.Join(dir, "bench.json"), "-svg", "",
	}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	opts.live = 1200 * time.Millisecond
	r, text, tables := measure(t, opts)
	if len(r.Isolation) != 2 || len(r.Deliveries)+len(r.Live)+len(r.Stores) > 0 || r.Idle != nil {
		t.Fatalf("measured is something else than isolation:\n%s", text)
	}
	for i, beside := range []string{theHealthy, theTroubled} {
		s := r.Isolation[i]
		if s.Beside != beside || len(s.Rounds) != 1 {
			t.Fatalf("row %d: %+v, want one round beside %s groups", i, s, beside)
		}
		one := s.Rounds[0]
		if one.Count != isolationGroups*600 || !(one.Rate > 0) || !(s.P99.Median > 0) || !(s.P99Ratio.Median > 0) || !(s.RateRatio.Median > 0) {
			t.Errorf("beside %s groups: %+v", beside, s)
		}
		if restarted := one.Restarts > 0; restarted != (beside == theTroubled) {
			t.Errorf("beside %s groups: %d restarts", beside, one.Restarts)
		}
		if !strings.Contains(tables, "beside 4 "+beside) {
			t.Errorf("the tables lack the groups beside %s ones:\n%s", beside, tables)
		}
	}
}

// TestSettled: what is read and not acknowledged does not count, nor does what
// the groups were made behind.
func TestSettled(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	s, err := startServer(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.fill(ctx, 1000); err != nil {
		t.Fatal(err)
	}
	settled := func(skip int, want int64) {
		t.Helper()
		if got, err := s.settled(ctx, eventsStream, skip); err != nil || got != want {
			t.Errorf("%d are settled, %v, want %d", got, err, want)
		}
	}
	for _, skip := range []int{0, 250} {
		if err := s.begin(ctx, eventsStream, names(2), skip); err != nil {
			t.Fatal(err)
		}
		settled(skip, 0)
		var ids []string
		for _, group := range names(2) {
			read, err := s.rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
				Group: group, Consumer: "c", Streams: []string{eventsStream, ">"}, Count: 10, Block: -1,
			}).Result()
			if err != nil {
				t.Fatal(err)
			}
			ids = nil
			for _, m := range read[0].Messages {
				ids = append(ids, m.ID)
			}
			if ids[0] != s.idOf(skip+1) {
				t.Errorf("the first entry is %s, want %s", ids[0], s.idOf(skip+1))
			}
		}
		settled(skip, 0)
		if err := s.rdb.XAck(ctx, eventsStream, names(2)[1], ids[:4]...).Err(); err != nil {
			t.Fatal(err)
		}
		settled(skip, 4)
	}
}
