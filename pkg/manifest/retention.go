package manifest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Retention says what becomes of the old entries of one stream. A stream
// without one is never trimmed.
type Retention struct {
	Stream string `yaml:",key"`
	Rules  Rules  `yaml:",value" doc:"what is trimmed from this stream: with no key at all, what every group in Redis has settled"`
}

// Rules of a Retention. The bounds win over the minima.
type Rules struct {
	MinAge           time.Duration `yaml:"min_age" default:"0s" min:"0s" max:"87600h" doc:"entries younger than this stay, though every group has settled them"`
	MinLen           int64         `yaml:"min_len" default:"0" min:"0" max:"1000000000000" doc:"as many of the last entries stay, though every group has settled them"`
	MaxAge           time.Duration `yaml:"max_age" default:"0s" min:"0s" max:"87600h" doc:"bound: no entry is to be older; 0s is none"`
	MaxLen           int64         `yaml:"max_len" default:"0" min:"0" max:"1000000000000" doc:"bound: no more entries are to be there; 0 is none"`
	Policy           string        `yaml:"policy" default:"hold" enum:"hold,drop_and_report" doc:"when a group still needs what is beyond a bound: hold keeps it and warns, drop_and_report trims it and says what each group has lost"`
	IgnoreIdleGroups time.Duration `yaml:"ignore_idle_groups" default:"0s" min:"0s" max:"87600h" doc:"what groups need that this file does not name and whose consumers have done nothing for so long does not count; 0s counts it always"`
	Interval         time.Duration `yaml:"interval" default:"10s" min:"1s" max:"24h" doc:"how often to trim"`
}

// What Rules.Policy may be.
const (
	HoldEntries   = "hold"
	DropAndReport = "drop_and_report"
)

// Readers names the groups in Redis that the file lets read a stream: those that
// run, here or in another process, and those with enabled: false.
func (m *Manifest) Readers(stream string) (enabled, disabled []string) {
	for _, g := range slices.Concat(m.Groups, m.Elsewhere) {
		switch {
		case g.Stream != stream:
		case g.Enabled:
			enabled = append(enabled, g.Group)
		case !slices.Contains(disabled, g.Group):
			disabled = append(disabled, g.Group)
		}
	}
	return enabled, disabled
}

// Streams names the streams of all groups in order.
func (m *Manifest) Streams() []string {
	var all []string
	for _, g := range slices.Concat(m.Groups, m.Elsewhere) {
		all = append(all, g.Stream)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// retention checks the rules of each stream against the groups and each other.
func (c *checker) retention(m *Manifest) {
	var read []string
	sound := !c.faults.touches("defaults.stream")
	for _, g := range m.Groups {
		sound = sound && c.sound(join("groups", g.Name), "stream", "enabled")
		if g.Enabled {
			read = append(read, g.Stream)
		}
	}
	slices.Sort(read)
	read = slices.Compact(read)
	for _, r := range m.Retention {
		path := join("retention", r.Stream)
		if sound && !slices.Contains(read, r.Stream) {
			hint := fmt.Sprintf(" (streams that are read: %s)", clip(strings.Join(read, ", "), 256))
			if meant := suggest(r.Stream, read); meant != "" {
				hint = fmt.Sprintf(" (did you mean %q?)", meant)
			}
			c.faultAt(path, "no enabled group reads this stream%s", hint)
		}
		if c.faults.touches(path) {
			continue
		}
		rules := r.Rules
		if rules.MaxLen > 0 && rules.MinLen > rules.MaxLen {
			c.faultAt(path+".min_len", "min_len (%d) is more than max_len (%d)", rules.MinLen, rules.MaxLen)
		}
		if rules.MaxAge > 0 && rules.MinAge > rules.MaxAge {
			c.faultAt(path+".min_age", "min_age (%s) is more than max_age (%s)", short(rules.MinAge), short(rules.MaxAge))
		}
		if rules.Policy == DropAndReport && rules.MaxLen == 0 && rules.MaxAge == 0 {
			c.faultAt(path+".policy", "drop_and_report does nothing without max_len or max_age")
		}
	}
}

// retention names the streams whose retention begins, changes or ends.
func (p *Plan) retention(old, new *Manifest) {
	rules := map[string]Rules{}
	for _, r := range old.Retention {
		rules[r.Stream] = r.Rules
	}
	for _, r := range new.Retention {
		if was, had := rules[r.Stream]; !had || was != r.Rules {
			p.Retention = append(p.Retention, r.Stream)
		}
		delete(rules, r.Stream)
	}
	for _, r := range old.Retention {
		if _, gone := rules[r.Stream]; gone {
			p.Retention = append(p.Retention, r.Stream)
		}
	}
}
