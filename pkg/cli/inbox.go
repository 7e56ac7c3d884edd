package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

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
and without that nothing is verified.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return e.inbox(ctx, listen, secret)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", defaultInbox, "address to listen on")
	cmd.Flags().StringVar(&secret, "secret", os.Getenv("WEBHOOK_SECRET"), "secret that signs the webhooks")
	cmd.Flags().Lookup("secret").DefValue = "$WEBHOOK_SECRET"
	return cmd
}

func (e *env) inbox(ctx context.Context, listen, secret string) error {
	var mu sync.Mutex
	receiver, err := webhook.NewReceiver(webhook.ReceiverConfig{Secret: secret, OnMessage: func(m webhook.Message) {
		mu.Lock()
		defer mu.Unlock()
		printMessage(e.out, m)
	}})
	if err != nil {
		return usage("%w", err)
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fail(fmt.Errorf("open inbox: %w", err))
	}
	fmt.Fprintf(e.err, "inbox listens at http://%s/\n", listener.Addr())
	return fail(serveHTTP(ctx, listener, receiver))
}

func printMessage(w io.Writer, m webhook.Message) {
	signed := "unsigned"
	if m.Verified {
		signed = "verified"
	}
	if m.Duplicate {
		signed += ", again"
	}
	fmt.Fprintf(w, "%s %s %s %s (%s) %s\n", m.Time.Local().Format(time.TimeOnly), m.Group, m.EntryID, m.ID, signed, m.Body)
}

// serveHTTP answers requests until ctx is done.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute}
	stopped := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = server.Shutdown(ending) // what does not end in time is cut off by the process's end
	})
	defer stopped()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
