package arch

import (
	"path"
	"slices"
)

// Tier is the place of a package in the whole.
type Tier uint8

// The tiers.
const (
	Vocabulary Tier = iota // words and contracts
	Engine                 // what runs groups
	Edge                   // what speaks with the world outside
	Wiring                 // what puts the others together
)

// Rule says what a package under pkg may import of ours.
type Rule struct {
	Package string // below pkg; sink/* stands for each sink
	Tier    Tier
	Imports []string // below pkg; "*" is everything
	Except  []string // taken out of "*"
}

// Table is the allow-list of imports. The edges know neither the engine nor
// each other, the engine knows no edge.
var Table = []Rule{
	{Package: "stream", Tier: Vocabulary},
	{Package: "retry", Tier: Vocabulary},
	{Package: "nearest", Tier: Vocabulary},
	{Package: "telemetry", Tier: Vocabulary},
	{Package: "event", Tier: Vocabulary, Imports: []string{"stream"}},
	{Package: "handler", Tier: Vocabulary, Imports: []string{"stream", "event"}},
	{Package: "deadletter", Tier: Vocabulary, Imports: []string{"stream"}},
	{Package: "manifest", Tier: Vocabulary, Imports: []string{"stream", "telemetry", "nearest"}},

	{Package: "supervisor", Tier: Engine},
	{Package: "consumer", Tier: Engine, Imports: []string{"stream", "event", "handler", "retry", "deadletter", "telemetry"}},
	{Package: "fanout", Tier: Engine, Imports: []string{"consumer", "supervisor", "event", "handler", "manifest", "retry", "stream", "telemetry"}},

	{Package: "redisstream", Tier: Edge, Imports: []string{"stream", "deadletter", "telemetry"}},
	{Package: "admin", Tier: Edge, Imports: []string{"stream", "manifest", "telemetry", "nearest"}},
	{Package: "page", Tier: Edge},
	{Package: "exchange", Tier: Edge, Imports: []string{"stream"}},
	{Package: "sink/internal/sqlstore", Tier: Edge, Imports: []string{"handler", "event", "stream", "retry", "telemetry"}},
	{Package: "sink/sqldb", Tier: Edge, Imports: []string{"handler", "event", "stream", "retry", "telemetry", "sink/internal/sqlstore"}},
	{Package: "sink/window", Tier: Edge, Imports: []string{"handler", "event", "stream", "retry", "telemetry", "sink/internal/sqlstore"}},

	{Package: "sink/builtin", Tier: Wiring, Imports: []string{"handler", "sink/*"}},
	{Package: "app", Tier: Wiring, Imports: []string{"*"}, Except: []string{"cli"}},
	{Package: "cli", Tier: Wiring, Imports: []string{"*"}},

	// Every other sink; a line of its own above goes first.
	{Package: "sink/*", Tier: Edge, Imports: []string{"handler", "event", "stream", "retry", "telemetry"}},
}

// Guard keeps something from outside the module with its owners.
type Guard struct {
	Import string   // it, or anything below it
	Owners []string // below pkg, with their sub-packages
}

// Guarded holds what must not spread.
var Guarded = []Guard{
	{Import: "github.com/redis/go-redis", Owners: []string{"redisstream"}},
	{Import: "gopkg.in/yaml.v3", Owners: []string{"manifest"}},
	{Import: "go.yaml.in/yaml", Owners: []string{"manifest"}},
	{Import: "os/signal", Owners: []string{"cli"}},
	{Import: "github.com/alicebob/miniredis", Owners: []string{"app", "cli"}},
	{Import: "github.com/expr-lang/expr", Owners: []string{"event"}},
	{Import: "github.com/prometheus", Owners: []string{"telemetry"}},
	{Import: "modernc.org/sqlite", Owners: []string{"sink/internal/sqlstore"}},
	{Import: "github.com/spf13/cobra", Owners: []string{"cli"}},
}

// Support are the packages under pkg that only tests import; everything under
// test is support too.
var Support = []string{"consumer/consumertest", "handler/handlertest"}

// ruleOf finds the rule of a package and the root that it stands for. A package
// below another one is part of it unless the table gives it a line of its own.
func ruleOf(pkg string) (rule Rule, root string, ok bool) {
	for p := pkg; p != "."; p = path.Dir(p) {
		for _, rule := range Table {
			if matches(rule.Package, p) {
				return rule, p, true
			}
		}
	}
	return Rule{}, "", false
}

// mayImport reports whether the table lets a package import another one. What
// stands below one root is that root's own affair.
func mayImport(rule Rule, root, target string) bool {
	_, targetRoot, known := ruleOf(target)
	if !known {
		return false
	}
	if targetRoot == root {
		return true
	}
	return slices.ContainsFunc(rule.Imports, func(pattern string) bool {
		if pattern == "*" {
			return !slices.Contains(rule.Except, targetRoot)
		}
		return matches(pattern, targetRoot)
	})
}

// matches compares a name with a pattern of path.Match; all patterns here are
// well formed.
func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
