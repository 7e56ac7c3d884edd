package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"example.com/fanout/pkg/sink/webhook"
)

const defaultInbox = "127.0.0.1:7601"

func (e *env) inboxCommand() *cobra.Command {
	var listen, secret string
	cmd := &cobra.Command{
		Use:   "inbox",
		Short: "Receive webhooks, verify their signatures, print them",
		Long: `Receive webhooks, verify their signatures, print one line each. The secret is
that of the webhook handler; without --secret it is taken from WEBHOOK_SECRET,
and without that nothing is verified. Ctrl-C ends it.`,
		Example: `  fanout inbox
  WEBHOOK_SECRET=whsec_... fanout inbox --listen 127.0.0.1:9000`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("secret") { // not its default, which the help would show
				secret = e.getenv("WEBHOOK_SECRET")
			}
			return interruptible(cmd.Context(), func(ctx context.Context) error { return e.inbox(ctx, listen, secret) })
		},
	}
	cmd.Flags().StringVar(&listen, "listen", defaultInbox, "listen on this `ADDRESS`")
	cmd.Flags().StringVar(&secret, "secret", "", "`SECRET` that signs the webhooks (default $WEBHOOK_SECRET)")
	return cmd
}

func (e *env) inbox(ctx context.Context, listen, secret string) error {
	p := &messagePrinter{w: e.out}
	receiver, err := webhook.NewReceiver(webhook.ReceiverConfig{Secret: secret, OnMessage: p.received})
	if err != nil {
		return usage("%w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fail(fmt.Errorf("open inbox: %w; --listen names another address", err))
	}
	verified := "signatures are verified"
	if secret == "" {
		verified = "nothing is verified without a secret"
	}
	fmt.Fprintf(e.err, "inbox listens at http://%s/, %s\n", listener.Addr(), verified)
	return fail(serveHTTP(ctx, listener, p.refusals(receiver)))
}

// messagePrinter prints what an inbox receives.
type messagePrinter struct {
	mu sync.Mutex
	w  io.Writer
}

const longestBody = 4096 // of what is printed

func (p *messagePrinter) received(m webhook.Message) {
	signed := "unsigned"
	if m.Verified {
		signed = "verified"
	}
	if m.Duplicate {
		signed += ", again"
	}
	sent := "-"
	if !m.Time.IsZero() {
		sent = m.Time.Local().Format(time.TimeOnly)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "%s %s %s %s (%s) %s\n", sent, orDash(m.Group), orDash(m.EntryID), orDash(m.ID), signed, printable(string(m.Body), longestBody))
}

// refusals prints the requests that next does not accept, which a sender with
// the wrong secret would else look for in vain.
func (p *messagePrinter) refusals(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &answerRecorder{ResponseWriter: w}
		next.ServeHTTP(seen, r)
		if seen.status < http.StatusBadRequest {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		fmt.Fprintf(p.w, "%s refused with %d: %s\n", time.Now().Format(time.TimeOnly), seen.status, printable(seen.text.String(), 200))
	})
}

// answerRecorder keeps the status of an answer, and its text if it is an error.
type answerRecorder struct {
	http.ResponseWriter
	status int
	text   bytes.Buffer
}

func (a *answerRecorder) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *answerRecorder) Write(b []byte) (int, error) {
	a.text.Write(bytes.TrimSpace(b))
	return a.ResponseWriter.Write(b)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// serveHTTP answers requests until ctx is done, and lets running ones end for at
// most two seconds then.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute}
	served, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group
	g.Go(func() error {
		defer stop()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve inbox: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-served.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(ending) != nil {
			_ = server.Close() // what still runs had its time
		}
		return nil
	})
	return g.Wait()
}
