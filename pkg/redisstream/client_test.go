package redisstream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
	"example.com/fanout/test/redistest"
)

const password = "s3cr3t/?#@: pass"

func TestOpenTo(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		opts   []redistest.Option
		config func(t *testing.T, s *redistest.Server) redisstream.Config
	}{
		"redis":               {nil, nil},
		"unix":                {[]redistest.Option{redistest.WithUnixSocket()}, nil},
		"password in the URL": {[]redistest.Option{redistest.WithPassword(password)}, nil},
		"user in the URL":     {[]redistest.Option{redistest.WithUser("fan", password)}, nil},
		"user and unix":       {[]redistest.Option{redistest.WithUser("fan", password), redistest.WithUnixSocket()}, nil},
		"user beside the URL": {[]redistest.Option{redistest.WithUser("fan", password)}, func(_ *testing.T, s *redistest.Server) redisstream.Config {
			return redisstream.Config{URL: telemetry.Secret("redis://no:no@" + s.Addr()), Username: "fan", Password: password}
		}},
		"password file": {[]redistest.Option{redistest.WithPassword(password)}, func(t *testing.T, s *redistest.Server) redisstream.Config {
			path := filepath.Join(t.TempDir(), "password")
			write(t, path, password+"\n")
			return redisstream.Config{URL: telemetry.Secret("redis://" + s.Addr()), PasswordFile: path}
		}},
		"TLS": {[]redistest.Option{redistest.WithTLS()}, func(_ *testing.T, s *redistest.Server) redisstream.Config {
			return redisstream.Config{URL: telemetry.Secret(s.URL()), TLS: redisstream.TLS{CAFile: s.TLS.CAFile, CertFile: s.TLS.CertFile, KeyFile: s.TLS.KeyFile}}
		}},
		"TLS by another name": {[]redistest.Option{redistest.WithTLS()}, func(_ *testing.T, s *redistest.Server) redisstream.Config {
			return redisstream.Config{URL: telemetry.Secret(s.URL()), TLS: redisstream.TLS{CAFile: s.TLS.CAFile, CertFile: s.TLS.CertFile, KeyFile: s.TLS.KeyFile, ServerName: "localhost"}}
		}},
		"database": {nil, func(_ *testing.T, s *redistest.Server) redisstream.Config {
			return redisstream.Config{URL: telemetry.Secret("redis://" + s.Addr() + "/3")}
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, test.opts...)
			cfg := redisstream.Config{URL: telemetry.Secret(s.URL())}
			if test.config != nil {
				cfg = test.config(t, s)
			}
			c := openConfig(t, cfg)
			if err := c.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			g := c.Group(config())
			ensure(t, g)
			src := g.Source("a", g.Epoch())
			t.Cleanup(func() { _ = src.Close() })
			if _, err := consumertest.Take(t.Context(), src, 1, 0); err != nil {
				t.Fatal(err)
			}
			if name == "database" {
				s.Do(t, "SELECT", 0)
				if s.Do(t, "EXISTS", key) != int64(0) || !strings.HasSuffix(c.Addr(), "/3") {
					t.Errorf("%s: the stream is in another database", c.Addr())
				}
			}
			if strings.Contains(c.Addr(), "s3cr3t") {
				t.Errorf("the address is %s", c.Addr())
			}
		})
	}
}

