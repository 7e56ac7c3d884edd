package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/test/integration/faulty"
)

// ask runs a command against a running process and wants an exit code.
func (p *process) ask(s *site, code int, args ...string) string {
	p.t.Helper()
	stdout, stderr, got := commandAt(s, p.admin, args...)
	if got != code {
		p.t.Errorf("%v ended with %d, want %d:\n%s%s", args, got, code, stdout, stderr)
	}
	return stdout + stderr
}

// says is ask that wants parts of what the command prints.
func (p *process) says(s *site, code int, parts []string, args ...string) {
	p.t.Helper()
	text := p.ask(s, code, args...)
	for _, part := range parts {
		if !strings.Contains(text, part) {
			p.t.Errorf("%v does not say %q:\n%s", args, part, text)
		}
	}
}

// answer decodes what a command prints with -o json.
func answer[T any](p *process, s *site, args ...string) (v T) {
	p.t.Helper()
	text := p.ask(s, 0, append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		p.t.Fatalf("%v prints no JSON: %v\n%s", args, err, text)
	}
	return v
}

// A paused group takes nothing new over a reload, its signal and time; the
// others go on, and the process stays ready.
func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	all := events(trades(21, 900))
	groups := func(timeout string) string {
		return faultyGroup("first", "restart_signal: 40", "timeout: "+timeout) + faultyGroup("second")
	}
	s := newSite(t).manifest(groups("1s"))
	p := s.run().ready()
	ids := s.publish(all[:300]...)
	s.settled(10*time.Second, "first", "second")

	p.says(s, 0, []string{"first is paused\n"}, "pause", "first")
	if code, text := p.request("POST", "/v1/groups/first/pause", ""); code != http.StatusOK || !strings.Contains(text, `"server":"redis `) {
		t.Errorf("a second pause answers %d %s", code, text)
	}
	ids = append(ids, s.publish(all[300:600]...)...)
	s.settled(10*time.Second, "second")
	p.signal(syscall.Signal(40))
	p.logs("group is not restarted, it rests")
	s.manifest(groups("2s"))
	p.signal(syscall.SIGHUP)
	p.logs(`"msg":"reloaded","replace":["first"]`)
	ids = append(ids, s.publish(all[600:]...)...)
	s.settled(10*time.Second, "second")
	p.ready()
	if n := len(s.board.Times("first")); n != 300 {
		t.Errorf("the paused group handled %d entries, want 300", n)
	}
	status := answer[admin.GroupStatus](p, s, "status", "first")
	if w := status.Suspended; status.State != "paused" || w == nil || w.State != "paused" || !strings.Contains(w.By, "@") || time.Since(w.Since) > time.Minute {
		t.Errorf("status %s, suspended %+v", status.State, w)
	}
	p.says(s, 0, []string{"paused", "fanout resume first lets it"}, "status", "first")

	p.says(s, 0, []string{"first is running\n"}, "resume", "first")
	s.settled(10*time.Second, "first", "second")
	s.onceEach("first", ids)
	s.onceEach("second", ids)
	if status := answer[admin.GroupStatus](p, s, "status", "first"); status.Suspended != nil || status.LastRestart != nil {
		t.Errorf("suspended %+v, restarted %+v", status.Suspended, status.LastRestart)
	}

	p.says(s, 1, []string{`unknown group "frst"`, "did you mean first?"}, "pause", "frst")
	p.says(s, 0, []string{"first is stopped\n"}, "stop", "first")
	p.says(s, 1, []string{"first is stopped (fanout start first lets it run again)"}, "resume", "first")
	p.says(s, 1, []string{"first is stopped"}, "pause", "first")
	p.ready()
	p.says(s, 0, []string{"first restarts"}, "restart", "first")
	p.says(s, 0, []string{"first is running\n"}, "start", "first")
	p.stop()
}

