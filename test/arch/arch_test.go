package arch_test

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"example.com/fanout/test/arch"
)

func TestTree(t *testing.T) {
	t.Parallel()
	breaches, err := arch.Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range breaches {
		t.Error(b)
	}
}

// The table itself must keep the tiers apart, so that a new line in it cannot
// quietly join what has to stay separate.
func TestTableKeepsTheTiers(t *testing.T) {
	t.Parallel()
	tier := map[string]arch.Tier{}
	for _, r := range arch.Table {
		if _, twice := tier[r.Package]; twice {
			t.Errorf("%s stands in the table twice", r.Package)
		}
		tier[r.Package] = r.Tier
	}
	may := map[arch.Tier][]arch.Tier{
		arch.Vocabulary: {arch.Vocabulary},
		arch.Engine:     {arch.Vocabulary, arch.Engine},
		arch.Edge:       {arch.Vocabulary},
		arch.Wiring:     {arch.Vocabulary, arch.Engine, arch.Edge, arch.Wiring},
	}
	for _, r := range arch.Table {
		for _, imported := range r.Imports {
			if imported == "*" {
				if r.Tier != arch.Wiring {
					t.Errorf("%s imports everything and is no wiring", r.Package)
				}
				continue
			}
			target, known := tier[imported]
			shared := path.Dir(imported) == "sink/internal" && strings.HasPrefix(r.Package, "sink/")
			if !known || !slices.Contains(may[r.Tier], target) && !shared {
				t.Errorf("%s must not import %s: tiers %d and %d (known: %v)", r.Package, imported, r.Tier, target, known)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	ours := func(name string) string { return arch.Module + "/" + name }
	tests := []struct {
		name    string
		file    string
		imports string // or, when it is no import path, the text of the file after the package clause
		want    string // part of the one breach; "" for none
	}{
		{"vocabulary imports what it may", "pkg/event/event.go", ours("pkg/stream"), ""},
		{"vocabulary imports nothing else", "pkg/stream/id.go", ours("pkg/event"), "pkg/stream must not import pkg/event"},
		{"engine imports a contract", "pkg/consumer/loop.go", ours("pkg/handler"), ""},
		{"engine imports an edge", "pkg/consumer/loop.go", ours("pkg/redisstream"), "must not import pkg/redisstream"},
		{"engine imports a sink", "pkg/fanout/plan.go", ours("pkg/sink/webhook"), "must not import pkg/sink/webhook"},
		{"edge imports the engine", "pkg/redisstream/read.go", ours("pkg/consumer"), "must not import pkg/consumer"},
		{"edge imports an edge", "pkg/admin/server.go", ours("pkg/redisstream"), "must not import pkg/redisstream"},
		{"edge imports the wiring", "pkg/admin/server.go", ours("pkg/app"), "must not import pkg/app"},
		{"sink imports a contract", "pkg/sink/webhook/send.go", ours("pkg/handler"), ""},
		{"sink imports a sink", "pkg/sink/webhook/send.go", ours("pkg/sink/logsink"), "must not import pkg/sink/logsink"},
		{"sink imports a part of another sink", "pkg/sink/webhook/send.go", ours("pkg/sink/logsink/line"), "must not import pkg/sink/logsink/line"},
		{"sink imports a part of itself", "pkg/sink/webhook/send.go", ours("pkg/sink/webhook/inbox"), ""},
		{"part of a sink imports its sink", "pkg/sink/webhook/inbox/inbox.go", ours("pkg/sink/webhook"), ""},
		{"part of a sink imports another sink", "pkg/sink/webhook/inbox/inbox.go", ours("pkg/sink/window"), "must not import pkg/sink/window"},
		{"sql shares the store", "pkg/sink/sqldb/insert.go", ours("pkg/sink/internal/sqlstore"), ""},
		{"window shares the store", "pkg/sink/window/fold.go", ours("pkg/sink/internal/sqlstore"), ""},
		{"sql imports window", "pkg/sink/sqldb/insert.go", ours("pkg/sink/window"), "must not import pkg/sink/window"},
		{"another sink imports the store", "pkg/sink/webhook/send.go", ours("pkg/sink/internal/sqlstore"), "must not import pkg/sink/internal/sqlstore"},
		{"sink imports the list of sinks", "pkg/sink/webhook/send.go", ours("pkg/sink/builtin"), "must not import pkg/sink/builtin"},
		{"list of sinks imports a sink", "pkg/sink/builtin/builtin.go", ours("pkg/sink/window"), ""},
		{"list of sinks imports the engine", "pkg/sink/builtin/builtin.go", ours("pkg/fanout"), "must not import pkg/fanout"},
		{"app imports all", "pkg/app/app.go", ours("pkg/redisstream"), ""},
		{"app imports cli", "pkg/app/app.go", ours("pkg/cli"), "must not import pkg/cli"},
		{"cli imports app", "pkg/cli/run.go", ours("pkg/app"), ""},
		{"package without a rule", "pkg/helpers/x.go", ours("pkg/stream"), "not in the table"},
		{"import of a package without a rule", "pkg/event/event.go", ours("pkg/helpers"), "must not import pkg/helpers"},
		{"pkg imports cmd", "pkg/app/app.go", ours("cmd/fanout"), "imports cmd/fanout"},
		{"cmd imports pkg", "cmd/fanout/main.go", ours("pkg/cli"), ""},

		{"support in code", "pkg/redisstream/read.go", ours("pkg/consumer/consumertest"), "test support"},
		{"support in a command", "cmd/fanout/main.go", ours("test/redistest"), "test support"},
		{"support in a test", "pkg/redisstream/read_test.go", ours("pkg/consumer/consumertest"), ""},
		{"support imports what it needs", "pkg/consumer/consumertest/suite.go", ours("pkg/consumer"), ""},
		{"tests under test import all", "test/integration/harness.go", ours("pkg/cli"), ""},

		{"redis with its owner", "pkg/redisstream/client.go", "github.com/redis/go-redis/v9", ""},
		{"redis elsewhere", "pkg/app/app.go", "github.com/redis/go-redis/v9", "belongs to redisstream alone"},
		{"redis in a command", "cmd/fanout/main.go", "github.com/redis/go-redis/v9", "belongs to redisstream alone"},
		{"redis in a test", "pkg/app/app_test.go", "github.com/redis/go-redis/v9", ""},
		{"redis in test support", "test/redistest/redistest.go", "github.com/redis/go-redis/v9", ""},
		{"yaml with its owner", "pkg/manifest/parse.go", "gopkg.in/yaml.v3", ""},
		{"yaml elsewhere", "pkg/cli/check.go", "gopkg.in/yaml.v3", "belongs to manifest alone"},
		{"another yaml", "pkg/cli/check.go", "go.yaml.in/yaml/v4", "belongs to manifest alone"},
		{"signals with their owner", "pkg/cli/signal.go", "os/signal", ""},
		{"signals elsewhere", "pkg/app/app.go", "os/signal", "belongs to cli alone"},
		{"in-process redis with its owner", "pkg/app/demo/demo.go", "github.com/alicebob/miniredis/v2", ""},
		{"in-process redis elsewhere", "pkg/redisstream/client.go", "github.com/alicebob/miniredis/v2", "belongs to app and cli alone"},
		{"sqlite with its owner", "pkg/sink/internal/sqlstore/open.go", "modernc.org/sqlite", ""},
		{"sqlite elsewhere", "pkg/sink/sqldb/open.go", "modernc.org/sqlite/lib", "belongs to sink/internal/sqlstore alone"},

		{"init", "pkg/sink/webhook/send.go", "func init() {}", "init function"},
		{"init in a test", "pkg/sink/webhook/send_test.go", "func init() {}", "init function"},
		{"method named init", "pkg/sink/webhook/send.go", "type t int\nfunc (t) init() {}", ""},
		{"init outside pkg", "cmd/fanout/main.go", "func init() {}", ""},
		{"long file", "pkg/event/event.go", strings.Repeat("\n", arch.MaxLines), "more than 800 lines"},
		{"file of the greatest length", "pkg/event/event.go", strings.Repeat("\n", arch.MaxLines-2), ""},

		{"unfinished", "pkg/event/event.go", "// TODO: more", "event.go:2: a mark of unfinished work (TODO)"},
		{"unfinished outside Go", "scripts/test.sh", "# FIXME", "a mark of unfinished work (FIXME)"},
		{"unfinished in a test", "pkg/event/event_test.go", "// TODO: more", ""},
		{"unfinished in test data", "pkg/event/testdata/a.yaml", "# TODO", ""},
		{"word that holds a mark", "pkg/event/event.go", "// TODOS", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := "package x\n"
			if strings.Contains(tt.imports, "/") && !strings.Contains(tt.imports, " ") {
				text += fmt.Sprintf("import _ %q\n", tt.imports)
			} else {
				text += tt.imports + "\n"
			}
			got, err := arch.Check(fstest.MapFS{tt.file: {Data: []byte(text)}})
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if len(got) > 0 {
					t.Errorf("got %q, want no breach", got)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("got %q, want one breach with %q", got, tt.want)
			}
		})
	}
}

func TestCheckUnreadable(t *testing.T) {
	t.Parallel()
	_, err := arch.Check(fstest.MapFS{"pkg/event/event.go": {Data: []byte("no Go")}})
	if err == nil {
		t.Error("a file that cannot be parsed gave no error")
	}
}
