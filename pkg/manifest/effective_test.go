package manifest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"example.com/fanout/pkg/manifest"
)

// Effective shows every key of every good manifest, and no secret.
func TestEffective(t *testing.T) {
	t.Parallel()
	for _, path := range append(glob(t, "testdata/*.good.yaml"), "../../groups.yaml") {
		m, faults := parseFile(t, path)
		if err := faults.Err(); err != nil {
			t.Fatal(err)
		}
		text := manifest.Effective(m)
		var shown struct {
			Version int
			Redis   map[string]any
			Groups  map[string]map[string]any
		}
		if err := json.Unmarshal(text, &shown); err != nil {
			t.Fatalf("%s: %v: %s", path, err, text)
		}
		for _, secret := range testSecrets {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s: the secret %s is shown: %s", path, secret, text)
			}
		}
		if len(shown.Groups) != len(m.Groups) || shown.Version != 1 || shown.Redis["url"] != "***" {
			t.Errorf("%s: %s", path, text)
		}
		for _, g := range m.Groups {
			got := shown.Groups[g.Name]
			if got["stream"] != g.Stream || got["consumers"] != float64(g.Consumers) || got["enabled"] != g.Enabled {
				t.Errorf("%s: %s is %v", path, g.Name, got)
			}
			if handler, ok := got["handler"].(map[string]any); !ok || handler[g.Handler.Type] == nil {
				t.Errorf("%s: the handler of %s is %v", path, g.Name, got["handler"])
			}
		}
	}
	m, _ := parseFile(t, "testdata/everything.good.yaml")
	text := string(manifest.Effective(m))
	for _, want := range []string{
		`"admin":{"listen":"0.0.0.0:0","hosts":["fanout.example","fanout"],"token":"","token_file":"/run/secrets/admin","metrics_open":true,`,
		`"bytes":"64KiB"`, `"min_idle":"6s"`, `"start":"1763856000123-0"`, `"headers":{"X-Key":"***","X-Two":"***"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
}