// The verbs over HTTP: what is wrong is told with what to do.
func TestVerbsOverHTTP(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("probe") + faultyGroup("asleep", "enabled: false"))
	p := s.run().ready()
	s.publish(events(trades(1, 10))...)
	s.settled(10*time.Second, "probe")
	for _, tt := range []struct {
		method, path, body string
		status             int
		has                string
	}{
		{"POST", "groups/probe/pause", `{"by": "a test"}`, 200, `"by":"a test"`},
		{"POST", "groups/probe/resume", "", 200, `"state":"running"`},
		{"GET", "groups/probe/position", "", 200, `"lag":0`},
		{"PUT", "groups/probe/position", `{"to": "earliest", "dry_run": true}`, 200, `"repeats":10`},
		{"GET", "groups/probe/pending?limit=5", "", 200, `"entries":[]`},
		{"GET", "explain/1-0", "", 200, `"state":"unknown"`},

		{"GET", "groups/probe/pause", "", 405, "use POST"},
		{"POST", "groups/probe/position", "{}", 405, "use GET, PUT"},
		{"POST", "groups/probe/pause", `{"who": 1}`, 400, "unknown field"},
		{"POST", "groups/nobody/pause", "", 404, "the groups are probe"},
		{"POST", "groups/asleep/start", "", 409, "remove enabled: false"},
		{"PUT", "groups/probe/position", `{"to": "earliest"}`, 409, "fanout pause probe first"},
		{"PUT", "groups/probe/position", `{"to": "tomorrow", "dry_run": true}`, 400, "want earliest"},
		{"PUT", "groups/probe/position", `{"to": "2999-01-01", "dry_run": true}`, 400, "in the future"},
		{"PUT", "groups/probe/position", `{"to": "99999999999999-0", "dry_run": true}`, 409, "the stream ends at"},
		{"PUT", "groups/probe/position", `{"rebuild": true, "dry_run": true}`, 409, "cannot be taken back"},
		{"PUT", "groups/probe/position", `{"rebuild": true, "to": "latest"}`, 400, "leave out to"},
		{"GET", "groups/probe/pending?min_idle=x", "", 400, "want a duration"},
		{"GET", "groups/probe/pending?after=x", "", 400, "not a stream ID"},
		{"GET", "groups/probe/pending?limit=0", "", 400, "want a number"},
		{"GET", "explain/x", "", 400, "not a stream ID"},
		{"GET", "explain/1-0?stream=other", "", 400, "no group of the manifest reads"},
	} {
		req, err := http.NewRequest(tt.method, "http://"+p.admin+"/v1/"+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		text := string(body)
		if resp.StatusCode != tt.status || !strings.Contains(text, tt.has) || tt.status >= 400 && !strings.Contains(text, `"hint":"`) {
			t.Errorf("%s %s %s answers %d %s, want %d with %q", tt.method, tt.path, tt.body, resp.StatusCode, text, tt.status, tt.has)
		}
	}
	p.stop()
}

// What a stopped group has begun goes to another process at once, long before
// claim.min_idle.
func TestStopGivesBack(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("shared", "batch: {size: 5}"))
	first := s.run("--instance", "first").ready()
	s.board.Steer("shared", func(c faulty.Call) faulty.Verdict {
		if c.PID == first.pid() {
			return faulty.Verdict{Act: faulty.Unavailable}
		}
		return faulty.Verdict{}
	})
	ids := s.publish(events(trades(3, 100))...)
	eventually(t, 10*time.Second, "hold entries in the first process", func() error {
		if len(s.pending("shared")) == 0 {
			return errors.New("none")
		}
		return nil
	})
	first.says(s, 0, []string{"shared is paused\n"}, "pause", "shared")
	second := s.run("--instance", "second").ready()
	eventually(t, 10*time.Second, "take what is new in the second", func() error { return s.hasReadAll("shared") })
	kept := s.pending("shared")
	for id, owner := range kept {
		if !strings.HasPrefix(owner, "first-") {
			delete(kept, id)
		}
	}
	if len(kept) == 0 {
		t.Error("the paused group keeps nothing")
	}
	first.says(s, 0, []string{"shared is stopped\n"}, "stop", "shared")
	s.settled(20*time.Second, "shared")
	s.onceEach("shared", ids)
	first.stop()
	second.stop()
}

