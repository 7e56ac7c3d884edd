package manifest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Plan is what makes the groups that run under one manifest those of another.
// All lists hold names of groups in the order of the new file, Stop in that of
// the old one. A group with enabled: false counts as absent.
//
// A group is adjusted and not replaced when only its number of consumers, its
// signal or its start differ; start is used only when a group is created.
type Plan struct {
	Start   []string `json:"start,omitempty"`
	Stop    []string `json:"stop,omitempty"`
	Replace []string `json:"replace,omitempty"` // drain and stop, then start with the new values
	Adjust  []string `json:"adjust,omitempty"`  // take over the new values without a restart
	Keep    []string `json:"keep,omitempty"`

	// Retention has the streams whose retention begins, changes or ends.
	Retention []string `json:"retention,omitempty"`

	// Changed has the keys that differ, by group, for Replace and Adjust.
	Changed map[string][]string `json:"changed,omitempty"`

	// Warnings say what the plan does not bring about.
	Warnings []string `json:"warnings,omitempty"`
}

// adjustable are the keys of a group whose change needs no restart of it.
var adjustable = []string{"consumers", "restart_signal", "start"}

// Diff compares two manifests. With a nil old manifest everything starts.
func Diff(old, new *Manifest) Plan {
	if old == nil {
		old = &Manifest{Redis: new.Redis, Admin: new.Admin, State: new.State}
	}
	before, after := enabled(old), enabled(new)
	var p Plan
	for i := range new.Groups {
		g := &new.Groups[i]
		was, ran := before[g.Name]
		switch {
		case !g.Enabled:
		case !ran:
			p.Start = append(p.Start, g.Name)
		case was.Hash == g.Hash:
			p.Keep = append(p.Keep, g.Name)
		default:
			p.change(was, g)
		}
	}
	for i := range old.Groups {
		if name := old.Groups[i].Name; before[name] != nil && after[name] == nil {
			p.Stop = append(p.Stop, name)
		}
	}
	p.renamed(before, after)
	p.retention(old, new)
	p.process(old, new)
	return p
}

// Empty reports whether nothing is to be done.
func (p Plan) Empty() bool {
	return len(p.Start)+len(p.Stop)+len(p.Replace)+len(p.Adjust)+len(p.Retention) == 0
}

// String gives one line a group, then the warnings.
func (p Plan) String() string {
	var b strings.Builder
	for _, part := range [...]struct {
		verb  string
		names []string
	}{{"stop", p.Stop}, {"replace", p.Replace}, {"adjust", p.Adjust}, {"start", p.Start}, {"keep", p.Keep}} {
		for _, name := range part.names {
			fmt.Fprintf(&b, "%-7s %s", part.verb, name)
			if changed := p.Changed[name]; len(changed) > 0 {
				fmt.Fprintf(&b, " (%s)", strings.Join(changed, ", "))
			}
			b.WriteByte('\n')
		}
	}
	for _, stream := range p.Retention {
		fmt.Fprintf(&b, "retain  %s\n", stream)
	}
	for _, warning := range p.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", warning)
	}
	if b.Len() == 0 {
		return "nothing changes"
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func enabled(m *Manifest) map[string]*Group {
	groups := map[string]*Group{}
	for i := range m.Groups {
		if g := &m.Groups[i]; g.Enabled {
			groups[g.Name] = g
		}
	}
	return groups
}

// change plans a group that is in both manifests with other values.
func (p *Plan) change(was, g *Group) {
	changed := changedKeys(was, g)
	if p.Changed == nil {
		p.Changed = map[string][]string{}
	}
	p.Changed[g.Name] = changed
	adjust := !slices.ContainsFunc(changed, func(key string) bool { return !slices.Contains(adjustable, key) })
	if adjust {
		p.Adjust = append(p.Adjust, g.Name)
	} else {
		p.Replace = append(p.Replace, g.Name)
	}
	position := was.Stream == g.Stream && was.Group == g.Group
	switch {
	case position && was.Start != g.Start:
		p.warnf("%s: the change of start has no effect: it is used once, when the group is created in Redis; fanout seek %s moves the group", g.Name, g.Name)
	case was.Stream == g.Stream && was.Group != g.Group:
		p.warnf("%s: the Redis group %q is another one than %q: it does not take over its position", g.Name, g.Group, was.Group)
	}
	if position && was.DeadLetter.Stream != g.DeadLetter.Stream {
		p.warnf("%s: dead letters stay in %q, new ones go to %q", g.Name, was.DeadLetter.Stream, g.DeadLetter.Stream)
	}
}

// renamed warns of groups that go on, or do not, under another name.
func (p *Plan) renamed(before, after map[string]*Group) {
	for _, from := range p.Stop {
		for _, to := range p.Start {
			was, g := before[from], after[to]
			if was.Stream != g.Stream {
				continue
			}
			if was.Group == g.Group {
				p.warnf("%s goes on where %s stops: both are the Redis group %q", to, from, g.Group)
			} else if sameHandler(was, g) {
				p.warnf("%s has the stream and the handler of %s, which goes: if it is %s under a new name, write group: %s to keep its position; it begins at its start (%s) otherwise",
					to, from, from, was.Group, g.Start)
			}
		}
	}
}

// sameHandler reports whether two groups have the same handler with the same
// keys.
func sameHandler(a, b *Group) bool {
	return !slices.ContainsFunc(changedKeys(a, b), func(key string) bool {
		return key == "handler" || strings.HasPrefix(key, "handler.")
	})
}

// process warns of what only a new process takes up.
func (p *Plan) process(old, new *Manifest) {
	for _, part := range [...]struct {
		name    string
		changed bool
	}{
		{"redis", old.Redis != new.Redis},
		{"admin", !reflect.DeepEqual(old.Admin, new.Admin)},
		{"state", old.State != new.State},
	} {
		if part.changed {
			p.warnf("%s has changed: that takes a restart of the process", part.name)
		}
	}
}

func (p *Plan) warnf(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

// changedKeys names the keys that differ, never their values.
func changedKeys(a, b *Group) []string {
	contents := map[string]string{}
	for _, v := range values(a) {
		contents[v.path] = v.content
	}
	changed := map[string]bool{}
	for _, v := range values(b) {
		if was, ok := contents[v.path]; !ok || was != v.content {
			changed[v.path] = true
		}
		delete(contents, v.path)
	}
	for path := range contents {
		changed[path] = true
	}
	return slices.Sorted(maps.Keys(changed))
}
