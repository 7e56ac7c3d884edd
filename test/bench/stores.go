package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// stored is what one run into a store has shown.
type stored struct {
	Rate  float64 `json:"entries_per_second"`
	Ratio float64 `json:"ratio_to_bare"` // of the same round
	CPU   float64 `json:"client_cpu_seconds_per_million"`
	Peak  float64 `json:"client_peak_rss_mib"`
}

// storeSeries are the runs of one way to store.
type storeSeries struct {
	Name    string   `json:"name"`
	Entries int      `json:"entries"`
	Rate    spread   `json:"entries_per_second"`
	Ratio   spread   `json:"ratio_to_bare"`
	CPU     spread   `json:"client_cpu_seconds_per_million"`
	Peak    spread   `json:"client_peak_rss_mib"`
	Rounds  []stored `json:"rounds"`
}

func (s *storeSeries) sum() {
	s.Rate = collect(s.Rounds, func(r stored) float64 { return r.Rate })
	s.Ratio = collect(s.Rounds, func(r stored) float64 { return r.Ratio })
	s.CPU = collect(s.Rounds, func(r stored) float64 { return r.CPU })
	s.Peak = collect(s.Rounds, func(r stored) float64 { return r.Peak })
}

// shipped are the groups of groups.yaml with the files and tables that they
// write; the names are those of the shipped manifest.
var shipped = []struct{ name, group, file, table string }{
	{"sql", "persistence", "trades.db", "trades"},
	{"window", "analytics", "analytics.db", "market_minutes"},
}

// stores runs the shipped manifest: each group with a store alone, beside a
// bare loop that writes the same rows, and then all groups at once.
func (b *bench) stores(ctx context.Context) ([]*storeSeries, error) {
	stop := b.receive()
	defer stop()
	entries := min(b.opts.entries, b.opts.storeEntries)
	var all []*storeSeries
	of := func(name string) *storeSeries {
		s := &storeSeries{Name: name, Entries: entries}
		all = append(all, s)
		return s
	}
	for _, sh := range shipped {
		group, bare := of(sh.name), of(sh.name+", bare loop")
		for round := range b.opts.rounds {
			g, r, err := b.storeRound(ctx, sh.group, sh.file, sh.table, entries)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", sh.name, err)
			}
			g.Ratio, r.Ratio = g.Rate/r.Rate, 1
			group.Rounds, bare.Rounds = append(group.Rounds, g), append(bare.Rounds, r)
			b.say("%s, round %d: %.0f/s, %.2f of the bare loop\n", sh.name, round+1, g.Rate, g.Ratio)
		}
	}
	whole := of("groups.yaml")
	for round := range b.opts.rounds {
		s, err := b.wholeRound(ctx, entries)
		if err != nil {
			return nil, fmt.Errorf("groups.yaml: %w", err)
		}
		whole.Rounds = append(whole.Rounds, s)
		b.say("groups.yaml, round %d: %.0f trades/s through all groups\n", round+1, s.Rate)
	}
	for _, s := range all {
		s.sum()
	}
	return all, nil
}

// storeRound runs one group of the shipped manifest, then the bare loop on
// what it has stored.
func (b *bench) storeRound(ctx context.Context, group, file, table string, entries int) (g, bare stored, err error) {
	dir, drop, err := b.folder()
	if err != nil {
		return g, bare, err
	}
	defer drop()
	if g, err = b.shippedRun(ctx, dir, entries, []string{group}, "--group", group); err != nil {
		return g, bare, err
	}
	self, err := os.Executable()
	if err != nil {
		return g, bare, err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, self, "bare", "-from", filepath.Join(dir, "data", file), "-into", filepath.Join(dir, "bare.db"),
		"-table", table, "-skip", strconv.Itoa(b.opts.entries-entries), "-entries", strconv.Itoa(entries))
	cmd.Stdout = &out
	p, err := spawn(cmd)
	if err != nil {
		return g, bare, err
	}
	<-p.ended
	if p.cmd.ProcessState.ExitCode() != 0 {
		return g, bare, p.fault()
	}
	if err := json.Unmarshal(out.Bytes(), &bare); err != nil {
		return g, bare, fmt.Errorf("read what the bare loop says: %w", err)
	}
	return g, bare, nil
}

// wholeRound runs all groups of the shipped manifest. Its rate is that of
// trades that are through all of them.
func (b *bench) wholeRound(ctx context.Context, entries int) (s stored, err error) {
	dir, drop, err := b.folder()
	if err != nil {
		return s, err
	}
	defer drop()
	groups := []string{"analytics", "persistence", "notifications"}
	s, err = b.shippedRun(ctx, dir, entries, groups)
	s.Rate /= float64(len(groups))
	s.CPU *= float64(len(groups))
	return s, err
}

func (b *bench) shippedRun(ctx context.Context, dir string, entries int, groups []string, args ...string) (s stored, err error) {
	text, err := os.ReadFile(filepath.Join(b.root, "groups.yaml"))
	if err != nil {
		return s, fmt.Errorf("read the shipped manifest: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "groups.yaml"), text, 0o600); err != nil {
		return s, err
	}
	skip := b.opts.entries - entries
	if err := b.server.begin(ctx, eventsStream, groups, skip); err != nil {
		return s, err
	}
	client, err := b.startFanout(ctx, b.fanout, dir, args...)
	if err != nil {
		return s, err
	}
	defer client.kill()
	d, err := b.follow(ctx, client, eventsStream, skip, int64(entries*len(groups)))
	if err != nil {
		return s, err
	}
	if n, err := b.letters(ctx); err != nil || n > 0 {
		return s, errors.Join(fmt.Errorf("%d entries became dead letters", n), err)
	}
	return stored{Rate: d.Rate, CPU: d.ClientCPU, Peak: d.Peak}, client.stop()
}

// letters counts dead letters, which would be settled entries without a row.
func (b *bench) letters(ctx context.Context) (n int64, err error) {
	keys, err := b.server.rdb.Keys(ctx, "*:dead:*").Result()
	for _, key := range keys {
		length, lenErr := b.server.rdb.XLen(ctx, key).Result()
		n += length
		if lenErr != nil {
			err = lenErr
		}
	}
	return n, err
}

// receive takes the webhooks of the shipped manifest.
func (b *bench) receive() (stop func()) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	b.receiver = server.URL
	return server.Close
}