// A seek repeats or skips exactly what its dry run has said.
func TestSeek(t *testing.T) {
	t.Parallel()
	all := trades(22, 1000)
	s := newSite(t).manifest(faultyGroup("probe") + rowsGroup)
	p := s.run().ready()
	ids := s.publish(events(all[:600])...)
	s.settled(10*time.Second, "probe", "rows")

	p.says(s, 0, []string{"probe stands at " + ids[599], "pending        0\n", "lag            0\n", "600 entries from " + ids[0]}, "seek", "probe")
	p.says(s, 0, []string{"would go on after " + ids[99], "repeats 500 entries"}, "seek", "probe", "--to", ids[99], "--dry-run")
	p.says(s, 1, []string{"neither paused nor stopped", "fanout pause probe first"}, "seek", "probe", "--to", ids[99])
	p.says(s, 2, []string{"--dry-run needs --to"}, "seek", "probe", "--dry-run")

	p.ask(s, 0, "pause", "probe")
	p.ask(s, 0, "stop", "rows")
	p.says(s, 0, []string{"probe goes on after " + ids[99], "repeats 500 entries", "fanout start probe lets it run"}, "seek", "probe", "--to", ids[99])
	p.says(s, 0, []string{"repeats 600 entries; a repeated entry leaves its row as it is"}, "seek", "rows", "--to", "-1h")
	if pos := answer[admin.Position](p, s, "seek", "probe"); pos.LastDelivered.String() != ids[99] || pos.LowWater.String() != ids[99] || pos.Lag == nil || *pos.Lag != 500 || *pos.EntriesRead != 100 {
		t.Errorf("position %+v", pos)
	}
	s.checkpointed("probe", ids[99])
	p.ask(s, 0, "resume", "probe")
	p.ask(s, 0, "start", "rows")
	s.settled(20*time.Second, "probe", "rows")
	times := s.board.Times("probe")
	for i, id := range ids {
		want := 1
		if i >= 100 {
			want = 2
		}
		if times[id] != want {
			t.Fatalf("entry %d was handled %d times, want %d", i, times[id], want)
		}
	}
	s.sameTrades("rows.db", all[:600])

	p.ask(s, 0, "pause", "probe")
	more := s.publish(events(all[600:])...)
	p.says(s, 0, []string{"skips 300 entries"}, "seek", "probe", "--to", more[299])
	p.ask(s, 0, "resume", "probe")
	s.settled(20*time.Second, "probe", "rows")
	times = s.board.Times("probe")
	for i, id := range more {
		if skipped := i < 300; skipped != (times[id] == 0) {
			t.Fatalf("entry %d was handled %d times", i, times[id])
		}
	}
	s.sameTrades("rows.db", all)
	for _, r := range p.log.since(0) {
		if strings.Contains(r.text("msg"), "lost") || r.text("level") == "ERROR" {
			t.Errorf("the log has %v", r)
		}
	}
	p.stop()
}

