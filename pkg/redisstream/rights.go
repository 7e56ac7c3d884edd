package redisstream

import (
	"strconv"
	"strings"
)

// kind is what a key of a group is for.
type kind uint8

const (
	streamKey kind = iota
	epochKey
	checkpointKey
	bookKey
	untakenKey
	lettersKey
	replaysKey
	replayingKey
	leaseKey
	hostLeaseKey
)

// holds is the type of the value, as TYPE tells it.
func (k kind) holds() string {
	switch k {
	case epochKey, untakenKey, leaseKey, hostLeaseKey:
		return "string"
	case checkpointKey, bookKey, replayingKey:
		return "hash"
	}
	return "stream"
}

// keyRights are the commands of this package and of its scripts, by the key that
// they work on; $ is the key. Groups and consumers have no rights of their own.
var keyRights = map[kind][]string{
	streamKey: {
		"XREADGROUP GROUP g c STREAMS $ >", "XACK $ g 0-0", "XCLAIM $ g c 0 0-0", "XAUTOCLAIM $ g c 0 0-0", "XPENDING $ g",
		"XRANGE $ - +", "XREVRANGE $ + -", "XINFO STREAM $", "XINFO GROUPS $", "XINFO CONSUMERS $ g", "XGROUP CREATE $ g 0 MKSTREAM",
		"XGROUP SETID $ g 0", "XGROUP DELCONSUMER $ g c", "EXISTS $",
	},
	epochKey:      {"GET $", "SET $ v"},
	checkpointKey: {"HGETALL $", "HMGET $ f", "HSET $ f v", "DEL $"},
	bookKey:       {"HGETALL $", "HSET $ f v", "HDEL $ f"},
	untakenKey:    {"DEL $"},
	lettersKey:    {"XADD $ * f v", "XLEN $", "XRANGE $ - +", "XDEL $ 0-0", "EXISTS $"},
	replaysKey: {
		"XADD $ * f v", "XRANGE $ - +", "XDEL $ 0-0", "EXISTS $", "XREADGROUP GROUP g c STREAMS $ >", "XACK $ g 0-0",
		"XCLAIM $ g c 0 0-0", "XAUTOCLAIM $ g c 0 0-0", "XPENDING $ g", "XINFO GROUPS $", "XINFO CONSUMERS $ g",
		"XGROUP CREATE $ g 0 MKSTREAM", "XGROUP DELCONSUMER $ g c",
	},
	replayingKey: {"HGET $ f", "HSET $ f v", "HDEL $ f"},
	hostLeaseKey: {"GET $", "SET $ v", "PTTL $"},
	leaseKey:     {"SET $ v", "GET $", "PTTL $", "DEL $", "EXISTS $"},
}

// plainRights are those of ackPlainly.
var plainRights = []string{"WATCH $", "EXISTS $", "SETNX $ v"}

// trimRights are those on a stream that is trimmed.
var trimRights = []string{"XTRIM $ MAXLEN 1"}

const withoutPlain = "acknowledgements cost Redis half as much again"

// commandRights are those without a key.
var commandRights = []struct{ command, without string }{
	{"EVALSHA 0 0", ""},
	{"EVAL 0 0", ""},
	{"TIME", ""},
	{"INFO", "the server's version and limits stay unknown"},
	{"CLIENT SETNAME n", "CLIENT LIST does not name the connections"},
	{"MULTI", withoutPlain},
	{"EXEC", withoutPlain},
	{"DISCARD", withoutPlain},
	{"CLIENT ID", "a stop of a group waits for its reads, two seconds at most"},
	{"CLIENT UNBLOCK 0", "a stop of a group waits for its reads, two seconds at most"},
}

// InstanceRights are what a process needs beside its groups, under the given
// instance name.
func (c *Client) InstanceRights(name string) []Right {
	var all []Right
	for _, c := range commandRights {
		r := right(c.command, "", "")
		r.Without = c.without
		all = append(all, r)
	}
	if db := c.options.DB; db != 0 {
		all = append(all, right("SELECT "+strconv.Itoa(db), "", ""))
	}
	return append(all, rights(keyRights[leaseKey], leasePrefix+name, leasePrefix+"*")...)
}

// TrimRights are what the retention of a stream needs beside the rights of its
// groups.
func TrimRights(stream string) []Right { return rights(trimRights, stream, literally(stream)) }

// Rights are what the group needs.
func (g *Group) Rights() []Right {
	var all []Right
	for _, k := range g.ownKeys() {
		pattern := literally(k.name)
		if prefix := tagged(g.cfg.Stream) + ":"; strings.HasPrefix(k.name, prefix) {
			pattern = literally(prefix) + "*"
		}
		all = append(all, rights(keyRights[k.kind], k.name, pattern)...)
		if k.kind == untakenKey {
			for _, r := range rights(plainRights, k.name, pattern) {
				r.Without = withoutPlain
				all = append(all, r)
			}
		}
	}
	return all
}

// ownKey is a key of a group.
type ownKey struct {
	kind kind
	name string
}

func (g *Group) ownKeys() []ownKey {
	letters := g.letterKeys()
	all := []ownKey{
		{streamKey, g.cfg.Stream}, {epochKey, g.epochKey}, {checkpointKey, g.checkpointKey}, {bookKey, g.bookKey}, {untakenKey, g.untakenKey},
		{lettersKey, letters[0]}, {replaysKey, letters[1]}, {replayingKey, letters[2]},
	}
	if g.cfg.OneHost {
		all = append(all, ownKey{hostLeaseKey, g.hostKey})
	}
	return all
}

// literally is a pattern that only the key itself matches.
func literally(key string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(key)
}

func rights(commands []string, key, pattern string) []Right {
	var all []Right
	for _, command := range commands {
		all = append(all, right(command, key, pattern))
	}
	return all
}

// subcommands are the commands whose first argument names what they do.
var subcommands = map[string]bool{"XINFO": true, "XGROUP": true, "CLIENT": true}

func right(command, key, pattern string) Right {
	words := strings.Fields(command)
	r := Right{Command: words[0], Key: key, Pattern: pattern}
	if subcommands[words[0]] {
		r.Command += " " + words[1]
	}
	for _, word := range words {
		if word == "$" {
			word = key
		}
		r.args = append(r.args, word)
	}
	return r
}
