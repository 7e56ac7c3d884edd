package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The manifest's parts that a reload changes.
type settings struct {
	consumers int
	drain     time.Duration // a change replaces every group
	guest     bool          // one more group
	audit     time.Duration // 0: that of the temper
}

// usualAudit is how often a consumer looks through its pending list, where it may.
const usualAudit = 2 * time.Second

var calm = settings{consumers: 2, drain: 8 * time.Second}

// restartSignals are those of the groups, in the order of groups.
var restartSignals = map[string]int{analytics: 35, persistence: 36, notifications: 37, slow: 38, flaky: 39}

// writeManifest puts the shipped groups under timings of our own, with two more
// groups. It replaces the file as a whole.
func (r *round) writeManifest(s settings) error {
	shipped, err := os.ReadFile("../../groups.yaml")
	if err != nil {
		return err
	}
	_, declared, ok := strings.Cut(string(shipped), "\ngroups:\n")
	if !ok {
		return fmt.Errorf("groups.yaml has no groups")
	}
	// Neither a claim nor an audit is in time: what a consumer loses track of stays
	// pending.
	minIdle, audit := time.Hour, time.Hour
	if r.temper == hasty {
		minIdle, audit = hastyIdle, usualAudit
	}
	if s.audit > 0 {
		audit = s.audit
	}
	text := fmt.Sprintf(`version: 1
redis: {url: "${REDIS_URL}"}
admin: {listen: "off"}
defaults:
  stream: %s
  consumers: %d
  timeout: 1500ms
  audit_interval: %s
  drain_timeout: %s
  claim: {min_idle: %s, interval: 300ms}
  retry: {attempts: 10, min_backoff: 20ms, max_backoff: 500ms}
  restart: {min_backoff: 50ms, max_backoff: 500ms, intensity: 1000}
groups:
%s
  slow:
    restart_signal: 38
    batch: {size: 64}
    retry: {attempts: 1000}   # the brake is no failure
    handler: {probe: {journal: journal, delay: 500us, brake: brake}}
  flaky:
    restart_signal: 39
    max_deliveries: 6   # more than the processes that are killed from outside can spend on an entry
    handler: {probe: {journal: journal, flaky: true}}
`, streamKey, s.consumers, audit, s.drain, minIdle, declared)
	if s.guest {
		text += "  guest:\n    start: latest\n    handler: {probe: {journal: guests}}\n"
	}
	return r.replaceManifest(text)
}

func (r *round) replaceManifest(text string) error {
	temp := filepath.Join(r.dir, "groups.yaml.new")
	if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(r.dir, "groups.yaml"))
}

// reload tells all processes.
func (r *round) reload() { r.tellAll(hangup) }
