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
)

// Config of a Server.
type Config struct {
	Controller Controller
	Metrics    http.Handler // for /metrics; nil: the path is not found
	Logger     *slog.Logger // nil: no logs
}

// Server is the admin server.
type Server struct {
	controller Controller
	metrics    http.Handler
	logger     *slog.Logger
	handler    http.Handler
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
	s := &Server{controller: cfg.Controller, metrics: cfg.Metrics, logger: cfg.Logger}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.handler = s.guard(s.routes())
	return s
}

// Listen listens on a loopback address such as 127.0.0.1:7600. Any other one is
// an error: whoever reaches the server may restart groups.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for admin requests: %w", err)
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		_ = l.Close()
		return nil, fmt.Errorf("listen for admin requests on %s: not a loopback address; use 127.0.0.1 or [::1]", addr)
	}
	return l, nil
}

// Serve answers requests on l until ctx is done, and closes l. Then it lets
// running requests end for at most two seconds and returns nil.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
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
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve admin requests: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		select {
		case <-ctx.Done():
		case <-served:
		}
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close() // what still runs had its time
		}
		return nil
	})
	return g.Wait()
}
