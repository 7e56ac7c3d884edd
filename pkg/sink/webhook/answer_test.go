package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/sink/webhook"
)

func TestVerdicts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		want  handler.Mark
		codes []int
	}{
		{handler.MarkPermanent, []int{400, 413, 414, 415, 422}},
		{handler.MarkUnavailable, []int{401, 403, 404, 405, 407, 408, 410, 425, 429, 502, 503, 504, 301, 302, 304, 307, 308}},
		{handler.Unmarked, []int{402, 409, 418, 451}},
	}
	for _, tt := range tests {
		for _, code := range tt.codes {
			t.Run(fmt.Sprint(code), func(t *testing.T) {
				t.Parallel()
				s := serve(t, status(code))
				for _, change := range []func(*webhook.Config){signed, inBatches} {
					h := open(t, config(s.URL, change))
					err := h.Handle(t.Context(), trades(t, 0, 1))
					if err == nil || handler.MarkOf(err) != tt.want {
						t.Errorf("one event: %v has the mark %d, want %d", err, handler.MarkOf(err), tt.want)
					}
					if err != nil && !strings.Contains(err.Error(), fmt.Sprint(code)) {
						t.Errorf("%q does not name the status", err)
					}
				}
				want := tt.want
				if want == handler.MarkPermanent {
					want = handler.Unmarked // to be split: only one of them may be refused
				}
				h := open(t, config(s.URL, inBatches))
				err := h.Handle(t.Context(), trades(t, 0, 3))
				if named := (*handler.BatchError)(nil); err == nil || handler.MarkOf(err) != want || errors.As(err, &named) {
					t.Errorf("a batch: %v has the mark %d, want %d and none named", err, handler.MarkOf(err), want)
				}
			})
		}
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	for _, code := range []int{200, 201, 202, 204, 299} {
		s := serve(t, status(code))
		if err := open(t, config(s.URL)).Handle(t.Context(), trades(t, 0, 1)); err != nil {
			t.Errorf("%d: %v", code, err)
		}
	}
}

func wantMark(t *testing.T, err error, want handler.Mark) {
	t.Helper()
	if err == nil || handler.MarkOf(err) != want {
		t.Errorf("%v has the mark %d, want %d", err, handler.MarkOf(err), want)
	}
}

// Where the endpoint is away the rest of a batch is not tried.
func TestAwayEndsABatch(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) > 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	h := open(t, config(s.URL))
	err := h.Handle(t.Context(), trades(t, 0, 5))
	var named *handler.BatchError
	if !errors.As(err, &named) || len(named.Failed) != 4 {
		t.Fatalf("got %v, want the last four named", err)
	}
	for i := 1; i < 5; i++ {
		wantMark(t, named.Failed[i], handler.MarkUnavailable)
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
	// All of it: nothing is named, the whole call is held.
	if err := h.Handle(t.Context(), trades(t, 0, 5)); errors.As(err, &named) && err == error(named) {
		t.Errorf("%v names deliveries", err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const layout = http.TimeFormat
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name, value string
		want        time.Duration
	}{
		{"none", "", 0},
		{"seconds", "7", 7 * time.Second},
		{"zero", "0", 0},
		{"negative", "-5", 0},
		{"fraction", "1.5", 0},
		{"too many", "99999999999999999", 24 * time.Hour},
		{"far too many", "999999999999999999999999999", 0},
		{"date", noon.Add(90 * time.Second).Format(layout), 90 * time.Second},
		{"date gone by", noon.Add(-time.Hour).Format(layout), 0},
		{"date far away", noon.AddDate(50, 0, 0).Format(layout), 24 * time.Hour},
		{"nonsense", "soon", 0},
	}
	for _, tt := range tests {
		for _, code := range []int{429, 503, 500, 409} {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", noon.Format(layout)) // its clock is not ours
				if tt.value != "" {
					w.Header().Set("Retry-After", tt.value)
				}
				w.WriteHeader(code)
			})
			err := open(t, config(s.URL)).Handle(t.Context(), trades(t, 0, 1))
			if err == nil || handler.RetryAfterOf(err) != tt.want {
				t.Errorf("%s, %d: %v asks for %v, want %v", tt.name, code, err, handler.RetryAfterOf(err), tt.want)
			}
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t, nil)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/token-7?key=hidden", http.StatusPermanentRedirect)
	})
	err := open(t, config(s.URL, signed)).Handle(t.Context(), trades(t, 0, 1))
	wantMark(t, err, handler.MarkUnavailable)
	if want := "308 Permanent Redirect to " + elsewhere.URL + "/***; redirects are not followed, set url to the new address"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v does not say %q", err, want)
	}
	if n := len(elsewhere.got()); n != 0 {
		t.Errorf("the redirect was followed %d times", n)
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 300)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusConflict)
		switch r.URL.Path {
		case "/echo/t0ken":
			fmt.Fprint(w, r.URL, r.Header, strings.Repeat("x", 3000))
		case "/control":
			fmt.Fprint(w, "<b>\x1b[31m\r\n\t no\x00\xff\u202e</b>")
		case "/long":
			fmt.Fprint(w, long)
		}
	})
	text := func(path string) string {
		t.Helper()
		h := open(t, config(strings.Replace(s.URL, "://", "://ann:passw0rd@", 1)+path, signed, func(c *webhook.Config) {
			c.Headers = webhook.Headers{{Name: "X-Token", Value: "Token s3cret-t0ken"}}
		}))
		err := h.Handle(t.Context(), trades(t, 0, 1))
		if err == nil {
			t.Fatalf("%s: no error", path)
		}
		return err.Error()
	}
	echo := text("/echo/t0ken?key=querys3cret")
	for _, hidden := range []string{"passw0rd", "s3cret", "YW5uOnBhc3N3MHJk", "t0ken"} {
		if strings.Contains(echo, hidden) {
			t.Errorf("%q shows %q", echo, hidden)
		}
	}
	if !strings.Contains(echo, "409 Conflict: *** map[") || !strings.HasPrefix(echo, "post to "+s.URL+"/***: ") {
		t.Errorf("error is %q", echo)
	}
	if got, want := text("/control"), "409 Conflict: <b> [31m no \uFFFD </b>"; !strings.HasSuffix(got, want) {
		t.Errorf("error is %q, want %q at its end", got, want)
	}
	if got, want := text("/long"), "409 Conflict: "+long[:200]+"…"; !strings.HasSuffix(got, want) {
		t.Errorf("error is %q", got)
	}
}

