// Package redistest starts real redis-servers for tests, each on a free port
// of 127.0.0.1 with a directory of its own. Servers end with their test, also
// when the test binary is killed (Linux). A redis-server that is missing fails
// the test; it is never skipped.
package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Patience is how long a server may take to start or to stop.
const Patience = 20 * time.Second

// Server is one redis-server. Its methods may be called from the goroutine of
// the test; Client, Addr and URL stay valid over Stop and Restart.
type Server struct {
	Port   int
	Dir    string // its working directory, where persistence and the log are
	Socket string // path of the unix socket; "" without [WithUnixSocket]
	TLS    Certs  // empty without [WithTLS]

	config config

	mu     sync.Mutex // guards proc
	proc   *process   // nil while stopped
	client *redis.Client
}

type config struct {
	args     []string
	tls      bool
	unix     bool
	user     string
	password string
}

// Option changes how a server is started.
type Option func(*config)

// WithArgs adds arguments to the command line, such as "--maxmemory", "10mb".
// They win over the defaults: no RDB snapshots, no append-only file.
func WithArgs(args ...string) Option {
	return func(c *config) { c.args = append(c.args, args...) }
}

// WithPersistence keeps the data over Stop, Kill and Restart in an append-only
// file. Every reply stands for data that a kill does not lose: without fsync
// Redis never puts a write off.
func WithPersistence() Option { return WithArgs("--appendonly", "yes", "--appendfsync", "no") }

// WithTLS makes the port speak TLS alone and ask for a client certificate; see
// Server.TLS.
func WithTLS() Option { return func(c *config) { c.tls = true } }

// WithUnixSocket adds a unix socket, which URL then names.
func WithUnixSocket() Option { return func(c *config) { c.unix = true } }

// WithPassword protects the default user.
func WithPassword(password string) Option {
	return func(c *config) { c.password = password }
}

// WithUser adds a user who may do anything; the default user is turned off.
func WithUser(user, password string) Option {
	return func(c *config) { c.user, c.password = user, password }
}

// Start starts a server and waits until it answers.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := &Server{}
	for _, o := range opts {
		o(&s.config)
	}
	// Not t.TempDir: the path of a unix socket must stay short.
	dir, err := os.MkdirTemp("", "fanout-redis-")
	if err != nil {
		t.Fatalf("make the server's directory: %v", err)
	}
	t.Cleanup(func() {
		s.close()
		_ = os.RemoveAll(dir)
	})
	s.Dir = dir
	if s.config.unix {
		s.Socket = filepath.Join(dir, "redis.sock")
	}
	if s.config.tls {
		if s.TLS, err = newCerts(dir); err != nil {
			t.Fatalf("make certificates: %v", err)
		}
	}
	// Between the choice of a free port and the bind another process may take
	// it: then the server ends at once and the next port is tried.
	for range 20 {
		s.Port = freePort(t)
		if err = s.start(); err == nil || !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Addr is the host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// URL is the address in the form of the manifest's redis.url, with user and
// password. Certificates are not part of it.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redis", Host: s.Addr(), Path: "/0"}
	if s.config.tls {
		u.Scheme = "rediss"
	}
	if s.Socket != "" {
		u = url.URL{Scheme: "unix", Path: s.Socket}
	}
	switch {
	case s.config.user != "":
		u.User = url.UserPassword(s.config.user, s.config.password)
	case s.config.password != "":
		u.User = url.UserPassword("", s.config.password)
	}
	return u.String()
}

// Client is a client of the server, the same at each call, closed with the
// test.
func (s *Server) Client() *redis.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		s.client = s.newClient()
	}
	return s.client
}

