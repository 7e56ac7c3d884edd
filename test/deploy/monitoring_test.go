package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// promtool runs promtool in the folder of the examples.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is not installed; install it with: scripts/install-promtool.sh")
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// ruleFile is alerts.yaml.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", "alerts.yaml")
	promtool(t, "test", "rules", "alerts_test.yaml")

	// Each is seen firing and seen quiet, and says what to do.
	type ruleTest struct {
		AlertRuleTest []struct {
			Alertname string      `yaml:"alertname"`
			ExpAlerts []yaml.Node `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, file := range documents[struct{ Tests []ruleTest }](t, "alerts_test.yaml", false) {
		for _, test := range file.Tests {
			for _, a := range test.AlertRuleTest {
				fires[a.Alertname] = fires[a.Alertname] || len(a.ExpAlerts) > 0
				quiet[a.Alertname] = quiet[a.Alertname] || len(a.ExpAlerts) == 0
			}
		}
	}
	n := 0
	for _, file := range documents[ruleFile](t, "alerts.yaml", true) {
		for _, r := range file.Groups[0].Rules {
			n++
			if !fires[r.Alert] || !quiet[r.Alert] {
				t.Errorf("%s has no test in which it fires, or none in which it does not", r.Alert)
			}
			if severity := r.Labels["severity"]; severity != "page" && severity != "ticket" {
				t.Errorf("%s has the severity %q", r.Alert, severity)
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s does not say what to do", r.Alert)
			}
		}
	}
	if n < 10 {
		t.Errorf("%d alerts", n)
	}
}

// dashboard is what matters of grafana.json.
type dashboard struct {
	Title, UID string
	Panels     []struct {
		ID          int
		Type, Title string
		Description string
		GridPos     struct{ H, W, X, Y int }
		Targets     []struct {
			Expr, LegendFormat string
			Datasource         struct{ UID string }
		}
	}
	Templating struct {
		List []struct{ Name string }
	}
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "grafana.json")), &d); err != nil {
		t.Fatal(err)
	}
	// What Grafana puts in the place of its variables, longest first.
	replace := []string{"$__rate_interval", "5m"}
	for _, v := range d.Templating.List {
		replace = append(replace, "$"+v.Name, ".*")
	}
	fill := strings.NewReplacer(replace...)
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var (
		rules []rule
		ids   = map[int]bool{}
		taken = map[string]string{}
	)
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d, %q: the ID is there twice, or there is no title", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				cell := fmt.Sprintf("%d,%d", x, y)
				if taken[cell] != "" || x >= 24 {
					t.Fatalf("%s lies over %s, or outside", p.Title, taken[cell])
				}
				taken[cell] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Description == "" {
			t.Errorf("%s asks for nothing, or does not say what it is", p.Title)
		}
		for _, target := range p.Targets {
			expr := fill.Replace(target.Expr)
			if strings.Contains(expr, "$") || target.Datasource.UID != "${datasource}" {
				t.Errorf("%s: unknown variable, or not the chosen data source: %s", p.Title, target.Expr)
			}
			rules = append(rules, rule{fmt.Sprintf("panel:%d:%d", p.ID, len(rules)), expr})
		}
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "panels", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}
