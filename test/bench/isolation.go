package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/exchange"
	"example.com/fanout/test/bench/probe"
)

// What is beside the groups that are measured: as many others, in trouble or
// healthy.
const (
	theTroubled = "troubled"
	theHealthy  = "healthy"
)

const isolationGroups = 4 // measured; there are as many beside them

// neighbours are the handlers of the groups beside, in trouble. The last one is
// healthy and restarted every second.
var neighbours = [isolationGroups]string{
	"{trouble: {kind: hang}}, timeout: 1s, drain_timeout: 1s",
	"{trouble: {kind: fail}}",
	"{trouble: {kind: slow}}",
	discards,
}

const discards = "{log: {level: none}}"

// isolated is what one run has shown of the measured groups.
type isolated struct {
	probe.Latency         // microseconds; Max is the longest stall
	Rate          float64 `json:"deliveries_per_second"` // of a backlog
	Restarts      int     `json:"restarts"`              // of the group beside that is restarted
}

// isolationSeries are the runs beside one kind of neighbours.
type isolationSeries struct {
	Beside    string     `json:"beside"`
	Groups    int        `json:"groups"`
	PerSecond int        `json:"entries_per_second"`
	Backlog   int        `json:"backlog_entries"`
	P50       spread     `json:"p50_us"`
	P99       spread     `json:"p99_us"`
	Stall     spread     `json:"longest_stall_us"`
	Rate      spread     `json:"deliveries_per_second"`
	P99Ratio  spread     `json:"p99_to_healthy"` // of the same round
	RateRatio spread     `json:"rate_to_healthy"`
	Rounds    []isolated `json:"rounds"`
}

// isolation measures healthy groups in one process with others: first how long
// entries are on their way at a fixed rate, then how fast a backlog goes. The
// kinds of neighbours change places from round to round.
func (b *bench) isolation(ctx context.Context) ([]*isolationSeries, error) {
	backlog := min(b.opts.entries, b.opts.deliveries/isolationGroups)
	of := map[string]*isolationSeries{}
	kinds := []string{theTroubled, theHealthy}
	for _, kind := range kinds {
		of[kind] = &isolationSeries{Beside: kind, Groups: isolationGroups, PerSecond: b.opts.rate, Backlog: backlog}
	}
	for round := range b.opts.rounds {
		for i := range kinds {
			kind := kinds[(i+round)%len(kinds)]
			r, err := b.isolationRun(ctx, kind, backlog)
			if err != nil {
				return nil, fmt.Errorf("beside %s groups: %w", kind, err)
			}
			of[kind].Rounds = append(of[kind].Rounds, r)
			b.say("isolation, round %d: beside %s groups p99 %.0f us, longest stall %.0f us, %.0f/s\n", round+1, kind, r.P99, r.Max, r.Rate)
		}
	}
	calm := of[theHealthy].Rounds
	for _, kind := range kinds {
		s := of[kind]
		s.P50 = collect(s.Rounds, func(r isolated) float64 { return r.P50 })
		s.P99 = collect(s.Rounds, func(r isolated) float64 { return r.P99 })
		s.Stall = collect(s.Rounds, func(r isolated) float64 { return r.Max })
		s.Rate = collect(s.Rounds, func(r isolated) float64 { return r.Rate })
		ratio := func(figure func(isolated) float64) spread {
			list := make([]float64, len(s.Rounds))
			for i := range list {
				list[i] = figure(s.Rounds[i]) / figure(calm[i])
			}
			return spreadOf(list)
		}
		s.P99Ratio = ratio(func(r isolated) float64 { return r.P99 })
		s.RateRatio = ratio(func(r isolated) float64 { return r.Rate })
	}
	return []*isolationSeries{of[theHealthy], of[theTroubled]}, nil
}

// isolationManifest has the measured groups and those beside them.
func isolationManifest(measured, beside []string, kind string) string {
	var text strings.Builder
	text.WriteString("version: 1\nredis: {url: \"${REDIS_URL}\"}\nadmin: {listen: \"${FANOUT_ADMIN}\"}\ndefaults: {stream: " + liveStream + "}\ngroups:\n")
	for _, name := range measured {
		fmt.Fprintf(&text, "  %s: {handler: probe, where: \"stake.value >= 0 and odds.ticks > 0\"}\n", name)
	}
	for i, name := range beside {
		handler := discards
		if kind == theTroubled {
			handler = neighbours[i]
		}
		fmt.Fprintf(&text, "  %s: {handler: %s}\n", name, handler)
	}
	return text.String()
}

