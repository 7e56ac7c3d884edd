package manifest

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// checker is a decoder that knows what the values mean.
type checker struct {
	decoder
	opts Options
}

// key finds where one of the keys of a group was said: in the group, else in
// defaults, else it is the group itself. A fault of the defaults so gets one
// place however many groups there are.
func (c *checker) key(group string, keys ...string) (mark, string) {
	for _, base := range [...]string{group, "defaults"} {
		for _, key := range keys {
			path := join(base, key)
			if m, ok := c.marks[path]; ok {
				return m, path
			}
		}
	}
	return c.marks[group], join(group, keys[0])
}

// sound reports whether all these keys of a group could be read.
func (c *checker) sound(group string, keys ...string) bool {
	for _, key := range keys {
		if c.faults.touches(join(group, key)) || c.unset(join(group, key)) && c.faults.touches(join("defaults", key)) {
			return false
		}
	}
	return true
}

// fault reports what a check found at the first of these keys that was said.
func (c *checker) fault(group string, keys []string, format string, args ...any) {
	m, path := c.key(group, keys...)
	c.faults.add(Fault{Line: m.line, Column: m.col, Path: path, Message: fmt.Sprintf(format, args...)})
}

// faultAt reports what a check found outside of the groups.
func (c *checker) faultAt(path, format string, args ...any) {
	m := c.nearest(path)
	c.faults.add(Fault{Line: m.line, Column: m.col, Path: path, Message: fmt.Sprintf(format, args...)})
}

// warn is fault for what is only worth saying.
func (c *checker) warn(group, key, format string, args ...any) {
	m, path := c.key(group, key)
	c.faults.add(Fault{Line: m.line, Column: m.col, Path: path, Message: fmt.Sprintf(format, args...), Warning: true})
}

// manifest checks everything that is not in one group alone.
func (c *checker) manifest(m *Manifest) {
	if m.State == "" && !c.faults.touches("state") {
		c.faultAt("state", "must not be empty")
	}
	c.redis(&m.Redis)
	c.admin(&m.Admin)
	c.together(m.Groups)
	c.retention(m)
	if len(m.Groups) > 0 && !slices.ContainsFunc(m.Groups, func(g Group) bool { return g.Enabled }) {
		m := c.marks["groups"]
		c.faults.add(Fault{Line: m.line, Column: m.col, Path: "groups", Message: "none is enabled", Warning: true})
	}
}

func (c *checker) redis(r *Redis) {
	if r.Password != "" && r.PasswordFile != "" {
		c.faultAt("redis.password_file", "cannot stand beside password; use one of them")
	}
	if (r.TLS.CertFile == "") != (r.TLS.KeyFile == "") && !c.faults.touches("redis.tls") {
		c.faultAt("redis.tls", "cert_file and key_file need each other")
	}
	if c.faults.touches("redis.url") {
		return
	}
	scheme, fault := checkRedisURL(r.URL.Reveal())
	switch {
	case fault != "":
		c.faultAt("redis.url", "%s", fault)
	case scheme != "rediss" && r.TLS != TLS{}:
		c.faultAt("redis.tls", "is for a rediss:// URL, redis.url begins with %s://", scheme)
	}
}

// checkRedisURL says what is wrong with the URL without showing any of it.
func checkRedisURL(text string) (scheme, fault string) {
	if text == "" {
		return "", "must not be empty"
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", "is no URL of the form redis://[user:password@]host[:port][/db]; special characters of a password are written as %XX, or use the key password"
	}
	switch u.Scheme {
	case "unix":
		if u.Path == "" {
			return "", "the path of the socket is missing"
		}
		return u.Scheme, ""
	case "redis", "rediss":
	default:
		return "", "must begin with redis://, rediss:// or unix://"
	}
	if u.Opaque != "" {
		return "", "must begin with redis://, rediss:// or unix://"
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", "the port must be from 1 to 65535"
		}
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		if n, err := parseDecimal(db); err != nil || n < 0 {
			return "", "the database after the host must be a number, as in redis://127.0.0.1:6379/0"
		}
	}
	return u.Scheme, ""
}

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (c *checker) groupName(p pair, path string) {
	switch {
	case p.odd != "":
		c.faults.errorf(p.mark, path, "the name is %s: write it in quotes, %q", p.odd, clip(p.key, 64))
	case !dnsLabel.MatchString(p.key):
		hint := ""
		if mended := strings.ReplaceAll(strings.ToLower(p.key), "_", "-"); dnsLabel.MatchString(mended) {
			hint = fmt.Sprintf(", such as %q", mended)
		}
		c.faults.errorf(p.mark, path, "the name of a group is of a-z, 0-9 and - in between, at most 63%s", hint)
	}
}

