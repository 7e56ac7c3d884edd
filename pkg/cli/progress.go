package cli

import (
	"fmt"
	"io"
	"time"
)

// progress shows how far a long piece of work is, on a terminal only.
type progress struct {
	w     io.Writer
	total int64 // 0: not known
	began time.Time
	shown time.Time
}

func newProgress(w io.Writer, total int64) *progress {
	if !isTerminal(w) {
		w = nil
	}
	return &progress{w: w, total: total, began: time.Now()}
}

// update shows that n are done, at most ten times a second.
func (p *progress) update(n int64) {
	now := time.Now()
	if p.w == nil || now.Sub(p.shown) < 100*time.Millisecond && n != p.total {
		return
	}
	p.shown = now
	rate := float64(n) / max(now.Sub(p.began).Seconds(), 1e-3)
	if p.total == 0 {
		fmt.Fprintf(p.w, "\r\033[K%d  %.0f/s", n, rate)
		return
	}
	const width = 30
	full := int(width * n / p.total)
	fmt.Fprintf(p.w, "\r\033[K[%-*s] %d/%d  %.0f/s", width, "##############################"[:full], n, p.total, rate)
}

func (p *progress) end() {
	if p.w != nil && !p.shown.IsZero() {
		fmt.Fprintln(p.w)
	}
}
