package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/manifest"
)

// fakeProcess does what a test tells it.
type fakeProcess struct {
	serve   func(ctx context.Context) error
	reload  func(ctx context.Context) (manifest.Plan, error)
	restart func(number int) (string, error)
}

func (f *fakeProcess) Serve(ctx context.Context) error { return f.serve(ctx) }
func (f *fakeProcess) Reload(ctx context.Context) (manifest.Plan, error) {
	return f.reload(ctx)
}
func (f *fakeProcess) RestartBySignal(number int) (string, error) { return f.restart(number) }

// served runs serve over a fake process.
func served(t *testing.T, p *fakeProcess) (signals chan os.Signal, log *lockedBuffer, ended chan error) {
	t.Helper()
	log, signals, ended = &lockedBuffer{}, make(chan os.Signal), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() { ended <- serve(ctx, p, signals, slog.New(slog.NewTextHandler(log, nil))) }()
	return signals, log, ended
}

func untilDone(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func exitCode(err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	}
	return -1
}

func TestStopSignals(t *testing.T) {
	t.Parallel()
	unreturned := fmt.Errorf("group a: %w", consumer.ErrUnreturned)
	unconfirmed := errors.Join(errors.New("something else"), fmt.Errorf("group b: %w", consumer.ErrUnconfirmed))
	for _, test := range []struct {
		name  string
		serve func(context.Context) error
		send  []os.Signal
		code  int
	}{
		{"TERM", untilDone, []os.Signal{syscall.SIGTERM}, exitOK},
		{"INT", untilDone, []os.Signal{os.Interrupt}, exitOK},
		{"ends by itself", func(context.Context) error { return nil }, nil, exitOK},
		{"cannot start", func(context.Context) error { return errors.New("port taken") }, nil, exitFailure},
		{"a call did not return", func(ctx context.Context) error { <-ctx.Done(); return unreturned }, []os.Signal{syscall.SIGTERM}, exitUnclean},
		{"an ack is not confirmed", func(ctx context.Context) error { <-ctx.Done(); return unconfirmed }, []os.Signal{syscall.SIGTERM}, exitUnclean},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			signals, log, ended := served(t, &fakeProcess{serve: test.serve})
			for _, s := range test.send {
				signals <- s
			}
			if err := <-ended; exitCode(err) != test.code {
				t.Errorf("exit code %d, want %d: %v", exitCode(err), test.code, err)
			}
			last := regexp.MustCompile(fmt.Sprintf(`level=INFO msg=stopped exit=%d meaning="?%s"? ran=\S+s( duration=\S+s)?\n$`, test.code, exitMeanings[test.code]))
			found := last.FindStringSubmatch(log.String())
			if found == nil || (found[1] != "") != (len(test.send) > 0) {
				t.Errorf("the last line does not match %s:\n%s", last, log.String())
			}
		})
	}
}

