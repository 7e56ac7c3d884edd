package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress shows how far a long piece of work is, on a terminal only.
type progress struct {
	w     io.Writer // nil: nothing is shown
	total int64     // 0: not known
	began time.Time
	shown time.Time
}

func (e *env) newProgress(total int64) *progress {
	p := &progress{total: total, began: time.Now()}
	if e.terminal(e.err) {
		p.w = e.err
	}
	return p
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
		fmt.Fprintf(p.w, "\r\x1b[K%d  %.0f/s", n, rate)
		return
	}
	const width = 30
	bar := strings.Repeat("#", int(width*float64(n)/float64(p.total)))
	fmt.Fprintf(p.w, "\r\x1b[K[%-*s] %d/%d  %.0f/s", width, bar, n, p.total, rate)
}

// end leaves the line.
func (p *progress) end() {
	if p.w != nil && !p.shown.IsZero() {
		fmt.Fprintln(p.w)
	}
}
