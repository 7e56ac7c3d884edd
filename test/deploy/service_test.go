package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/sink/builtin"
)

// load wants a sound manifest.
func load(t *testing.T, path string) *manifest.Manifest {
	t.Helper()
	m, faults := app.Load(path, builtin.Registry())
	if m == nil {
		t.Fatal(faults.Err())
	}
	return m
}

// longestDrain is how long a stop may wait for calls.
func longestDrain(m *manifest.Manifest) (longest time.Duration) {
	for _, g := range m.Groups {
		longest = max(longest, g.DrainTimeout)
	}
	return longest
}

// margin is what a stop takes beside the longest drain_timeout.
const margin = 10 * time.Second

// unit are the settings of a unit by name; several of one name are in order.
func unit(t *testing.T, name string) map[string][]string {
	t.Helper()
	settings, section := map[string][]string{}, ""
	for i, line := range strings.Split(read(t, name), "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
			if !slices.Contains([]string{"Unit", "Service", "Install"}, section) {
				t.Errorf("line %d: section %s", i+1, section)
			}
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" || strings.TrimSpace(key) != key {
				t.Errorf("line %d is no setting: %s", i+1, line)
			}
			settings[key] = append(settings[key], value)
		}
	}
	return settings
}

func TestUnit(t *testing.T) {
	t.Parallel()
	u := unit(t, "fanout.service")
	seconds := func(name string) time.Duration {
		n, err := strconv.Atoi(strings.Join(u[name], ""))
		if err != nil {
			t.Fatalf("%s=%v", name, u[name])
		}
		return time.Duration(n) * time.Second
	}
	if drain := longestDrain(load(t, "../../groups.yaml")); seconds("TimeoutStopSec") < drain+margin {
		t.Errorf("TimeoutStopSec is %s, and a stop may take %s", seconds("TimeoutStopSec"), drain+margin)
	}
	if least := 30 * time.Second; seconds("TimeoutStartSec") < least+margin { // the lease of the instance name
		t.Errorf("TimeoutStartSec is %s, and a start may wait %s", seconds("TimeoutStartSec"), least)
	}
	if seconds("WatchdogSec") < 30*time.Second { // after which a loop counts as hanging
		t.Errorf("WatchdogSec is %s", seconds("WatchdogSec"))
	}
	for name, want := range map[string]string{
		"Type": "notify-reload", "NotifyAccess": "main", "Restart": "on-failure", "RestartPreventExitStatus": "78",
		"DynamicUser": "yes", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "StateDirectory": "fanout",
		"ExecStart": "/usr/local/bin/fanout run -c /etc/fanout/groups.yaml",
	} {
		if got := strings.Join(u[name], "\n"); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	if _, there := u["ExecReload"]; there {
		t.Error("ExecReload beside Type=notify-reload would reload twice")
	}
}

// object is what is looked at of a Kubernetes object.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Data       map[string]string
	Spec       struct {
		Replicas int
		Strategy struct{ Type string }
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				Grace      int `yaml:"terminationGracePeriodSeconds"`
				Containers []container
				Volumes    []struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
					Claim     struct {
						Name string `yaml:"claimName"`
					} `yaml:"persistentVolumeClaim"`
				}
			}
		}
	}
}

type container struct {
	Args  []string
	Ports []struct {
		Name string
		Port int `yaml:"containerPort"`
	}
	Liveness  probe `yaml:"livenessProbe"`
	Readiness probe `yaml:"readinessProbe"`
	Mounts    []struct {
		Name string
		Path string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	Get struct{ Path, Port string } `yaml:"httpGet"`
}

func TestKubernetes(t *testing.T) {
	t.Parallel()
	byKind := map[string]object{}
	for _, o := range documents[object](t, "kubernetes.yaml", false) {
		byKind[o.Kind] = o
	}
	config, claim, d := byKind["ConfigMap"], byKind["PersistentVolumeClaim"], byKind["Deployment"]
	if len(byKind) != 3 || d.Spec.Replicas != 1 || d.Spec.Strategy.Type != "Recreate" {
		t.Fatalf("%d kinds of objects, %d replicas, strategy %s", len(byKind), d.Spec.Replicas, d.Spec.Strategy.Type)
	}
	for key, value := range d.Spec.Selector.MatchLabels {
		if d.Spec.Template.Metadata.Labels[key] != value {
			t.Errorf("the selector's %s is not a label of the pods", key)
		}
	}

	// The manifest is sound, with secrets in files as the pod has them.
	secrets, dir := t.TempDir(), t.TempDir()
	for _, name := range []string{"redis-password", "admin-token", "webhook-secret"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte("whsec_ZmFub3V0LWRlbW8tc2VjcmV0LTEyMzQ1Ng=="), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.ReplaceAll(config.Data["groups.yaml"], "/run/secrets/fanout", secrets)
	path := filepath.Join(dir, "groups.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m := load(t, path)

	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	if grace := time.Duration(pod.Grace) * time.Second; grace < longestDrain(m)+margin {
		t.Errorf("the pod has %s to stop, and may take %s", grace, longestDrain(m)+margin)
	}
	if want := ":" + strconv.Itoa(c.Ports[0].Port); m.Admin.Listen != want || c.Ports[0].Name != c.Liveness.Get.Port || c.Ports[0].Name != c.Readiness.Get.Port {
		t.Errorf("the manifest listens on %s, the container on %s, and the probes ask %+v %+v", m.Admin.Listen, want, c.Liveness, c.Readiness)
	}
	if c.Liveness.Get.Path != "/healthz" || c.Readiness.Get.Path != "/readyz" {
		t.Errorf("probes %+v %+v", c.Liveness, c.Readiness)
	}
	if strings.Join(c.Args[:3], " ") != "run -c /etc/fanout/groups.yaml" {
		t.Errorf("arguments %q", c.Args)
	}
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap.Name != "" && v.ConfigMap.Name != config.Metadata.Name || v.Claim.Name != "" && v.Claim.Name != claim.Metadata.Name {
			t.Errorf("the volume %s is of an object that is not there", v.Name)
		}
	}
	mounted := func(file string) bool {
		for _, mount := range c.Mounts {
			if strings.HasPrefix(file, mount.Path+"/") {
				return volumes[mount.Name]
			}
		}
		return false
	}
	for _, file := range []string{"/etc/fanout/groups.yaml", m.State, "/var/lib/fanout/trades.db", "/run/secrets/fanout/admin-token", "/tmp/x"} {
		if !mounted(file) {
			t.Errorf("%s is on no volume", file)
		}
	}
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	text := read(t, "Dockerfile")
	for _, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "COPY" || strings.HasPrefix(words[1], "--") {
			continue
		}
		for _, source := range words[1 : len(words)-1] {
			if _, err := os.Stat(filepath.Join("../..", source)); err != nil {
				t.Error(err)
			}
			if !strings.Contains(read(t, "Dockerfile.dockerignore"), "\n!"+source+"\n") {
				t.Errorf("%s is kept out by Dockerfile.dockerignore", source)
			}
		}
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(string(mod), "\ngo ")
	version, _, _ = strings.Cut(version, "\n")
	if parts := strings.Split(version, "."); !strings.Contains(text, "golang:"+parts[0]+"."+parts[1]+" ") {
		t.Errorf("the image is not built with Go %s", version)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	const variable = "-X example.com/fanout/pkg/cli.Version="
	if !strings.Contains(text, variable) || !strings.Contains(string(makefile), variable) {
		t.Error("image and make build set the version in different places")
	}
	if !strings.Contains(text, "USER 65532") {
		t.Error("the image runs as root")
	}
}