// A group that runs in another process is not moved.
func TestSeekOfSharedGroup(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("shared", "claim: {min_idle: 1500ms, interval: 200ms}"))
	first, second := s.run("--instance", "first").ready(), s.run("--instance", "second").ready()
	ids := s.publish(events(trades(5, 100))...)
	s.settled(10*time.Second, "shared")
	eventually(t, 20*time.Second, "read in both processes", func() error { // until then Redis does not know the second
		consumers, err := s.rdb.XInfoConsumers(context.Background(), eventsStream, "shared").Result()
		for _, c := range consumers {
			if strings.HasPrefix(c.Name, "second-") {
				return nil
			}
		}
		ids = append(ids, s.publish(events(trades(6, 1))...)...) // until one comes to it
		return fmt.Errorf("consumers %v, %w", consumers, err)
	})
	s.settled(10*time.Second, "shared")
	first.ask(s, 0, "pause", "shared")
	first.says(s, 1, []string{"another process runs shared: consumer second-", "pause the group there too"}, "seek", "shared", "--to", "earliest")
	second.ask(s, 0, "pause", "shared")
	eventually(t, 20*time.Second, "set the position", func() error {
		stdout, stderr, code := commandAt(s, first.admin, "seek", "shared", "--to", "earliest")
		if code != 0 {
			return errors.New(stdout + stderr)
		}
		return nil
	})
	second.ask(s, 0, "resume", "shared")
	s.settled(10*time.Second, "shared")
	for id, n := range s.board.Times("shared") {
		if n != 2 {
			t.Errorf("%s was handled %d times", id, n)
		}
	}
	s.all("shared", ids)
	first.stop()
	second.stop()
}

// A rebuild empties what a group has stored, whatever became of it, and builds
// it anew from the whole stream, or not at all.
func TestRebuild(t *testing.T) {
	t.Parallel()
	all := trades(23, 2000)
	s := newSite(t).manifest(minutesGroup + rowsGroup + faultyGroup("probe"))
	p := s.run().ready()
	ids := s.publish(events(all)...)
	s.settled(20*time.Second, "minutes", "rows", "probe")
	s.sameMinutes("minutes.db", "minutes", "minutes", all, ids)
	for _, group := range []string{"minutes", "rows"} {
		p.ask(s, 0, "stop", group)
	}
	s.change("minutes.db", "UPDATE minutes SET trades = trades + 1")
	s.change("rows.db", "DELETE FROM trades WHERE trade_id % 2 = 0")

	p.says(s, 0, []string{"repeats 2000 entries", "is deleted and built anew from all 2000 entries"}, "seek", "minutes", "--rebuild", "--dry-run")
	if rows := s.query("minutes.db", "SELECT * FROM minutes"); len(rows) == 0 {
		t.Fatal("the dry run has emptied the table")
	}
	p.says(s, 2, []string{"add --yes"}, "seek", "minutes", "--rebuild")
	p.says(s, 1, []string{"cannot be taken back"}, "seek", "probe", "--rebuild", "--yes")
	for _, group := range []string{"minutes", "rows"} {
		p.says(s, 0, []string{group + " goes on with the first entry"}, "seek", group, "--rebuild", "--yes")
		p.ask(s, 0, "start", group)
	}
	s.settled(20*time.Second, "minutes", "rows")
	s.sameMinutes("minutes.db", "minutes", "minutes", all, ids)
	s.sameTrades("rows.db", all)
	noLetters(t, s, "minutes", "rows")

	s.redis.Do(t, "XTRIM", eventsStream, "MAXLEN", 1999)
	p.ask(s, 0, "pause", "minutes")
	p.says(s, 1, []string{"no longer holds all of its entries"}, "seek", "minutes", "--rebuild", "--yes")
	s.sameMinutes("minutes.db", "minutes", "minutes", all, ids)
	p.says(s, 0, []string{"repeats 1999 entries", "1 entries that were ever added are not in the stream any more"}, "seek", "minutes", "--to", "earliest", "--dry-run")
	p.stop()
}

// A dry run of a window's seek warns of what the store may have forgotten.
func TestSeekBeyondDedupe(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(minutesGroup + "    dedupe: 1m\n")
	s.add("1763856000000-0", "event", events(trades(1, 1))[0])
	p := s.run().ready()
	s.settled(10*time.Second, "minutes")
	p.says(s, 0, []string{"repeats 1 entry; a repeated entry is not counted again", "older than dedupe (1m0s)", "become dead letters"},
		"seek", "minutes", "--to", "earliest", "--dry-run")
	p.stop()
}

