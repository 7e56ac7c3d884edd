package redisstream

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"example.com/fanout/pkg/telemetry"
	"example.com/fanout/test/redistest"
)

var scriptCall = regexp.MustCompile(`(?:redis\.p?call|try)\('([A-Z]+)'(?:, '([A-Z]+)')?`)

// What a script calls is among the rights that the doctor asks for.
func TestScriptsNeedTheirRights(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	add := func(commands []string) {
		for _, c := range commands {
			known[right(c, "k", "k").Command] = true
		}
	}
	for _, commands := range keyRights {
		add(commands)
	}
	add(trimRights)
	for _, c := range commandRights {
		add([]string{c.command})
	}
	files, err := fs.Glob(luaFiles, "lua/*.lua")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	for _, file := range files {
		text, err := luaFiles.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range scriptCall.FindAllStringSubmatch(string(text), -1) {
			command := call[1]
			if subcommands[command] && call[2] != "" {
				command += " " + call[2]
			}
			if !known[command] && !subcommands[command] {
				t.Errorf("%s calls %s, which rights.go does not know", file, command)
			}
		}
	}
}

// Every right can be asked for: its example is a command that the server takes.
func TestRightsAreCommands(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c, err := Open(Config{URL: telemetry.Secret(s.URL())})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	g := c.Group(GroupConfig{Stream: "events", Group: "g", DeadLetters: "{events}:dead:g"})
	all := append(append(c.InstanceRights("i"), g.Rights()...), TrimRights("events")...)
	denied, err := c.Denied(t.Context(), all)
	if err != nil || len(denied) > 0 {
		t.Errorf("%v are denied: %v", denied, err)
	}
	s.Do(t, "ACL", "SETUSER", "default", "resetkeys", "~other")
	denied, err = c.Denied(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range denied {
		if r.Key == "" {
			t.Errorf("%s has no key and is denied with the keys", r)
		}
		if i > 0 && fmt.Sprint(r) == fmt.Sprint(denied[i-1]) {
			t.Errorf("%s is there twice", r)
		}
	}
	keyed := 0
	for _, r := range all {
		if r.Key != "" {
			keyed++
		}
	}
	if len(denied) != keyed {
		t.Errorf("%d of %d commands with a key are denied", len(denied), keyed)
	}
}

// A server that does not tell is not taken for one that allows everything.
func TestRightsUnknown(t *testing.T) {
	t.Parallel()
	c, err := Open(Config{URL: telemetry.Secret("redis://" + miniredis.RunT(t).Addr())})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if denied, err := c.Denied(t.Context(), c.InstanceRights("i")); !errors.Is(err, ErrRightsUnknown) {
		t.Errorf("%v are denied: %v", denied, err)
	}
}
