package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"example.com/fanout/pkg/exchange"
	"example.com/fanout/test/bench/probe"
)

const liveStream = "bench_live"

// lived is what one run at a fixed rate has shown.
type lived struct {
	probe.Latency         // microseconds, over all groups
	P50Ratio      float64 `json:"p50_to_limit"` // of the same round
	P99Ratio      float64 `json:"p99_to_limit"`
	Client        float64 `json:"client_busy"` // share of one core
	Server        float64 `json:"server_busy"`
}

// liveSeries are the runs of one contender.
type liveSeries struct {
	Contender string  `json:"contender"`
	Groups    int     `json:"groups"`
	PerSecond int     `json:"entries_per_second"`
	P50       spread  `json:"p50_us"`
	P90       spread  `json:"p90_us"`
	P99       spread  `json:"p99_us"`
	Max       spread  `json:"max_us"`
	P50Ratio  spread  `json:"p50_to_limit"`
	P99Ratio  spread  `json:"p99_to_limit"`
	Client    spread  `json:"client_busy"`
	Server    spread  `json:"server_busy"`
	Rounds    []lived `json:"rounds"`
}

// live measures how long entries are on their way at a fixed rate: from the
// moment before the producer writes XADD to the moment when the client's own
// code (in fanout the handler, behind payload and where) has them.
func (b *bench) live(ctx context.Context) ([]*liveSeries, error) {
	var all []*liveSeries
	for _, groups := range b.opts.groups {
		rate := max(1, min(b.opts.rate, b.opts.liveDeliveries/groups))
		of := map[string]*liveSeries{}
		for _, who := range contenders {
			of[who] = &liveSeries{Contender: who, Groups: groups, PerSecond: rate}
			all = append(all, of[who])
		}
		for round := range b.opts.rounds {
			results, err := inTurn(round, func(who string) (lived, error) { return b.liveRun(ctx, who, groups, rate) })
			if err != nil {
				return nil, fmt.Errorf("live with %d groups: %w", groups, err)
			}
			limit := results[theLimit]
			for who, l := range results {
				l.P50Ratio, l.P99Ratio = l.P50/limit.P50, l.P99/limit.P99
				of[who].Rounds = append(of[who].Rounds, l)
			}
			b.say("live, %d groups, round %d: p50 and p99 of limit %.0f and %.0f us, fanout %.2f and %.2f of it, go-redis %.2f and %.2f\n", groups, round+1,
				limit.P50, limit.P99, results[ours].P50/limit.P50, results[ours].P99/limit.P99, results[typed].P50/limit.P50, results[typed].P99/limit.P99)
		}
		for _, who := range contenders {
			of[who].sum()
		}
	}
	return all, nil
}

func (s *liveSeries) sum() {
	s.P50 = collect(s.Rounds, func(l lived) float64 { return l.P50 })
	s.P90 = collect(s.Rounds, func(l lived) float64 { return l.P90 })
	s.P99 = collect(s.Rounds, func(l lived) float64 { return l.P99 })
	s.Max = collect(s.Rounds, func(l lived) float64 { return l.Max })
	s.P50Ratio = collect(s.Rounds, func(l lived) float64 { return l.P50Ratio })
	s.P99Ratio = collect(s.Rounds, func(l lived) float64 { return l.P99Ratio })
	s.Client = collect(s.Rounds, func(l lived) float64 { return l.Client })
	s.Server = collect(s.Rounds, func(l lived) float64 { return l.Server })
}

func (b *bench) liveRun(ctx context.Context, who string, groups, rate int) (l lived, err error) {
	j := job{stream: liveStream, groups: names(groups), live: true}
	dir, drop, err := b.folder()
	if err != nil {
		return l, err
	}
	defer drop()
	if err := b.server.rdb.Del(ctx, liveStream).Err(); err != nil {
		return l, err
	}
	for _, g := range j.groups {
		if err := b.server.rdb.XGroupCreateMkStream(ctx, liveStream, g, "0").Err(); err != nil {
			return l, fmt.Errorf("make groups: %w", err)
		}
	}
	client, err := b.start(ctx, who, dir, j)
	if err != nil {
		return l, err
	}
	defer client.kill()
	if who == ours && b.opts.profiles != "" {
		defer b.profile(ctx, fmt.Sprintf("live-%d-groups", groups))()
	}
	out, err := newPublisher(b.server.addr, liveStream)
	if err != nil {
		return l, err
	}
	defer out.close()
	x := exchange.New(exchange.Config{Seed: seed})
	warm := max(1, int(min(b.opts.live/5, time.Second).Seconds()*float64(rate)))
	if err := pace(out, x, rate, 1, false); err != nil {
		return l, err
	}
	if _, err := b.follow(ctx, client, liveStream, 0, int64(groups)); err != nil { // all groups read
		return l, err
	}
	if err := pace(out, x, rate, warm-1, false); err != nil {
		return l, err
	}
	from, err := b.look(ctx, client, liveStream, 0)
	if err != nil {
		return l, err
	}
	n := int(b.opts.live.Seconds() * float64(rate))
	if err := pace(out, x, rate, n, true); err != nil {
		return l, err
	}
	to, err := b.look(ctx, client, liveStream, 0)
	if err != nil {
		return l, err
	}
	if err := b.server.added(ctx, out, liveStream, int64(warm+n)); err != nil {
		return l, err
	}
	if _, err := b.follow(ctx, client, liveStream, 0, int64(groups*(warm+n))); err != nil {
		return l, err
	}
	if err := client.stop(); err != nil {
		return l, err
	}
	text, err := os.ReadFile(filepath.Join(dir, report))
	if err != nil {
		return l, fmt.Errorf("read the latency: %w", err)
	}
	if err := json.Unmarshal(text, &l.Latency); err != nil {
		return l, fmt.Errorf("read the latency: %w", err)
	}
	if want := groups * n; l.Count != want {
		return l, fmt.Errorf("%d deliveries were measured, want %d", l.Count, want)
	}
	seconds := to.at.Sub(from.at).Seconds()
	l.Client = (to.client - from.client).Seconds() / seconds
	l.Server = (to.server - from.server).Seconds() / seconds
	return l, nil
}

// pace appends n trades at a fixed rate, each by itself: what is late because
// the producer was is not counted as the client's.
func pace(out *publisher, x *exchange.Exchange, rate, n int, measured bool) error {
	gap := time.Second / time.Duration(rate)
	start := time.Now()
	var event []byte
	for i := range n {
		if ahead := time.Until(start.Add(time.Duration(i) * gap)); ahead > 0 {
			time.Sleep(ahead)
		}
		var sent int64
		if measured {
			sent = time.Now().UnixNano()
		}
		event = exchange.AppendJSON(event[:0], x.Next())
		event = append(event[:len(event)-1], `,"`+probe.Sent+`":`...)
		event = append(strconv.AppendInt(event, sent, 10), '}')
		if err := out.add("*", event); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		if err := out.flush(); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return nil
}
