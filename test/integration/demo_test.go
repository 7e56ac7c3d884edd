package integration

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The demo of the shipped manifest touches nothing that the environment names.
func TestDemoTouchesNothing(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile("../../groups.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := newDir(t).file("groups.yaml", string(shipped))
	outside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	met := make(chan string, 1)
	go func() {
		for {
			conn, err := outside.Accept()
			if err != nil {
				return
			}
			select {
			case met <- conn.RemoteAddr().String():
			default:
			}
			conn.Close()
		}
	}()
	address := outside.Addr().String()
	cmd := s.command(fanoutBinary, address, "demo") // the admin address is taken
	cmd.Env = append(cmd.Env,
		"REDIS_URL=redis://"+address+"/0", "WEBHOOK_URL=http://"+address+"/", "WEBHOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"DATABASE_URL=sqlite:"+s.path("outside/trades.db"), "ANALYTICS_DSN=sqlite:"+s.path("outside/analytics.db"))
	p := spawn(t, cmd, "")
	p.logs("\n0:02 ")
	p.signal(syscall.SIGINT)
	p.exit(15*time.Second, 0)
	text := p.log.String()
	for _, want := range []string{" trades in ", "\nanalytics ", "\npersistence ", "\nnotifications ", "stored in " + s.dir, "/analytics.db\n", "/trades.db\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the output", want)
		}
	}
	select {
	case from := <-met:
		t.Errorf("a connection from %s:\n%s", from, text)
	default:
	}
	if _, err := os.Stat(s.path("outside")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the files that the environment names: %v", err)
	}
	if _, err := os.Stat(s.path("data")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the state file of the manifest: %v", err)
	}

	// Nor is a store asked that could not even be used.
	cmd = s.command(fanoutBinary, "off", "demo", "--for", "1s")
	cmd.Env = append(cmd.Env, "DATABASE_URL=postgres://user:hunter2@"+address+"/trades")
	redirected := spawn(t, cmd, "")
	redirected.exit(30*time.Second, 0)
	if text := redirected.log.String(); !strings.Contains(text, "trades.db") || strings.Contains(text, "hunter2") {
		t.Errorf("ended with %s", text)
	}
	select {
	case from := <-met:
		t.Errorf("a connection from %s", from)
	default:
	}
}
