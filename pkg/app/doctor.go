package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
)

// Level is how grave a finding is.
type Level string

// The levels.
const (
	LevelOK      Level = "ok"
	LevelUnknown Level = "unknown" // it cannot be told, and may be good or bad
	LevelWarn    Level = "warn"    // it works, and can go wrong
	LevelFail    Level = "fail"    // it does not work, or loses data
)

// Finding is what the doctor found in one respect.
type Finding struct {
	Level Level  `json:"level"`
	Check string `json:"check"` // the respect, in a word
	What  string `json:"what"`
	Mend  string `json:"mend,omitempty"`
}

func ok(check, format string, args ...any) Finding {
	return Finding{Level: LevelOK, Check: check, What: fmt.Sprintf(format, args...)}
}

func warn(check, mend, format string, args ...any) Finding {
	return Finding{LevelWarn, check, fmt.Sprintf(format, args...), mend}
}

func failure(check, mend, format string, args ...any) Finding {
	return Finding{LevelFail, check, fmt.Sprintf(format, args...), mend}
}

func unknown(check, mend, format string, args ...any) Finding {
	return Finding{LevelUnknown, check, fmt.Sprintf(format, args...), mend}
}

// cannotAsk is an unknown for want of an answer.
func cannotAsk(check string, err error) Finding {
	return unknown(check, "", "%s", redisstream.Describe(err))
}

// Examine looks for what can go wrong with a manifest on its Redis server: the
// server and its settings, the rights of the user, what is in the streams, and
// the timings. It needs no running fanout and changes nothing. A server that
// cannot be reached is a finding, too.
func Examine(ctx context.Context, m *manifest.Manifest, logger *slog.Logger) []Finding {
	client, err := redisstream.Open(redisConfig(m.Redis, logger))
	if err != nil {
		return append(timings(m), failure("redis", "", "%s", redisstream.Describe(err)))
	}
	defer client.Close()
	d := &doctor{client: client, manifest: m}
	for _, g := range m.Groups {
		if g.Enabled {
			d.groups = append(d.groups, groupInRedis{g, client.Group(groupConfig(g))})
		}
	}
	if d.facts, err = client.Facts(ctx); err != nil {
		return append([]Finding{failure("redis", "", "%s: %s", client.Addr(), redisstream.Describe(err))}, timings(m)...)
	}
	findings := d.server()
	findings = append(findings, d.rights(ctx))
	findings = append(findings, d.streams(ctx)...)
	findings = append(findings, d.ofGroups(ctx)...)
	findings = append(findings, d.orphans(ctx)...)
	return append(findings, timings(m)...)
}

// doctor is one examination.
type doctor struct {
	client   *redisstream.Client
	manifest *manifest.Manifest
	groups   []groupInRedis // those that are enabled
	facts    redisstream.Facts
}

// groupInRedis is a group of the manifest, and the same in Redis.
type groupInRedis struct {
	manifest.Group
	redis *redisstream.Group
}

// rights finds what the user may not do.
func (d *doctor) rights(ctx context.Context) Finding {
	const check = "rights"
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	wanted := d.client.InstanceRights(host)
	for _, g := range d.groups {
		wanted = append(wanted, g.redis.Rights()...)
	}
	for _, r := range d.manifest.Retention {
		wanted = append(wanted, redisstream.TrimRights(r.Stream)...)
	}
	denied, err := d.client.Denied(ctx, wanted)
	switch {
	case errors.Is(err, redisstream.ErrRightsUnknown):
		return unknown(check, "", "%s", redisstream.Describe(err))
	case err != nil && redisstream.Refused(err):
		return failure(check, "grant +eval and +evalsha: every step of fanout is a script", "the Redis user may not run scripts (%s)", redisstream.Describe(err))
	case err != nil:
		return cannotAsk(check, err)
	case len(denied) == 0:
		return ok(check, "the Redis user may do all that is needed")
	}
	var needed, missed []string
	for _, r := range denied {
		if r.Without == "" {
			needed = append(needed, r.String())
		} else {
			missed = append(missed, fmt.Sprintf("%s (%s)", r, r.Without))
		}
	}
	if len(needed) == 0 {
		return warn(check, grant(denied), "the Redis user may not: %s", strings.Join(missed, ", "))
	}
	return failure(check, grant(denied), "the Redis user may not: %s", few(append(needed, missed...)))
}

// grant is the rule that gives the rights.
func grant(rights []redisstream.Right) string {
	var commands, keys []string
	add := func(list *[]string, text string) {
		for _, have := range *list {
			if have == text {
				return
			}
		}
		*list = append(*list, text)
	}
	for _, r := range rights {
		add(&commands, "+"+strings.ToLower(strings.ReplaceAll(r.Command, " ", "|")))
		if r.Key != "" {
			add(&keys, "~"+r.Pattern)
		}
	}
	return "ACL SETUSER <user> " + strings.Join(append(keys, commands...), " ")
}

// few is a list that is cut off where it gets long.
func few(texts []string) string {
	const most = 8
	if len(texts) <= most {
		return strings.Join(texts, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(texts[:most], ", "), len(texts)-most)
}

// missing reports whether err says that the group is not there.
func missing(err error) bool { return errors.Is(err, stream.ErrNoGroup) }
