package app

import (
	"fmt"
	"strings"
	"time"

	"example.com/fanout/pkg/admin"
)

// Condition is how the process is, in short.
type Condition struct {
	// Started: the groups have been started, or wait for a Redis that is away,
	// which no waiting for the start would mend.
	Started bool

	Alive bool   // no loop of ours hangs
	Text  string // one line for the operator
}

// Condition tells how the process is. It is what a service manager wants to
// know; see Status for the groups one by one.
func (a *App) Condition() Condition {
	a.mu.Lock()
	waiting, reloaded := a.waiting, a.reloaded
	a.mu.Unlock()
	c := Condition{Started: waiting != waitStart, Alive: true, Text: waiting}
	if waiting == "" {
		c.Alive = controller{a}.Health().Alive
		c.Text = a.summary()
	}
	if reloaded != nil && !reloaded.Done {
		first, _, _ := strings.Cut(reloaded.Error, "\n")
		c.Text = "reload refused, the groups before it run on (" + first + "); " + c.Text
	}
	return c
}

// summary is how many groups work, and why the first one does not that does not.
func (a *App) summary() string {
	groups := controller{a}.Groups()
	working, first := 0, ""
	for _, g := range groups {
		switch reasons := g.NotReady(); {
		case len(reasons) == 0:
			working++
		case first == "":
			first = g.Name + ": " + reasons[0]
		}
	}
	switch {
	case len(groups) == 0:
		return "no group is enabled, nothing runs"
	case first == "":
		return fmt.Sprintf("all groups work (%d)", working)
	}
	return fmt.Sprintf("%d of %d groups work; %s", working, len(groups), first)
}

// noteReload remembers what became of the latest reload.
func (a *App) noteReload(err error) {
	r := admin.LastReload{At: time.Now(), Done: err == nil}
	if err != nil {
		r.Error = err.Error()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reloaded = &r
}