// Do sends one command and fails the test on an error; a nil reply is nil.
func (s *Server) Do(t testing.TB, args ...any) any {
	t.Helper()
	v, err := s.Client().Do(context.Background(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatalf("%v: %v", args, err)
	}
	return v
}

// Stop ends the server with SIGTERM and waits for it. Data stays with
// [WithPersistence].
func (s *Server) Stop(t testing.TB) { s.end(t, syscall.SIGTERM) }

// Kill ends the server with SIGKILL and waits for it.
func (s *Server) Kill(t testing.TB) { s.end(t, syscall.SIGKILL) }

// Restart starts the server again on the same port with the same directory;
// a server that runs is stopped before.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// StartEmpty is Restart with all data gone.
func (s *Server) StartEmpty(t testing.TB) {
	t.Helper()
	s.Kill(t)
	for _, name := range []string{"appendonlydir", "dump.rdb"} {
		if err := os.RemoveAll(filepath.Join(s.Dir, name)); err != nil {
			t.Fatalf("remove data: %v", err)
		}
	}
	s.Restart(t)
}

// Pause stops the server's process (SIGSTOP): connections stay, nothing
// answers.
func (s *Server) Pause(t testing.TB) { s.signal(t, syscall.SIGSTOP) }

// Resume undoes Pause.
func (s *Server) Resume(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *Server) newClient() *redis.Client {
	o := &redis.Options{
		Addr:            s.Addr(),
		Username:        s.config.user,
		Password:        s.config.password,
		DisableIdentity: true,
	}
	if s.config.tls {
		o.TLSConfig = s.TLS.clientConfig()
	}
	return redis.NewClient(o)
}

func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		// Below the range from which systems take the ports of outgoing
		// connections, so that Restart finds its port free.
		port := 15000 + rand.IntN(15000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port on 127.0.0.1")
	return 0
}

// process is a running redis-server; done is closed after it has ended.
type process struct {
	cmd    *exec.Cmd
	output bytes.Buffer // to be read after done
	done   chan struct{}
}

var errPortTaken = errors.New("port is taken")

func (s *Server) start() error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return errors.New("redis-server is not installed; install it with: scripts/install-redis.sh")
	}
	p := &process{cmd: exec.Command(path, s.args()...), done: make(chan struct{})}
	p.cmd.Dir = s.Dir
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.SysProcAttr = endWithParent()
	started := make(chan error, 1)
	go func() {
		// The server is tied to the life of the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	if err := s.await(p); err != nil {
		_ = p.cmd.Process.Kill()
		<-p.done
		return err
	}
	s.mu.Lock()
	s.proc = p
	s.mu.Unlock()
	return nil
}

// await waits until the process itself answers: another server on the same
// port has another process_id.
func (s *Server) await(p *process) error {
	c := s.newClient()
	defer c.Close()
	ours := fmt.Sprintf("process_id:%d\r", p.cmd.Process.Pid)
	deadline := time.Now().Add(Patience)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		info, err := c.Info(ctx, "server", "persistence").Result()
		cancel()
		if err == nil && strings.Contains(info, ours) && strings.Contains(info, "\nloading:0") {
			return nil
		}
		select {
		case <-p.done:
			if strings.Contains(p.output.String(), "Address already in use") {
				return errPortTaken
			}
			return fmt.Errorf("redis-server ended at once:\n%s", &p.output)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("redis-server did not answer within %v: %w", Patience, err)
		}
	}
}

func (s *Server) args() []string {
	args := []string{
		"--bind", "127.0.0.1", "--dir", s.Dir,
		"--save", "", "--appendonly", "no", "--loglevel", "warning",
	}
	port := strconv.Itoa(s.Port)
	if s.config.tls {
		args = append(args, "--port", "0", "--tls-port", port, "--tls-ca-cert-file", s.TLS.CAFile,
			"--tls-cert-file", s.TLS.serverCert, "--tls-key-file", s.TLS.serverKey)
	} else {
		args = append(args, "--port", port)
	}
	if s.Socket != "" {
		args = append(args, "--unixsocket", s.Socket)
	}
	switch {
	case s.config.user != "":
		args = append(args, "--user", s.config.user, "on", ">"+s.config.password, "~*", "&*", "+@all",
			"--user", "default", "off")
	case s.config.password != "":
		args = append(args, "--requirepass", s.config.password)
	}
	return append(args, s.config.args...)
}

func (s *Server) end(t testing.TB, sig syscall.Signal) {
	t.Helper()
	s.mu.Lock()
	p := s.proc
	s.proc = nil
	s.mu.Unlock()
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(Patience):
		_ = p.cmd.Process.Kill()
		<-p.done
		t.Fatalf("redis-server did not end within %v of %v", Patience, sig)
	}
}

func (s *Server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		t.Fatal("redis-server is not running")
	}
	if err := s.proc.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("signal redis-server: %v", err)
	}
}

func (s *Server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		_ = s.client.Close()
	}
	if s.proc != nil {
		_ = s.proc.cmd.Process.Kill()
		<-s.proc.done
	}
}