// explain and pending tell the whole of what can be told of an entry.
func TestExplainAndPending(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("busy", "batch: {size: 1}", "consumers: 1", "timeout: 30s") + faultyGroup("late") + faultyGroup("done"))
	s.board.Steer("done", buries)
	p := s.run("--instance", "host").ready()
	p.ask(s, 0, "pause", "late")
	gone := s.publish(events(trades(1, 1))...)[0]
	s.settled(10*time.Second, "busy", "done")
	s.board.Steer("busy", func(faulty.Call) faulty.Verdict { return faulty.Verdict{Hold: faulty.Never} })
	held := s.publish(events(trades(1, 3))...)
	bad := s.publish(poison)[0]
	s.buried(20*time.Second, "done", 1)
	eventually(t, 10*time.Second, "hold entries", func() error {
		if _, ok := s.pending("busy")[held[0]]; !ok {
			return errors.New("not pending")
		}
		return nil
	})
	s.redis.Do(t, "XDEL", eventsStream, gone)
	s.redis.Do(t, "XGROUP", "CREATE", eventsStream, "stranger", "0")

	// An entry in a range that was reported lost says so.
	eventually(t, 20*time.Second, "explain the loss", func() error {
		if text := p.ask(s, 0, "explain", gone); !strings.Contains(text, "within a loss that was reported at ") || !strings.Contains(text, "Z: 1 entry (deleted) from ") {
			return errors.New(text)
		}
		return nil
	})
	for id, want := range map[string]string{
		gone:    "busy unknown, late gone, done unknown, stranger gone",
		held[0]: "busy pending, late not delivered, done settled, stranger not delivered",
		bad:     "busy not delivered, late not delivered, done dead, stranger not delivered",
		"5-0":   "busy unknown, late gone, done unknown, stranger gone",
	} {
		x := answer[admin.Explanation](p, s, "explain", id)
		var got []string
		for _, g := range x.Groups {
			state := g.State
			if g.Group == "busy" && id == bad && state == admin.EntryPending {
				state = admin.EntryWaiting // it may have been read ahead
			}
			got = append(got, g.RedisGroup+" "+state)
			if g.Group == "busy" && id == held[0] && (g.Consumer != "host-0" || g.Deliveries != 1 || g.Since == nil || time.Since(*g.Since) > time.Minute) {
				t.Errorf("pending: %+v", g)
			}
			if g.State == admin.EntryDead && (g.Letter == nil || !strings.Contains(g.Reason, "told to permanent")) {
				t.Errorf("dead: %+v", g)
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("explain %s: %s, want %s", id, strings.Join(got, ", "), want)
		}
	}
	p.says(s, 0, []string{held[0], "is in the stream", "GROUP", "pending", "under host-0 since 2", "; 1 delivery; in a call of the handler for ", "stranger (not in the manifest)"}, "explain", held[0])
	p.says(s, 2, []string{"want the ID of an entry"}, "explain", "x")

	page := answer[admin.PendingPage](p, s, "pending", "busy", "--limit", "1")
	if page.Total == 0 || len(page.Entries) != 1 || page.Entries[0].ID.String() != held[0] || len(page.Consumers) != 1 || page.Consumers[0].Name != "host-0" || page.Consumers[0].Pending != page.Total {
		t.Errorf("pending %+v", page)
	}
	p.says(s, 0, []string{"CONSUMER  PENDING\nhost-0 ", "ENTRY ", held[0] + "  host-0 "}, "pending", "busy", "--limit", "0")
	p.says(s, 0, []string{"no entry of it is meant"}, "pending", "busy", "--min-idle", "1h")
	p.says(s, 0, []string{"done has nothing pending"}, "pending", "done")
	s.board.Tell("busy", faulty.Verdict{})
}
