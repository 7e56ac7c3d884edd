package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// delivered is what one run of one contender has shown.
type delivered struct {
	Rate       float64 `json:"deliveries_per_second"`
	Ratio      float64 `json:"ratio_to_limit"` // of the same round
	ClientCPU  float64 `json:"client_cpu_seconds_per_million"`
	ServerCPU  float64 `json:"server_cpu_seconds_per_million"`
	ServerBusy float64 `json:"server_busy"` // share of one core
	Peak       float64 `json:"client_peak_rss_mib"`
}

// series are the runs of one contender with one number of groups.
type series struct {
	Contender  string      `json:"contender"`
	Groups     int         `json:"groups"`
	Entries    int         `json:"entries_per_group"`
	Rate       spread      `json:"deliveries_per_second"`
	Ratio      spread      `json:"ratio_to_limit"`
	ClientCPU  spread      `json:"client_cpu_seconds_per_million"`
	ServerCPU  spread      `json:"server_cpu_seconds_per_million"`
	ServerBusy spread      `json:"server_busy"`
	Peak       spread      `json:"client_peak_rss_mib"`
	Rounds     []delivered `json:"rounds"`
}

func (s *series) sum() {
	s.Rate = collect(s.Rounds, func(d delivered) float64 { return d.Rate })
	s.Ratio = collect(s.Rounds, func(d delivered) float64 { return d.Ratio })
	s.ClientCPU = collect(s.Rounds, func(d delivered) float64 { return d.ClientCPU })
	s.ServerCPU = collect(s.Rounds, func(d delivered) float64 { return d.ServerCPU })
	s.ServerBusy = collect(s.Rounds, func(d delivered) float64 { return d.ServerBusy })
	s.Peak = collect(s.Rounds, func(d delivered) float64 { return d.Peak })
}

// deliveries runs all contenders with each number of groups, in turns: what
// else the machine does at a time falls on all of them.
func (b *bench) deliveries(ctx context.Context) ([]*series, error) {
	var all []*series
	for _, groups := range b.opts.groups {
		entries := min(b.opts.entries, max(b.opts.deliveries/groups, batchSize))
		of := map[string]*series{}
		for _, who := range contenders {
			of[who] = &series{Contender: who, Groups: groups, Entries: entries}
			all = append(all, of[who])
		}
		for round := range b.opts.rounds {
			results, err := inTurn(round, func(who string) (delivered, error) { return b.deliver(ctx, who, groups, entries) })
			if err != nil {
				return nil, fmt.Errorf("with %d groups: %w", groups, err)
			}
			for who, d := range results {
				d.Ratio = d.Rate / results[theLimit].Rate
				of[who].Rounds = append(of[who].Rounds, d)
			}
			b.say("%d groups, round %d: limit %.0f/s, fanout %.2f of it, go-redis %.2f\n", groups, round+1,
				results[theLimit].Rate, results[ours].Rate/results[theLimit].Rate, results[typed].Rate/results[theLimit].Rate)
		}
		for _, who := range contenders {
			of[who].sum()
		}
	}
	return all, nil
}

// deliver replays the last entries of the stream through groups.
func (b *bench) deliver(ctx context.Context, who string, groups, entries int) (d delivered, err error) {
	j := job{stream: eventsStream, groups: names(groups)}
	dir, drop, err := b.folder()
	if err != nil {
		return d, err
	}
	defer drop()
	skip := b.opts.entries - entries
	if err := b.server.begin(ctx, j.stream, j.groups, skip); err != nil {
		return d, err
	}
	client, err := b.start(ctx, who, dir, j)
	if err != nil {
		return d, err
	}
	defer client.kill()
	if who == ours && b.opts.profiles != "" {
		defer b.profile(ctx, fmt.Sprintf("%d-groups", groups))()
	}
	d, err = b.follow(ctx, client, j.stream, skip, int64(groups)*int64(entries))
	if err != nil {
		return d, err
	}
	return d, client.stop()
}

// moment is what there is to see at one time.
type moment struct {
	at             time.Time
	settled        int64
	client, server time.Duration
}

func (b *bench) look(ctx context.Context, client *process, stream string, skip int) (m moment, err error) {
	if err := client.fault(); err != nil {
		return m, err
	}
	settled, err1 := b.server.settled(ctx, stream, skip)
	used, err2 := client.cpu()
	server, err3 := b.server.cpu()
	return moment{time.Now(), settled, used, server}, errors.Join(err1, err2, err3)
}

// patience is how long a run may stand still.
const patience = 30 * time.Second

// follow asks the server how far the client is, until all is settled. Time and
// processor time count from the last answer that saw nothing settled: the
// start of the process is left out, the first batch is not.
func (b *bench) follow(ctx context.Context, client *process, stream string, skip int, total int64) (d delivered, err error) {
	var from, now moment
	for moved := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		before := now.settled
		if now, err = b.look(ctx, client, stream, skip); err != nil {
			return d, err
		}
		if now.settled == 0 || from.at.IsZero() {
			from = now
		}
		if now.settled >= total {
			break
		}
		if now.settled != before {
			moved = now.at
		}
		if now.at.Sub(moved) > patience {
			return d, fmt.Errorf("nothing was settled for %v; %d of %d are:\n%s", patience, now.settled, total, client.log.tail())
		}
	}
	if d.Peak, err = client.peak(); err != nil {
		return d, err
	}
	millions, seconds := float64(now.settled-from.settled)/1e6, now.at.Sub(from.at).Seconds()
	d.Rate = millions * 1e6 / seconds
	d.ClientCPU = (now.client - from.client).Seconds() / millions
	d.ServerCPU = (now.server - from.server).Seconds() / millions
	d.ServerBusy = (now.server - from.server).Seconds() / seconds
	return d, nil
}

// profile asks fanout for a profile of its processor time; what it returns
// waits for it.
func (b *bench) profile(ctx context.Context, run string) func() {
	name := filepath.Join(b.opts.profiles, "fanout-"+run+".pprof")
	done := make(chan error, 1)
	go func() {
		err := b.await(ctx, "/healthz")
		if err == nil {
			err = b.fetch(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", b.opts.profileSeconds), name)
		}
		done <- err
	}()
	return func() {
		if err := <-done; err != nil {
			b.say("no profile: %v\n", err)
		}
	}
}

// await asks the admin server until it answers with 200.
func (b *bench) await(ctx context.Context, path string) error {
	for deadline := time.Now().Add(patience); ; {
		asked := time.Now()
		err := b.fetch(ctx, path, "")
		if err == nil || time.Now().After(deadline) {
			return err
		}
		// What asking takes of the processor is not to be measured.
		time.Sleep(min(max(5*time.Millisecond, 4*time.Since(asked)), 50*time.Millisecond))
	}
}

// fetch gets a page of the admin server into a file, or looks at its status
// alone.
func (b *bench) fetch(ctx context.Context, path, name string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.admin+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, resp.Status)
	}
	if name == "" {
		return nil
	}
	return os.WriteFile(name, body, 0o600)
}
