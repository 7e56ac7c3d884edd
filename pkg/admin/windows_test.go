package admin_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"example.com/fanout/pkg/admin"
)

// slowWindows reads until it is let go.
type slowWindows struct {
	begun, goOn chan struct{}
}

func (w slowWindows) Windows(ctx context.Context, group string, _ admin.WindowQuery) (admin.WindowPage, error) {
	if group == "away" {
		return admin.WindowPage{}, &admin.Away{Reason: "no store", Hint: "put it back"}
	}
	w.begun <- struct{}{}
	select {
	case <-w.goOn:
		return admin.WindowPage{}, nil
	case <-ctx.Done():
		return admin.WindowPage{}, ctx.Err()
	}
}

func (w slowWindows) Keys(ctx context.Context, group string, _ admin.KeyQuery) (admin.KeyPage, error) {
	_, err := w.Windows(ctx, group, admin.WindowQuery{})
	return admin.KeyPage{}, err
}

// A few reads run at once; others are told to come later, and so are those whose
// store is away or too slow.
func TestReadsOfWindows(t *testing.T) {
	t.Parallel()
	w := slowWindows{make(chan struct{}, 100), make(chan struct{})}
	addr := serveWith(t, admin.Config{Controller: running("g", "away"), Windows: w})
	later := func(path, fault string) {
		t.Helper()
		r := ask(t, addr, "GET", path)
		v := r.json(t)
		if text, _ := v["error"].(string); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != "1" || !strings.Contains(text, fault) || v["hint"] == "" {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	later("/v1/groups/away/windows", "no store")
	later("/v1/groups/away/windows/keys", "no store")
	answers := make(chan reply, 10)
	for _, path := range []string{"/windows", "/windows/keys", "/windows"} {
		go func() { answers <- ask(t, addr, "GET", "/v1/groups/g"+path) }()
		<-w.begun
	}
	later("/v1/groups/g/windows", "others read windows already")
	if len(w.begun) != 0 {
		t.Error("a fourth read has begun")
	}
	close(w.goOn)
	for range 3 {
		if r := <-answers; r.status != http.StatusOK {
			t.Errorf("a read that was there before: %d %s", r.status, r.body)
		}
	}
	if r := ask(t, addr, "GET", "/v1/groups/g/windows"); r.status != http.StatusOK {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
}

// A read that takes too long is ended, and its place is free again.
func TestSlowRead(t *testing.T) {
	t.Parallel()
	w := slowWindows{make(chan struct{}, 100), make(chan struct{})}
	addr := serveWith(t, admin.Config{Controller: running("g"), Windows: w})
	if r := ask(t, addr, "GET", "/v1/groups/g/windows/keys"); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "deadline exceeded") {
		t.Errorf("%d %s", r.status, r.body)
	}
}
