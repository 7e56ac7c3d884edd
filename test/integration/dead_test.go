package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/fanout/test/integration/faulty"
)

// listed is what `fanout dead list -o json` prints.
type listed struct {
	Group   string `json:"group"`
	Stream  string `json:"stream"`
	Letters []struct {
		LetterID string `json:"letter_id"`
		State    string `json:"state"`
		ID       string `json:"id"`
		Stage    string `json:"stage"`
		Class    string `json:"class"`
		Error    string `json:"error"`
		Attempts int    `json:"attempts"`
		Replays  int    `json:"replays"`
		First    string `json:"first_failure"`
		Last     string `json:"last_failure"`
	} `json:"letters"`
}

// dead runs `fanout dead` and wants exit code 0.
func (s *site) dead(args ...string) string {
	s.t.Helper()
	out, errs, code := deadCommand(s, args...)
	if code != 0 {
		s.t.Fatalf("dead %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

func deadCommand(s *site, args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	return commandAt(s, "127.0.0.1:0", append([]string{"dead"}, args...)...)
}

// commandAt runs a command of the binary that knows the handler "faulty".
func commandAt(s *site, admin string, args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	cmd := s.command(faultyBinary, admin, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		s.t.Fatalf("%s: %v", cmd, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (s *site) deadList(group string, args ...string) listed {
	s.t.Helper()
	var l listed
	out := s.dead(append([]string{"list", group, "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		s.t.Fatalf("dead list prints no JSON: %v\n%s", err, out)
	}
	return l
}

// letterless waits until a group has no letters.
func (s *site) letterless(within time.Duration, group string) {
	s.t.Helper()
	eventually(s.t, within, "lose its letters", func() error {
		if n := len(s.letters(group)); n > 0 {
			return fmt.Errorf("%s has %d letters", group, n)
		}
		return nil
	})
}

// twoGroups is a site with the groups a and b, where a cannot handle two of
// the twenty entries; it buries them in order.
func twoGroups(t *testing.T, settings ...string) (s *site, ids, bad []string) {
	t.Helper()
	s = newSite(t).manifest(faultyGroup("a", append(settings, "consumers: 1")...) + faultyGroup("b", settings...))
	all := events(trades(3, 20))
	all[4], all[9] = poison, poison
	ids = s.publish(all...)
	s.board.Steer("a", buries)
	return s, ids, []string{ids[4], ids[9]}
}

// What was buried is looked at and sent back without touching anybody else: the
// group that failed gets it as it was, and no other does.
func TestReplayReachesTheFailedGroupAlone(t *testing.T) {
	t.Parallel()
	s, ids, bad := twoGroups(t, "batch: {size: 4}")
	p := s.run().ready()
	s.settled(20*time.Second, "a", "b")
	s.buried(10*time.Second, "a", 2)
	noLetters(t, s, "b")

	status, _, _ := commandAt(s, p.admin, "status", "a")
	if !strings.Contains(status, "-replay reading") {
		t.Errorf("the status does not show who waits for replays:\n%s", status)
	}
	l := s.deadList("a")
	if l.Group != "a" || l.Stream != deadLetters("a") || len(l.Letters) != 2 {
		t.Fatalf("listed %+v", l)
	}
	for i, one := range l.Letters {
		if one.ID != bad[i] || one.State != "buried" || one.Stage != "handle" || one.Class != "permanent" || one.Replays != 0 {
			t.Errorf("letter %+v, want entry %s", one, bad[i])
		}
	}
	if got := s.deadList("a", "--reason", "timeout"); len(got.Letters) != 0 {
		t.Errorf("letters by a reason that none has: %+v", got)
	}
	if got := s.deadList("a", "--since", "1h", "--reason", "permanent", "--error", "told to"); len(got.Letters) != 2 {
		t.Errorf("letters by time, reason and error: %+v", got)
	}
	if got := s.deadList("a", "--until", "-1h"); len(got.Letters) != 0 {
		t.Errorf("letters of long ago: %+v", got)
	}
	if got := s.deadList("a", "--from", l.Letters[1].LetterID); len(got.Letters) != 1 {
		t.Errorf("letters from the second one on: %+v", got)
	}
	shown := s.dead("show", "a", l.Letters[0].LetterID)
	for _, want := range []string{bad[0], "permanent", "told to permanent", poison} {
		if !strings.Contains(shown, want) {
			t.Errorf("dead show lacks %q:\n%s", want, shown)
		}
	}
	if out := s.dead("replay", "a", "--dry-run"); !strings.Contains(out, "2 letters would go back to a") || !strings.Contains(out, bad[0]) {
		t.Errorf("dry run:\n%s", out)
	}

	s.board.Tell("a", faulty.Verdict{})
	before := len(s.board.Handled("b"))
	if out := s.dead("replay", "a", l.Letters[0].LetterID); !strings.Contains(out, "1 letter sent back to a") {
		t.Errorf("replay:\n%s", out)
	}
	eventually(t, 10*time.Second, "replay one", func() error {
		if n := len(s.letters("a")); n != 1 {
			return fmt.Errorf("%d letters", n)
		}
		return nil
	})
	s.dead("replay", "a")
	s.letterless(10*time.Second, "a")
	p.stop()

	s.onceEach("a", ids)
	if got := len(s.board.Handled("b")); got != before {
		t.Errorf("b handled %d entries during the replay", got-before)
	}
	var epoch string
	replayed := 0
	for _, h := range s.board.Handled("a") {
		if epoch == "" {
			epoch = h.Epoch
		}
		if h.Stream != eventsStream || h.Epoch != epoch {
			t.Errorf("%s came with stream %q and epoch %q, the others with %q and %q", h.ID, h.Stream, h.Epoch, eventsStream, epoch)
		}
		if h.Origin == "replayed" {
			replayed++
		}
	}
	if replayed != 2 {
		t.Errorf("%d deliveries were marked as replayed, want 2", replayed)
	}
}

// What fails again becomes a letter again, in place of the old one, which tells
// how often it was replayed and since when it fails.
func TestReplayThatFailsAgain(t *testing.T) {
	t.Parallel()
	s, _, bad := twoGroups(t, "batch: {size: 4}")
	p := s.run().ready()
	s.buried(20*time.Second, "a", 2)
	first := s.deadList("a")
	for n := 1; n <= 2; n++ {
		s.dead("replay", "a")
		eventually(t, 10*time.Second, "bury again", func() error {
			for _, one := range s.deadList("a").Letters {
				if one.Replays != n || one.State != "buried" {
					return fmt.Errorf("letter %+v", one)
				}
			}
			return nil
		})
	}
	again := s.deadList("a")
	if len(again.Letters) != 2 {
		t.Fatalf("%d letters, want 2", len(again.Letters))
	}
	for i, one := range again.Letters {
		was := first.Letters[i]
		if one.ID != was.ID || one.LetterID == was.LetterID || one.First != was.First || one.Last == was.Last {
			t.Errorf("letter %+v after two replays, it was %+v", one, was)
		}
	}
	noLetters(t, s, "b")
	s.board.Tell("a", faulty.Verdict{})
	s.dead("replay", "a")
	s.letterless(10*time.Second, "a")
	p.stop()
	s.all("a", bad)
}

// A process that is killed while it handles replays loses none: the next one
// takes them up at once, and the letters stay until then.
func TestKilledDuringReplay(t *testing.T) {
	t.Parallel()
	s, ids, bad := twoGroups(t, "batch: {size: 1}")
	p := s.run().ready()
	s.buried(20*time.Second, "a", 2)
	s.settled(20*time.Second, "a", "b")

	held := make(chan struct{})
	s.board.Tell("a", faulty.Verdict{Hold: held})
	s.dead("replay", "a")
	eventually(t, 10*time.Second, "handle a replay", func() error {
		if s.board.Waiting("a") == 0 {
			return fmt.Errorf("no call yet")
		}
		return nil
	})
	p.kill()
	close(held)
	s.board.Tell("a", faulty.Verdict{})
	l := s.deadList("a")
	if len(l.Letters) != 2 || l.Letters[0].State != "replaying" || l.Letters[1].State != "replaying" {
		t.Fatalf("after the kill: %+v", l)
	}
	if out := s.dead("replay", "a"); !strings.Contains(out, "0 letters sent back") || !strings.Contains(out, "2 letters on the way back already") {
		t.Errorf("a replay of what is on its way:\n%s", out)
	}
	if out := s.dead("purge", "a", "--yes"); !strings.Contains(out, "0 letters of a deleted") {
		t.Errorf("a purge of what is on its way:\n%s", out)
	}

	p = s.run().ready()
	s.letterless(20*time.Second, "a") // min_idle is a minute
	p.stop()
	s.all("a", append(ids[:0:0], bad...))
	s.onceEach("b", ids)
}

// A replay that hangs through a restart of the group keeps its entry; what
// comes back after it goes to a consumer of another name.
func TestReplayThatHangs(t *testing.T) {
	t.Parallel()
	s, ids, bad := twoGroups(t, "batch: {size: 1}", "drain_timeout: 0s")
	p := s.run().ready()
	s.buried(20*time.Second, "a", 2)
	s.settled(20*time.Second, "a", "b")
	held := make(chan struct{})
	s.board.Steer("a", func(c faulty.Call) faulty.Verdict {
		if c.Deliveries[0].ID == bad[0] {
			return faulty.Verdict{Hold: held, Deaf: true}
		}
		return faulty.Verdict{}
	})
	first := s.deadList("a").Letters[0].LetterID
	s.dead("replay", "a", first)
	eventually(t, 10*time.Second, "handle the replay", func() error {
		if s.board.Waiting("a") == 0 {
			return fmt.Errorf("no call yet")
		}
		return nil
	})
	if _, errs, code := commandAt(s, p.admin, "restart", "a"); code != 0 {
		t.Fatalf("restart: exit code %d, %s", code, errs)
	}
	s.dead("replay", "a")
	eventually(t, 20*time.Second, "finish the other replay", func() error {
		if l := s.deadList("a").Letters; len(l) != 1 || l[0].LetterID != first || l[0].State != "replaying" {
			return fmt.Errorf("letters %+v", l)
		}
		return nil
	})
	close(held)
	s.letterless(20*time.Second, "a")
	p.stop()
	s.onceEach("a", ids)
}

// A letter is deleted for good, with no process running, and only when somebody
// said so.
func TestPurge(t *testing.T) {
	t.Parallel()
	s, _, _ := twoGroups(t, "batch: {size: 4}")
	p := s.run().ready()
	s.buried(20*time.Second, "a", 2)
	s.settled(20*time.Second, "a", "b")
	p.stop()
	s.redis.Do(t, "XADD", deadLetters("a"), "*", "somebody", "else")

	l := s.deadList("a")
	if len(l.Letters) != 3 || l.Letters[2].State != "not a letter" {
		t.Fatalf("listed %+v", l)
	}
	if table := s.dead("list", "a"); strings.Count(table, "\n") != 4 || !strings.Contains(table, "not a letter") {
		t.Errorf("table:\n%s", table)
	}
	if _, errs, code := deadCommand(s, "purge", "a"); code != 2 || !strings.Contains(errs, "--yes") {
		t.Errorf("purge without a terminal: exit code %d, %s", code, errs)
	}
	s.dead("purge", "a", l.Letters[0].LetterID, "--yes")
	if got := s.deadList("a"); len(got.Letters) != 2 || got.Letters[0].LetterID != l.Letters[1].LetterID {
		t.Fatalf("after the purge of one: %+v", got)
	}
	if out := s.dead("purge", "a", "--yes"); !strings.Contains(out, "1 letter of a deleted") {
		t.Errorf("purge:\n%s", out)
	}
	if got := s.deadList("a"); len(got.Letters) != 1 || got.Letters[0].State != "not a letter" {
		t.Fatalf("after the purge of all: %+v", got)
	}
	s.dead("purge", "a", l.Letters[2].LetterID, "--yes")
	if n := s.redis.Do(t, "XLEN", deadLetters("a")); n != int64(0) {
		t.Errorf("%v entries are left", n)
	}

	for _, args := range [][]string{
		{"show", "a", l.Letters[0].LetterID},
		{"replay", "a", l.Letters[0].LetterID},
		{"purge", "a", l.Letters[0].LetterID, "--yes"},
	} {
		if _, errs, code := deadCommand(s, args...); code != 1 || !strings.Contains(errs, "fanout dead list a") {
			t.Errorf("%v of a letter that is gone: exit code %d, %s", args, code, errs)
		}
	}
	if _, errs, code := deadCommand(s, "list", "c"); code != 1 || !strings.Contains(errs, "a, b") {
		t.Errorf("list of a group that is not there: exit code %d, %s", code, errs)
	}
}

// With overflow: drop_oldest a group goes on when its letters are full, and
// counts what it drops.
func TestOldestLettersAreDropped(t *testing.T) {
	t.Parallel()
	s, _, bad := twoGroups(t, "batch: {size: 4}", "dead_letter: {max_len: 1, overflow: drop_oldest}")
	p := s.run().ready()
	s.settled(20*time.Second, "a", "b")
	if got := s.letters("a"); len(got) != 1 || got[bad[1]].ID != bad[1] {
		t.Errorf("letters %v, want that of %s alone", got, bad[1])
	}
	if n := p.metric("fanout_dead_letters_dropped_total", `group="a"`); n != 1 {
		t.Errorf("%v letters dropped in the metrics, want 1", n)
	}
	p.stop()
}
