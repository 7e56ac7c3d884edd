package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain lets the benchmark start itself as one of its clients.
func TestMain(m *testing.M) {
	if !role(os.Args) {
		os.Exit(m.Run())
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	tests := []struct {
		figures []float64
		want    spread
	}{
		{nil, spread{}},
		{[]float64{7}, spread{7, 7, 7}},
		{[]float64{3, 1, 2}, spread{2, 1, 3}},
		{[]float64{4, 1, 3, 2}, spread{2.5, 1, 4}},
		{[]float64{math.NaN(), 5, math.Inf(1), 1, 3}, spread{3, 1, 5}},
		{[]float64{math.NaN()}, spread{}},
	}
	for _, tt := range tests {
		given := slices.Clone(tt.figures)
		if got := spreadOf(tt.figures); got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.figures, got, tt.want)
		}
		if fmt.Sprint(given) != fmt.Sprint(tt.figures) {
			t.Errorf("%v was changed to %v", given, tt.figures)
		}
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ got, want string }{
		{thousands(0), "0"},
		{thousands(999), "999"},
		{thousands(1000), "1,000"},
		{thousands(12345678), "12,345,678"},
		{spread{2, 1, 3}.whole(), "2 (1-3)"},
		{spread{2, 2, 2}.whole(), "2"},
		{spread{0.5, 0.25, 0.75}.percent(), "50 (25-75)"},
		{spread{}.fine(), "-"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestParseProc(t *testing.T) {
	t.Parallel()
	stat := "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 125 0 0 20 0 9 0 1 2 3"
	if got, err := parseCPU(stat); err != nil || got != 3750*time.Millisecond {
		t.Errorf("processor time %v, %v, want 3.75s", got, err)
	}
	status := "Name:\tfanout\nVmPeak:\t  999 kB\nVmHWM:\t   20480 kB\nVmRSS:\t   10000 kB\n"
	if got, err := parsePeak(status); err != nil || got != 20 {
		t.Errorf("peak %v MiB, %v, want 20", got, err)
	}
	for _, text := range []string{"", "1 (x) S 1", "1 (x) S 1 2 3 4 5 6 7 8 9 10 x 1 1"} {
		if got, err := parseCPU(text); err == nil {
			t.Errorf("parseCPU(%q) gives %v", text, got)
		}
	}
	for _, text := range []string{"", "VmHWM:", "VmHWM: x kB", "VmHWM: 5 MB"} {
		if got, err := parsePeak(text); err == nil {
			t.Errorf("parsePeak(%q) gives %v", text, got)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"-groups", "1, 30", "-only", "live,idle", "-with", "batch={size: 5}", "-with", "consumers=1"}, io.Discard)
	if err != nil || !slices.Equal(o.groups, []int{1, 30}) || !slices.Equal(o.only, []string{"live", "idle"}) {
		t.Errorf("got %+v, %v", o, err)
	}
	text := (&bench{opts: o}).manifest(job{stream: "s", groups: names(2)})
	for _, want := range []string{"\n  batch: {size: 5}\n  consumers: 1\n  stream: s\ngroups:\n", "\n  bench-0: ", "\n  bench-1: "} {
		if !strings.Contains(text, want) {
			t.Errorf("the manifest lacks %q:\n%s", want, text)
		}
	}
	for _, args := range []string{"-groups 0", "-groups x", "-groups 1,,2", "-only sql", "-with consumers", "-entries 10", "-rounds 0", "extra"} {
		if o, err := parseOptions(strings.Fields(args), io.Discard); err == nil || errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: gives %+v", args, o)
		}
	}
}

// TestEntries: a reply is understood however the network cuts it.
func TestEntries(t *testing.T) {
	t.Parallel()
	var reply []byte
	const n = 50
	reply = append(reply, "*1\r\n*2\r\n$1\r\ns\r\n*"+strconv.Itoa(n)+"\r\n"...)
	var want []string
	for i := range n {
		id, value := fmt.Sprintf("%d-%d", 1763856000000+i, i), strings.Repeat("v\r\n", i*i)
		want = append(want, id+" "+value)
		reply = append(reply, "*2\r\n"...)
		reply = appendBulk(reply, id)
		reply = append(reply, "*2\r\n"...)
		reply = appendBulk(reply, "event")
		reply = appendBulk(reply, value)
	}
	reply = append(reply, ":50\r\n*-1\r\n"...)
	for _, piece := range []int{1, 7, 1000, len(reply)} {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			for rest := reply; len(rest) > 0; {
				part := rest[:min(piece, len(rest))]
				rest = rest[len(part):]
				if _, err := theirs.Write(part); err != nil {
					return
				}
			}
		}()
		l := newLine(ours)
		l.in = make([]byte, 64) // so that it has to grow
		var got []string
		count, err := l.entries(func(id, value []byte) { got = append(got, string(id)+" "+string(value)) })
		if err != nil || count != n || !slices.Equal(got, want) {
			t.Errorf("pieces of %d: %d entries, %v", piece, count, err)
		}
		if acked, err := l.number(':'); acked != 50 || err != nil {
			t.Errorf("pieces of %d: acknowledged %d, %v", piece, acked, err)
		}
		if count, err := l.entries(nil); count != 0 || err != nil {
			t.Errorf("pieces of %d: nil gives %d, %v", piece, count, err)
		}
		if _, err := l.entries(nil); !errors.Is(err, io.EOF) {
			t.Errorf("pieces of %d: at the end %v", piece, err)
		}
		ours.Close()
	}
}

func TestEntriesRefused(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{"-NOGROUP no\r\n", "\r\n", ":\r\n", "*1\r\n*2\r\n$-1\r\n"} {
		ours, theirs := net.Pipe()
		go func() { _, _ = io.WriteString(theirs, reply) }()
		if n, err := newLine(ours).entries(nil); err == nil {
			t.Errorf("%q gives %d entries", reply, n)
		}
		ours.Close()
		theirs.Close()
	}
}

// TestPrint: nothing that was measured is left out, and what makes figures
// worth less is said.
func TestPrint(t *testing.T) {
	t.Parallel()
	limit := &series{Contender: theLimit, Groups: 3, Rounds: []delivered{{Rate: 600_000, Ratio: 1, ServerBusy: 0.5, Peak: 12}}}
	fanout := &series{Contender: ours, Groups: 3, Rounds: []delivered{{Rate: 300_000, Ratio: 0.5, ServerBusy: 0.5, Peak: 33}}}
	limit.sum()
	fanout.sum()
	r := &result{Rounds: 1, Deliveries: []*series{limit, fanout}, Idle: &idle{Groups: 3, Seconds: 30, Client: 0.001}}
	var out bytes.Buffer
	r.print(&out)
	for _, want := range []string{"300000", "50", "33", "0.10 % of a core", "warning: 3 groups: redis-server was busy for 50 %"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tables lack %q:\n%s", want, &out)
		}
	}
	limit.Rounds[0].ServerBusy = 0.99
	limit.sum()
	if list := r.warnings(); len(list) > 0 {
		t.Errorf("warns of nothing: %v", list)
	}
	svg := string(r.plot())
	if err := xml.Unmarshal([]byte(svg), new(struct{})); err != nil {
		t.Errorf("the plot is no XML: %v", err)
	}
	for _, want := range []string{"3 groups", "600,000<", "300,000  (50 %)<", "prefers-color-scheme: dark"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the plot lacks %q:\n%s", want, svg)
		}
	}
}
