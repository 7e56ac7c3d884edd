package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/fanout/pkg/telemetry"
)

// Config of a Server. What is nil among the first ones has no paths.
type Config struct {
	Controller Controller // needed
	Process    Process
	Letters    Letters
	Operator   Operator
	Feed       *telemetry.Feed
	Metrics    http.Handler // for /metrics
	Windows    Windows
	Live       Live
	Page       map[string]http.Handler // by its path; it holds no secrets and needs no token

	Version     string           // of the program, for the page
	Hosts       []string         // names of the server beside localhost and its addresses
	Token       telemetry.Secret // that clients must show; "" for none
	TokenFile   string           // holds it instead, read at each request
	MetricsOpen bool             // /metrics needs no token
	ReadOnly    bool             // requests that change something are refused
	Pprof       bool             // profiles under /debug/pprof

	Logger *slog.Logger // nil: no logs
}

// Server is the admin server.
type Server struct {
	cfg        Config
	controller Controller
	logger     *slog.Logger
	handler    http.Handler
	unread     telemetry.Repeat // the token's file cannot be read
	followers  chan struct{}    // holds one for each client of the event feed
	reads      chan struct{}    // holds one for each read of windows
	shown      shownGroups
	ending     chan struct{} // closed when Serve is asked to end
}

const (
	headerTimeout   = 5 * time.Second
	readTimeout     = 10 * time.Second
	writeTimeout    = 30 * time.Second
	idleTimeout     = 2 * time.Minute
	restartTimeout  = 10 * time.Second
	shutdownTimeout = 2 * time.Second

	maxHeader = 16 << 10
	maxBody   = 64 << 10
)

// New makes a Server.
func New(cfg Config) *Server {
	s := &Server{
		cfg: cfg, controller: cfg.Controller, logger: cfg.Logger,
		followers: make(chan struct{}, maxFollowers), reads: make(chan struct{}, windowReads), ending: make(chan struct{}),
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.unread = telemetry.Repeat{
		Logger: s.logger, Level: slog.LevelError,
		Begin: "admin token cannot be read, requests are refused", End: "admin token is read again",
	}
	s.handler = s.guard(s.routes())
	return s
}

// Listen listens on an address such as 127.0.0.1:7600.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for admin requests: %w", err)
	}
	return l, nil
}

// protected checks that nobody can reach l who need not show a token.
func (s *Server) protected(l net.Listener) error {
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && tcp.IP.IsLoopback() || s.cfg.Token != "" || s.cfg.TokenFile != "" {
		return nil
	}
	return fmt.Errorf("serve admin requests on %s: not a loopback address; set admin.token_file or listen on 127.0.0.1 or [::1]", l.Addr())
}

// Serve answers requests on l until ctx is done, and closes l. Then it lets
// running requests end for at most two seconds and returns nil. Where others
// than this machine can reach l it answers nothing without a token: that is an
// error. Serve is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if err := s.protected(l); err != nil {
		_ = l.Close()
		return err
	}
	server := &http.Server{
		Handler:                      s.handler,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
	}
	var g errgroup.Group
	served := make(chan struct{})
	g.Go(func() error {
		defer close(served)
		if err := server.Serve(bound(l, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve admin requests: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		select {
		case <-ctx.Done():
		case <-served:
		}
		close(s.ending)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close() // what still runs had its time
		}
		return nil
	})
	return g.Wait()
}