// A password that is changed while the process runs is read from its file by
// the next connection.
func TestPasswordFileIsReadAgain(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.WithPassword("one"))
	path := filepath.Join(t.TempDir(), "password")
	write(t, path, "one")
	c := openConfig(t, redisstream.Config{URL: telemetry.Secret("redis://" + s.Addr()), PasswordFile: path})
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Do(t, "CONFIG", "SET", "requirepass", "two")
	s.Do(t, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	eventually(t, func() bool {
		err := c.Ping(t.Context())
		return err != nil && strings.Contains(redisstream.Describe(err), "WRONGPASS")
	})
	write(t, path, "two")
	eventually(t, func() bool { return c.Ping(t.Context()) == nil })
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	empty := filepath.Join(t.TempDir(), "empty")
	write(t, empty, "")
	tests := map[string]struct {
		cfg  redisstream.Config
		want string
	}{
		"no URL":            {redisstream.Config{}, "redis://"},
		"other scheme":      {redisstream.Config{URL: "http://u:s3cr3t@h"}, "must begin with"},
		"unescaped":         {redisstream.Config{URL: "redis://u:s3cr3t/x@h:6379"}, "percent-encoded"},
		"bad escape":        {redisstream.Config{URL: "redis://u:s3cr3t%zz@h:6379"}, "percent-encoded"},
		"no slashes":        {redisstream.Config{URL: "redis:s3cr3t"}, "redis://"},
		"database":          {redisstream.Config{URL: "redis://u:s3cr3t@h/x"}, "database"},
		"negative database": {redisstream.Config{URL: "redis://h/-1"}, "database"},
		"parameter":         {redisstream.Config{URL: "redis://h?pool_size=9"}, `"pool_size"`},
		"relative socket":   {redisstream.Config{URL: "unix://run/redis.sock"}, "absolute path"},
		"password file":     {redisstream.Config{URL: "redis://h", PasswordFile: missing}, missing},
		"TLS of redis://":   {redisstream.Config{URL: "redis://h", TLS: redisstream.TLS{CAFile: empty}}, "rediss://"},
		"missing CA":        {redisstream.Config{URL: "rediss://h", TLS: redisstream.TLS{CAFile: missing}}, missing},
		"empty CA":          {redisstream.Config{URL: "rediss://h", TLS: redisstream.TLS{CAFile: empty}}, empty},
		"half a pair":       {redisstream.Config{URL: "rediss://h", TLS: redisstream.TLS{CertFile: empty}}, "go together"},
		"bad pair":          {redisstream.Config{URL: "rediss://h", TLS: redisstream.TLS{CertFile: empty, KeyFile: empty}}, "certificate"},
	}
	for name, test := range tests {
		c, err := redisstream.Open(test.cfg)
		if err == nil || c != nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v, want %q and no password", name, err, test.want)
		}
	}
}

