package integration

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	metricName   = regexp.MustCompile(`\b(?:fanout|process|go)_[a-z_]+[a-z]\b`)
	mentioned    = regexp.MustCompile(`fanout ([a-z]+)`)
	ofAHistogram = regexp.MustCompile(`_(?:bucket|sum|count)$`)
)

// metrics are the names of all that /metrics shows.
func (p *process) metrics() ([]string, error) {
	resp, err := http.Get("http://" + p.admin + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var names []string
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "# TYPE "); ok {
			name, _, _ := strings.Cut(rest, " ")
			names = append(names, name)
		}
	}
	return names, lines.Err()
}

// Every metric that the alerts and the dashboard ask for is one that the binary
// has, and every command that an alert tells to run.
func TestDeployedMonitoring(t *testing.T) {
	t.Parallel()
	s := newSite(t).manifest(faultyGroup("a") + "retention: {" + eventsStream + ": {}}\n")
	s.publish("{}")
	p := s.run("--instance", "a").ready()
	s.settled(10*time.Second, "a")

	for _, file := range []string{"alerts.yaml", "grafana.json"} {
		text, err := os.ReadFile("../../scripts/deploy/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var wanted []string
		for _, line := range strings.Split(string(text), "\n") {
			for _, name := range metricName.FindAllString(line, -1) {
				wanted = append(wanted, ofAHistogram.ReplaceAllString(name, ""))
			}
		}
		if len(wanted) < 10 {
			t.Errorf("%s asks for %d metrics", file, len(wanted))
		}
		eventually(t, 10*time.Second, "show what "+file+" asks for", func() error {
			names, err := p.metrics()
			for _, name := range wanted {
				if err == nil && !slices.Contains(names, name) {
					err = fmt.Errorf("no metric %s", name)
				}
			}
			return err
		})
	}

	alerts, err := os.ReadFile("../../scripts/deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	commands := mentioned.FindAllStringSubmatch(string(alerts), -1)
	if len(commands) < 5 {
		t.Errorf("the alerts tell to run %d commands", len(commands))
	}
	for _, c := range commands {
		if _, stderr, code := command(t, s, "help", c[1]); code != 0 {
			t.Errorf("an alert tells to run fanout %s: %s", c[1], stderr)
		}
	}
	p.stop()
}