// The cause of a ctx that ends meanwhile can be told, and is not a verdict.
func TestContext(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{handler.ErrStopping, handler.ErrTimeout} {
		arrived, release := make(chan struct{}, 1), make(chan struct{})
		s := serve(t, func(http.ResponseWriter, *http.Request) {
			arrived <- struct{}{}
			<-release
		})
		t.Cleanup(func() { close(release) }) // before the server is closed
		for n, size := range []int{1, 4} {
			h := open(t, config(s.URL))
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				<-arrived
				cancel(cause)
			}()
			err := h.Handle(ctx, trades(t, n*10, size))
			if !errors.Is(err, cause) || handler.MarkOf(err) != handler.Unmarked {
				t.Errorf("%d events: %v with mark %d, want %v, unmarked", size, err, handler.MarkOf(err), cause)
			}
			if err := h.Handle(ctx, trades(t, n*10, size)); !errors.Is(err, cause) {
				t.Errorf("ended before the call: %v, want %v", err, cause)
			}
		}
		if n := len(s.got()); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
	}
}

// A request that hangs is given up before the time of the call is up, and says
// nothing against its event; those behind it have their turn.
func TestDeadlineWithinABatch(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := serve(t, nil)
	slow := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	var calls atomic.Int64
	s.Config.Handler = s.record(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 2 {
			slow.Config.Handler.ServeHTTP(w, r)
		}
	})
	err := open(t, config(s.URL)).Handle(within(t, 200*time.Millisecond), trades(t, 0, 4))
	var named *handler.BatchError
	if !errors.As(err, &named) {
		t.Fatalf("got %v, want a batch error", err)
	}
	marks := map[int]handler.Mark{}
	for i, e := range named.Failed {
		marks[i] = handler.MarkOf(e)
	}
	want := map[int]handler.Mark{1: handler.MarkUnavailable}
	if fmt.Sprint(marks) != fmt.Sprint(want) {
		t.Errorf("marks are %v, want %v", marks, want)
	}
}

// An answer whose body never ends neither hangs the call nor changes its verdict.
func TestEndlessBody(t *testing.T) {
	t.Parallel()
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("more ", 1000)); err != nil {
				return
			}
		}
	}
	silent := func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	for name, body := range map[string]http.HandlerFunc{"endless": endless, "silent": silent} {
		for _, code := range []int{200, 409, 503} {
			t.Run(fmt.Sprint(name, code), func(t *testing.T) {
				t.Parallel()
				gone := make(chan struct{})
				s := serve(t, func(w http.ResponseWriter, r *http.Request) {
					defer close(gone)
					w.WriteHeader(code)
					body(w, r)
				})
				start := time.Now()
				err := open(t, config(s.URL)).Handle(t.Context(), trades(t, 0, 1))
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("took %v", took)
				}
				if (err == nil) != (code == 200) {
					t.Errorf("got %v", err)
				}
				if err != nil && len(err.Error()) > 400 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
				<-gone // the connection was given up
			})
		}
	}
}

func TestPermanentCodesAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	var permanent []int
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var code int
		fmt.Sscan(r.URL.Query().Get("code"), &code)
		w.WriteHeader(code)
	})
	for code := 200; code < 600; code++ {
		h := open(t, config(fmt.Sprintf("%s/?code=%d", s.URL, code)))
		if handler.MarkOf(h.Handle(t.Context(), trades(t, 0, 1))) == handler.MarkPermanent {
			permanent = append(permanent, code)
		}
	}
	if want := []int{400, 413, 414, 415, 422}; !slices.Equal(permanent, want) {
		t.Errorf("permanent are %v, want %v", permanent, want)
	}
}