func (b *bench) isolationRun(ctx context.Context, kind string, backlog int) (r isolated, err error) {
	all := names(2 * isolationGroups)
	measured, beside := all[:isolationGroups], all[isolationGroups:]
	dir, drop, err := b.folder()
	if err != nil {
		return r, err
	}
	defer drop()
	if err := b.server.begin(ctx, eventsStream, nil, 0); err != nil { // nothing of an earlier run is left
		return r, err
	}
	for _, g := range all {
		if err := b.server.rdb.XGroupCreateMkStream(ctx, liveStream, g, "0").Err(); err != nil {
			return r, fmt.Errorf("make groups: %w", err)
		}
	}
	text := isolationManifest(measured, beside, kind)
	if err := os.WriteFile(filepath.Join(dir, "groups.yaml"), []byte(text), 0o600); err != nil {
		return r, fmt.Errorf("write manifest: %w", err)
	}
	client, err := b.startFanout(ctx, b.probefanout, dir)
	if err != nil {
		return r, err
	}
	defer client.kill()
	out, err := newPublisher(b.server.addr, liveStream)
	if err != nil {
		return r, err
	}
	defer out.close()

	x := exchange.New(exchange.Config{Seed: seed})
	total := 0
	publish := func(rate, n int, timed bool) error {
		total += n
		if err := pace(out, x, rate, n, timed); err != nil {
			return err
		}
		return b.server.added(ctx, out, liveStream, int64(total))
	}
	if err := publish(b.opts.rate, 1, false); err != nil {
		return r, err
	}
	if _, err := b.through(ctx, client, measured, total); err != nil { // all of them read
		return r, err
	}
	stop := func() (int, error) { return 0, nil }
	if kind == theTroubled {
		stop = b.restartEvery(ctx, time.Second, beside[len(beside)-1])
	}
	warm := max(1, int(min(b.opts.live/5, 2*time.Second).Seconds()*float64(b.opts.rate)))
	n := int(b.opts.live.Seconds() * float64(b.opts.rate))
	err = errors.Join(publish(b.opts.rate, warm, false), publish(b.opts.rate, n, true))
	if err == nil {
		_, err = b.through(ctx, client, measured, total)
	}
	if err == nil {
		r.Rate, err = b.backlog(ctx, client, out, x, measured, total, backlog)
	}
	restarts, stopErr := stop()
	if err := errors.Join(err, stopErr); err != nil {
		return r, err
	}
	r.Restarts = restarts
	if err := b.endTroubled(client, kind); err != nil {
		return r, err
	}
	report, err := os.ReadFile(filepath.Join(dir, report))
	if err != nil {
		return r, fmt.Errorf("read the latency: %w", err)
	}
	if err := json.Unmarshal(report, &r.Latency); err != nil {
		return r, fmt.Errorf("read the latency: %w", err)
	}
	if want := isolationGroups * n; r.Count != want {
		return r, fmt.Errorf("%d deliveries were measured, want %d", r.Count, want)
	}
	return r, nil
}

// endTroubled ends the process; a hanging call makes its exit code another one.
func (b *bench) endTroubled(client *process, kind string) error {
	err := client.stop()
	if kind == theTroubled && client.hasEnded() {
		return nil
	}
	return err
}

// backlog appends entries as fast as can be and returns how many deliveries a
// second the groups make of them.
func (b *bench) backlog(ctx context.Context, client *process, out *publisher, x *exchange.Exchange, groups []string, before, n int) (float64, error) {
	start := time.Now()
	var event []byte
	for range n {
		event = exchange.AppendJSON(event[:0], x.Next())
		if err := out.add("*", event); err != nil {
			return 0, fmt.Errorf("publish: %w", err)
		}
	}
	if err := out.flush(); err != nil {
		return 0, fmt.Errorf("publish: %w", err)
	}
	end, err := b.through(ctx, client, groups, before+n)
	return float64(n*len(groups)) / end.Sub(start).Seconds(), err
}

// through waits until these groups have settled n entries each, and returns when
// that was.
func (b *bench) through(ctx context.Context, client *process, groups []string, n int) (time.Time, error) {
	last, moved := int64(-1), time.Now()
	for ; ; time.Sleep(5 * time.Millisecond) {
		if err := client.fault(); err != nil {
			return time.Time{}, err
		}
		list, err := b.server.rdb.XInfoGroups(ctx, liveStream).Result()
		if err != nil {
			return time.Time{}, fmt.Errorf("ask for the progress: %w", err)
		}
		var sum int64
		for _, g := range list {
			if slices.Contains(groups, g.Name) {
				sum += g.EntriesRead - g.Pending
			}
		}
		now := time.Now()
		switch {
		case sum >= int64(n*len(groups)):
			return now, nil
		case sum != last:
			last, moved = sum, now
		case now.Sub(moved) > patience:
			return now, fmt.Errorf("nothing was settled for %v; %d of %d are:\n%s", patience, sum, n*len(groups), client.log.tail())
		}
	}
}

// restartEvery restarts a group at intervals until it is stopped, and then tells
// how often it did.
func (b *bench) restartEvery(ctx context.Context, interval time.Duration, group string) (stop func() (int, error)) {
	ctx, cancel := context.WithCancel(ctx)
	var (
		ended sync.WaitGroup
		count int
		fault error
	)
	ended.Go(func() {
		client := admin.NewClient(b.admin)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := client.Restart(ctx, group); err != nil {
				if ctx.Err() == nil {
					fault = fmt.Errorf("restart %s: %w", group, err)
				}
				return
			}
			count++
		}
	})
	return func() (int, error) {
		cancel()
		ended.Wait()
		return count, fault
	}
}