// The second signal ends a process that hangs, at once.
func TestSecondSignalForces(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	defer close(hang)
	signals, log, ended := served(t, &fakeProcess{serve: func(context.Context) error { <-hang; return nil }})
	signals <- syscall.SIGTERM
	signals <- syscall.SIGTERM // one to the sender: timeout signals the process and its group
	time.Sleep(2 * oneSignal)
	select {
	case err := <-ended:
		t.Fatalf("ended by what is one signal: %v", err)
	default:
	}
	signals <- os.Interrupt
	began := time.Now()
	select {
	case err := <-ended:
		if exitCode(err) != exitForced {
			t.Errorf("exit code %d, want %d: %v", exitCode(err), exitForced, err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the second signal does not end it")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the second signal took %v", took)
	}
	contains(t, log.String(), "msg=stopping signal=terminated", `msg=stopped exit=3 meaning="forced, `)
}

func TestRestartSignals(t *testing.T) {
	t.Parallel()
	var got []int
	signals, log, ended := served(t, &fakeProcess{serve: untilDone, restart: func(number int) (string, error) {
		got = append(got, number)
		if number == 36 {
			return "billing", errors.New("group billing is disabled in the manifest")
		}
		return "audit", nil
	}})
	for _, s := range []syscall.Signal{35, 36, syscall.SIGUSR1, syscall.SIGTERM} {
		signals <- s
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint([]int{35, 36, int(syscall.SIGUSR1)}) {
		t.Errorf("restarts by the signals %v", got)
	}
	if strings.Count(log.String(), "signal restarts nothing") != 1 {
		t.Errorf("log:\n%s", log.String())
	}
	contains(t, log.String(), `signal=36 group=billing error="group billing is disabled in the manifest"`)
}

// Reloads run beside the signals, and those that come meanwhile are one.
func TestReloadSignals(t *testing.T) {
	t.Parallel()
	var reloads atomic.Int32
	gate, restarted := make(chan struct{}), make(chan struct{})
	signals, log, ended := served(t, &fakeProcess{
		serve: untilDone,
		reload: func(context.Context) (manifest.Plan, error) {
			switch reloads.Add(1) {
			case 1:
				<-gate
				return manifest.Plan{Start: []string{"new"}, Keep: []string{"audit"}, Warnings: []string{"redis.url needs a new start"}}, nil
			default:
				return manifest.Plan{}, manifest.Faults{
					{File: "g.yaml", Line: 3, Column: 1, Message: "first"}, {File: "g.yaml", Line: 4, Column: 1, Message: "second"},
					{File: "g.yaml", Line: 5, Column: 1, Message: "remark", Warning: true},
				}
			}
		},
		restart: func(int) (string, error) { close(restarted); return "audit", nil },
	})
	signals <- syscall.SIGHUP
	eventually(t, "reload", func() bool { return reloads.Load() == 1 })
	for range 5 {
		signals <- syscall.SIGHUP
	}
	signals <- syscall.Signal(35)
	<-restarted
	close(gate)
	eventually(t, "second reload", func() bool { return strings.Contains(log.String(), "g.yaml:4:1: second") })
	signals <- syscall.SIGTERM
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n := reloads.Load(); n != 2 {
		t.Errorf("%d reloads, want 2", n)
	}
	text := log.String()
	contains(t, text, `msg=reloaded start=[new] keep=[audit]`, `msg="reload is not complete" warning="redis.url needs a new start"`,
		`error="g.yaml:3:1: first"`, `error="g.yaml:4:1: second"`)
	if strings.Count(text, "reload refused, nothing has changed") != 2 || strings.Contains(text, "remark") {
		t.Errorf("log:\n%s", text)
	}
}

// A reload that a stop cuts off is no error.
func TestReloadDuringStop(t *testing.T) {
	t.Parallel()
	begun, returned := make(chan struct{}), make(chan struct{})
	signals, log, ended := served(t, &fakeProcess{
		serve: func(ctx context.Context) error { <-ctx.Done(); <-returned; return nil },
		reload: func(ctx context.Context) (manifest.Plan, error) {
			close(begun)
			<-ctx.Done()
			defer close(returned)
			return manifest.Plan{}, errors.New("the process is stopping")
		},
	})
	signals <- syscall.SIGHUP
	<-begun
	signals <- syscall.SIGTERM
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if strings.Contains(log.String(), "reload") {
		t.Errorf("log:\n%s", log.String())
	}
}

// Every signal that a manifest may name is listened to, so that none ends the
// process by its default action.
func TestWatched(t *testing.T) {
	t.Parallel()
	listened := map[os.Signal]bool{}
	for _, s := range watched() {
		listened[s] = true
	}
	for _, name := range []string{"35", "RTMIN+1", "RTMIN+30", "64", "USR1", "USR2"} {
		var s manifest.Signal
		if err := s.UnmarshalText([]byte(name)); err != nil {
			t.Fatal(err)
		}
		if !listened[syscall.Signal(s)] {
			t.Errorf("%s is not listened to", name)
		}
	}
	if listened[syscall.SIGQUIT] {
		t.Error("QUIT is the runtime's")
	}
}
