package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// result is everything that was measured.
type result struct {
	Machine    machine            `json:"machine"`
	Rounds     int                `json:"rounds"`
	Entries    int                `json:"entries"`
	EntryBytes float64            `json:"entry_bytes"` // in a reply, on average
	Seconds    float64            `json:"seconds"`     // that all of it took
	Deliveries []*series          `json:"deliveries,omitempty"`
	Live       []*liveSeries      `json:"live,omitempty"`
	Stores     []*storeSeries     `json:"stores,omitempty"`
	Idle       *idle              `json:"idle,omitempty"`
	Isolation  []*isolationSeries `json:"isolation,omitempty"`
	Crowd      *crowd             `json:"crowd,omitempty"`
}

// write writes the figures and the plot.
func (r *result) write(jsonName, svgName string) error {
	if jsonName != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return fmt.Errorf("encode figures: %w", err)
		}
		if err := writeFile(jsonName, append(text, '\n')); err != nil {
			return err
		}
	}
	if svgName != "" && len(r.Deliveries) > 0 {
		return writeFile(svgName, r.plot())
	}
	return nil
}

func writeFile(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.WriteFile(name, text, 0o644)
}

// machine is what the figures depend on.
type machine struct {
	OS         string `json:"os"`
	Processor  string `json:"processor"`
	Cores      int    `json:"cores"`
	Go         string `json:"go"`
	Redis      string `json:"redis"`
	Commit     string `json:"commit"`
	LoadBefore string `json:"load_before"` // the last 1, 5 and 15 minutes
	LoadAfter  string `json:"load_after"`
}

func (b *bench) machine(ctx context.Context) machine {
	m := machine{OS: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version(), LoadBefore: load()}
	if info, err := b.server.rdb.InfoMap(ctx, "server").Result(); err == nil {
		m.Redis = info["Server"]["redis_version"]
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		_, rest, _ := strings.Cut(string(text), "model name")
		line, _, _ := strings.Cut(rest, "\n")
		m.Processor = strings.TrimLeft(line, "\t :")
	}
	cmd := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty")
	cmd.Dir = b.root
	if text, err := cmd.Output(); err == nil {
		m.Commit = strings.TrimSpace(string(text))
	}
	return m
}

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}