// checkGroup checks what can be said of one group alone.
func (c *checker) checkGroup(g *Group, path string) {
	named := c.redisName(g.Stream, path, "stream")
	named = c.redisName(g.Group, path, "group") && named
	if c.sound(path, "claim.min_idle", "timeout") && g.Claim.MinIdle <= g.Timeout {
		c.fault(path, []string{"claim.min_idle", "timeout"},
			"claim.min_idle (%s) must be greater than timeout (%s), or entries are taken away while they are handled", short(g.Claim.MinIdle), short(g.Timeout))
	}
	if c.sound(path, "retry") && g.Retry.MaxBackoff < g.Retry.MinBackoff {
		c.fault(path, []string{"retry.max_backoff", "retry.min_backoff"},
			"max_backoff (%s) is less than min_backoff (%s)", short(g.Retry.MaxBackoff), short(g.Retry.MinBackoff))
	}
	if c.sound(path, "restart") && g.Restart.MaxBackoff < g.Restart.MinBackoff {
		c.fault(path, []string{"restart.max_backoff", "restart.min_backoff"},
			"max_backoff (%s) is less than min_backoff (%s)", short(g.Restart.MaxBackoff), short(g.Restart.MinBackoff))
	}
	if c.sound(path, "payload") && g.Payload.Field == "" && g.Payload.Format != "fields" {
		c.fault(path, []string{"payload.field"}, "must not be empty with format: %s", g.Payload.Format)
	}
	c.where(g, path)
	c.start(g, path)
	if missing := missingHere(g.RestartSignal); missing != "" && c.sound(path, "restart_signal") {
		c.warn(path, "restart_signal", "%s", missing)
		g.RestartSignal = 0
	}
	if named {
		c.deadLetter(g, path)
	}
}

// short writes 1m for 1m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func (c *checker) where(g *Group, path string) {
	if g.Where == "" || !c.sound(path, "where") {
		return
	}
	if g.Payload.Format == "raw" && c.sound(path, "payload.format") {
		c.fault(path, []string{"where"}, "cannot look into an event with payload.format: raw")
		return
	}
	if err := c.opts.CheckExpr(g.Where); err != nil {
		c.fault(path, []string{"where"}, "%v", err)
	}
}

// start warns of a date that is an ID by its form.
func (c *checker) start(g *Group, path string) {
	if id := g.Start.ID; g.Start.Kind == StartAfter && id.Ms >= 1970 && id.Ms < 2200 {
		c.warn(path, "start", "is the entry ID %s, not a date; a time is written as 2025-11-23T00:00:00Z", id)
	}
}

// redisName checks a name that becomes a Redis key or group.
func (c *checker) redisName(name, group, key string) bool {
	if !c.sound(group, key) {
		return false
	}
	fault := badName(name)
	if _, tagged := hashTag(name); fault == "" && key == "stream" && !tagged && strings.Contains(name, "}") {
		fault = `has a "}" without a hash tag: its dead letters could not be kept in the same hash slot`
	}
	if fault != "" {
		c.fault(group, []string{key}, "%s", fault)
	}
	return fault == ""
}

func badName(name string) string {
	switch {
	case name == "":
		return "must not be empty"
	case len(name) > 512:
		return "must not be longer than 512 bytes"
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "must not hold control characters"
	}
	return ""
}

// reserved are names of keys that hold something else.
var reserved = regexp.MustCompile(`(^|[}:])(fanout|replay|replaying):`)

// deadLetter resolves the name of the dead-letter stream and checks it.
func (c *checker) deadLetter(g *Group, path string) {
	if !c.sound(path, "dead_letter", "stream", "group") {
		return
	}
	name := DeadLetterStream(*g)
	keys := []string{"dead_letter.stream"}
	switch fault := badName(name); {
	case fault != "":
		c.fault(path, keys, "%s", fault)
	case name == g.Stream:
		c.fault(path, keys, "is the stream of the group itself")
	case reserved.MatchString(name):
		c.fault(path, keys, "is a name that fanout keeps for itself")
	case slot(name) != slot(g.Stream):
		c.fault(path, keys, "is in another hash slot than the stream, so that a letter and its acknowledgement could not be one step; name it %q", mendedSlot(g.Stream, name))
	}
	g.DeadLetter.Stream = name
}