// What is wrong, and what mends it, in one line.
func TestDescribe(t *testing.T) {
	t.Parallel()
	plain := redistest.Start(t, redistest.WithPassword(password))
	secure := redistest.Start(t, redistest.WithTLS())
	full := redistest.Start(t, redistest.WithArgs("--maxclients", "1"))
	ping := func(cfg redisstream.Config) func(*testing.T) error {
		return func(t *testing.T) error { return openConfig(t, cfg).Ping(t.Context()) }
	}
	url := func(format string, args ...any) redisstream.Config {
		return redisstream.Config{URL: telemetry.Secret(fmt.Sprintf(format, args...))}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	mute, free := l.Addr().String(), freeAddr(t)
	certs := redisstream.TLS{CAFile: secure.TLS.CAFile, CertFile: secure.TLS.CertFile, KeyFile: secure.TLS.KeyFile}
	strange := certs
	strange.ServerName = "elsewhere.example"
	tests := map[string]struct {
		fault func(*testing.T) error
		want  string
	}{
		"nothing listens":        {ping(url("redis://%s", free)), "nothing listens"},
		"no password":            {ping(url("redis://%s", plain.Addr())), "redis.password"},
		"wrong password":         {ping(url("redis://:s3cr3t@%s", plain.Addr())), "refuses user or password"},
		"wrong user":             {ping(url("redis://u:s3cr3t@%s", plain.Addr())), "refuses user or password"},
		"database beyond":        {ping(redisstream.Config{URL: telemetry.Secret("redis://" + plain.Addr() + "/99"), Password: password}), "does not exist"},
		"TLS to a plain port":    {ping(url("rediss://%s", plain.Addr())), "does not speak TLS"},
		"plain to a TLS port":    {ping(url("redis://%s", secure.Addr())), "rediss://"},
		"unknown authority":      {ping(url("rediss://%s", secure.Addr())), "redis.tls.ca_file"},
		"no client certificate":  {ping(redisstream.Config{URL: telemetry.Secret(secure.URL()), TLS: redisstream.TLS{CAFile: certs.CAFile}}), "client certificate"},
		"another name":           {ping(redisstream.Config{URL: telemetry.Secret(secure.URL()), TLS: strange}), "redis.tls.server_name"},
		"no socket":              {ping(url("unix:///nowhere/redis.sock")), "/nowhere/redis.sock"},
		"a host without address": {ping(url("redis://nowhere.invalid")), "nowhere.invalid"},
		"too many clients": {func(t *testing.T) error {
			full.Do(t, "PING")
			return openConfig(t, redisstream.Config{URL: telemetry.Secret(full.URL())}).Ping(t.Context())
		}, "maxclients"},
		"a mute server": {func(t *testing.T) error {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			return openConfig(t, url("redis://%s", mute)).Ping(ctx)
		}, "does not answer in time"},
		"stopped":  {func(*testing.T) error { return fmt.Errorf("read: %w", context.Canceled) }, "stopped"},
		"reset":    {func(*testing.T) error { return &net.OpError{Op: "read", Err: syscall.ECONNRESET} }, "closed the connection"},
		"end":      {func(*testing.T) error { return io.ErrUnexpectedEOF }, "closed the connection"},
		"no group": {func(*testing.T) error { return fmt.Errorf("read: %w", stream.ErrNoGroup) }, "consumer group is missing"},
		"another":  {func(*testing.T) error { return errors.New("what is this") }, "what is this"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.fault(t)
			got := redisstream.Describe(err)
			if !strings.Contains(got, test.want) || strings.Contains(got, "\n") {
				t.Errorf("%v: %q, want %q", err, got, test.want)
			}
			if strings.Contains(got+fmt.Sprint(err), "s3cr3t") {
				t.Errorf("%v: %q shows a password", err, got)
			}
		})
	}
	if got := redisstream.Describe(nil); got != "" {
		t.Errorf("nil: %q", got)
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The client library writes nothing to stderr; its messages are in the log at
// debug level.
func TestLibraryLog(t *testing.T) {
	var stderr, debug bytes.Buffer
	log.SetOutput(&stderr)
	t.Cleanup(func() { log.SetOutput(io.Discard) })
	logger := slog.New(slog.NewTextHandler(&debug, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := openConfig(t, redisstream.Config{URL: telemetry.Secret("redis://" + freeAddr(t)), Logger: logger})
	if err := c.Ping(t.Context()); err == nil {
		t.Fatal("nothing listens there")
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr: %s", &stderr)
	}
	if !strings.Contains(debug.String(), "level=DEBUG") || !strings.Contains(debug.String(), "connection refused") {
		t.Errorf("log: %s", &debug)
	}
}

func TestServerInfo(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.WithArgs("--maxclients", "123"))
	got, err := open(t, s).Server(t.Context())
	if err != nil || got.Name != "redis" || !strings.Contains(got.Version, ".") || got.MaxClients != 123 || got.Simulated {
		t.Errorf("%+v, %v", got, err)
	}
	s.Do(t, "ACL", "SETUSER", "u", "on", ">pw", "~*", "+@all", "-info")
	got, err = openConfig(t, redisstream.Config{URL: telemetry.Secret(s.URL()), Username: "u", Password: "pw"}).Server(t.Context())
	if err != nil || got.Name != "redis" || got.Version != "" || got.Simulated {
		t.Errorf("without INFO: %+v, %v", got, err)
	}
}

func TestAppend(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	payloads := make([][]byte, 1234)
	for i := range payloads {
		payloads[i] = fmt.Append(nil, i)
	}
	if err := s.client.Append(t.Context(), key, "event", payloads, 0); err != nil {
		t.Fatal(err)
	}
	src := s.source("a")
	got, err := consumertest.Take(t.Context(), src, 2000, 0)
	if err != nil || len(got) != len(payloads) {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	for i, d := range got {
		if v, ok := d.Get("event"); !ok || !bytes.Equal(v, payloads[i]) || len(d.Fields) != 1 {
			t.Fatalf("entry %d: %q", i, d.Fields)
		}
	}
	if err := s.client.Append(t.Context(), key, "event", payloads, 100); err != nil {
		t.Fatal(err)
	}
	if n := s.do("XLEN", key).(int64); n > 400 {
		t.Errorf("%d entries, want about 100", n)
	}
	s.do("SET", "text", "x")
	if err := s.client.Append(t.Context(), "text", "event", payloads[:1], 0); err == nil || !strings.Contains(redisstream.Describe(err), "WRONGTYPE") {
		t.Errorf("wrong type: %v", err)
	}
}
