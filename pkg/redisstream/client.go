// Package redisstream makes every call to Redis. It is the only package that
// imports a Redis client.
//
// What it keeps, and why:
//
//   - No command is ever sent twice by itself: a repeated XREADGROUP would
//     return the next entries as if they were the first. Each failure is the
//     caller's to judge.
//   - Every consumer reads on a connection of its own; acknowledgements, claims
//     and control share a small pool, so that none of them waits for a reader
//     that blocks.
//   - A decision over more than one value is one script: owner and
//     acknowledgement, letter and acknowledgement, checkpoint and recreation.
//   - IDs are compared as numbers, never as floats: scripts keep them as text.
//   - No error shows a password.
package redisstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"example.com/fanout/pkg/telemetry"
)

// Config says how to reach one Redis server.
type Config struct {
	// URL is redis://[user:password@]host[:port][/db], rediss:// for TLS, or
	// unix://[user:password@]/path/to/socket[?db=n].
	URL telemetry.Secret

	Username     string           // wins over the URL's
	Password     telemetry.Secret // wins over the URL's
	PasswordFile string           // wins over both; read again for each new connection
	TLS          TLS              // for rediss:// alone

	// Logger gets the client library's own messages at debug level; what they
	// tell is in the errors too. Nil drops them. The library has one logger for
	// the whole process: the last Open with a Logger sets it.
	Logger *slog.Logger
}

// TLS holds PEM files. CertFile and KeyFile go together and are read again for
// each new connection.
type TLS struct {
	CAFile     string // certificates to trust instead of the system's
	CertFile   string // the client's certificate
	KeyFile    string // its key
	ServerName string // to expect in the server's certificate instead of the host
}

// The bounds of every wait for Redis.
const (
	// controlConns is the size of the pool that all but readers share.
	controlConns = 4

	// dialsAtOnce is how many readers connect at once: the queue in which a
	// server takes connections is short.
	dialsAtOnce = 16

	// dialTimeout bounds the connect with all that belongs to it, and
	// handshakeTimeout the TLS handshake within it.
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 3 * time.Second

	// replyTimeout bounds the wait for a reply, for the write of a command, and
	// for a connection of the pool; a reader's block comes on top.
	replyTimeout = 5 * time.Second

	// longBlock bounds one blocking read. It is also the bound of a stop where
	// a read cannot be ended from another connection.
	longBlock = 2 * time.Second

	// shortBlock takes its place where that is known beforehand.
	shortBlock = 250 * time.Millisecond
)

// Client is the way to one Redis server. It is safe for concurrent use.
type Client struct {
	options redis.Options // of every connection; copied, never changed
	rdb     *redis.Client // the control pool
	opened  time.Time
	token   string        // tells this Client's leases from all others
	tellers sync.Map      // *teller by stream and group
	shared  sync.Map      // *crowd by script and stream
	dialing chan struct{} // one element for each reader that connects
	reading chan struct{} // one element for each large read of a backlog

	ackers     lines        // to acknowledge on
	plainFrom  int          // entries
	plainAfter atomic.Int64 // not before this time, in Unix nanoseconds

	server atomic.Pointer[ServerInfo] // nil until the server has answered once
}

// Open makes a client. It reads the files that cfg names, and does not touch
// the network: a server that is away is the later calls' error.
func Open(cfg Config) (*Client, error) {
	o, err := options(cfg)
	if err != nil {
		return nil, fmt.Errorf("open redis: %w", err)
	}
	routeLibraryLog(cfg.Logger)
	control := *o
	control.PoolSize = controlConns
	control.ContextTimeoutEnabled = true
	c := &Client{
		options: *o, rdb: redis.NewClient(&control), opened: time.Now(), token: rand.Text(), dialing: make(chan struct{}, dialsAtOnce),
		reading: make(chan struct{}, readsAtOnce), plainFrom: plainAcks,
	}
	c.ackers.slots = make(chan struct{}, ackLines)
	c.ackers.create = func() *line { return &line{options: c.options, name: "fanout:acks", dialing: c.dialing} }
	return c, nil
}

// Close closes the connections of all but the readers: sources are closed before.
func (c *Client) Close() error {
	c.ackers.close()
	if err := c.rdb.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("close redis: %w", err)
	}
	return nil
}

// Pool tells how the connections are that all but readers share.
func (c *Client) Pool() telemetry.RedisStats {
	known, s := c.Known(), c.rdb.PoolStats()
	return telemetry.RedisStats{
		Server: known.Name, Version: known.Version,
		Connections: int64(s.TotalConns), Idle: int64(s.IdleConns),
		Hits: int64(s.Hits), Misses: int64(s.Misses), Timeouts: int64(s.Timeouts),
	}
}

// Addr names the server and database, without user and password.
func (c *Client) Addr() string { return fmt.Sprintf("%s/%d", c.options.Addr, c.options.DB) }

// Ping asks the server for an answer.
func (c *Client) Ping(ctx context.Context) error {
	return wrap("ping", c.rdb.Ping(ctx).Err())
}

// base are the options that do not depend on the configuration.
func base() *redis.Options {
	return &redis.Options{
		Protocol:           2, // no push messages
		MaxRetries:         -1,
		DialerRetries:      1,
		DialTimeout:        dialTimeout,
		ReadTimeout:        replyTimeout,
		WriteTimeout:       replyTimeout,
		PoolTimeout:        replyTimeout,
		PipelinePoolSize:   -1, // no second pool
		MaxConcurrentDials: controlConns,
		DisableIdentity:    true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
}

// libraryLog is where the client library's messages go. It is process-wide
// because the library's logger is.
var (
	libraryLog     atomic.Pointer[slog.Logger]
	libraryLogOnce sync.Once
)

type libraryLogger struct{}

func (libraryLogger) Printf(ctx context.Context, format string, args ...any) {
	if l := libraryLog.Load(); l != nil && l.Enabled(ctx, slog.LevelDebug) {
		l.DebugContext(ctx, "redis client", "message", fmt.Sprintf(format, args...))
	}
}

func routeLibraryLog(l *slog.Logger) {
	libraryLogOnce.Do(func() { redis.SetLogger(libraryLogger{}) })
	if l != nil {
		libraryLog.Store(l)
	}
}