// mendedSlot gives a name like the one wanted, in the slot of the stream.
func mendedSlot(stream, name string) string {
	tag, ok := hashTag(stream)
	if !ok {
		tag = stream
	}
	name = strings.NewReplacer("{", "", "}", "").Replace(name)
	if rest, ok := strings.CutPrefix(name, tag+":"); ok && rest != "" {
		name = rest
	}
	return "{" + tag + "}:" + name
}

// together checks the groups that run against each other.
func (c *checker) together(groups []Group) {
	type place struct{ stream, group string }
	positions := map[place]string{}
	signals := map[Signal]string{}
	letters := map[string]string{}
	sources := map[string]string{}
	for i := range groups {
		if g := &groups[i]; g.Enabled {
			sources[g.Stream] = g.Name
		}
	}
	for i := range groups {
		g := &groups[i]
		path := join("groups", g.Name)
		if !g.Enabled {
			continue // may stand beside the one that replaces it
		}
		if c.sound(path, "stream", "group") {
			at := place{g.Stream, g.Group}
			if other, taken := positions[at]; taken {
				c.fault(path, []string{"group"}, "reads %q as the Redis group %q, as %s does: they would take each other's entries", g.Stream, g.Group, other)
			} else {
				positions[at] = g.Name
				c.letters(g, path, letters, sources)
			}
		}
		if g.RestartSignal != 0 {
			if other, taken := signals[g.RestartSignal]; taken {
				c.fault(path, []string{"restart_signal"}, "signal %s restarts %s already", g.RestartSignal, other)
			} else {
				signals[g.RestartSignal] = g.Name
			}
		}
	}
}

func (c *checker) letters(g *Group, path string, letters, sources map[string]string) {
	if g.DeadLetter.Stream == "" || !c.sound(path, "dead_letter") {
		return // its fault has been said
	}
	if reader, read := sources[g.DeadLetter.Stream]; read && g.DeadLetter.Stream != g.Stream {
		c.fault(path, []string{"dead_letter.stream"}, "%q is the stream that %s reads: letters could go round for ever", g.DeadLetter.Stream, reader)
		return
	}
	if other, taken := letters[g.DeadLetter.Stream]; taken {
		c.fault(path, []string{"dead_letter.stream"}, "%q is the dead-letter stream of %s already", g.DeadLetter.Stream, other)
		return
	}
	letters[g.DeadLetter.Stream] = g.Name
}

// findings puts what a handler found on the lines of the keys that it names.
func (c *checker) findings(found []Finding, handler string) {
	var faults Faults
	for _, f := range found {
		path := handler
		if f.Path != "" {
			path = join(handler, f.Path)
		}
		if c.faults.touches(path) {
			continue // a consequence of what has been said
		}
		m := c.nearest(path)
		faults = append(faults, Fault{Line: m.line, Column: m.col, Path: path, Message: f.Message, Warning: f.Warning})
	}
	for _, f := range faults {
		c.faults.add(f)
	}
}

// nearest is where the key stands, or the closest one around it.
func (c *checker) nearest(path string) mark {
	for {
		if m, ok := c.marks[path]; ok {
			return m
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return mark{1, 1}
		}
		path = path[:i]
	}
}

func (c *checker) unknownHandler(name pair, path string) {
	hint := c.handlerNames()
	if c.opts.Handlers != nil {
		if meant := suggest(name.key, c.opts.Handlers.Names()); meant != "" {
			hint = fmt.Sprintf(" (did you mean %q?)", meant)
		}
	}
	c.faults.errorf(name.mark, path, "unknown handler %q%s", clip(name.key, 64), hint)
}

func (c *checker) handlerNames() string {
	if c.opts.Handlers == nil {
		return ""
	}
	return fmt.Sprintf(" (one of: %s)", strings.Join(c.opts.Handlers.Names(), ", "))
}

func keys(pairs []pair) string {
	names := make([]string, 0, len(pairs))
	for _, p := range pairs[:min(len(pairs), 8)] {
		names = append(names, clip(p.key, 64))
	}
	return strings.Join(names, ", ")
}
