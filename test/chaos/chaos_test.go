package chaos

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// What `go test` and `make test` run.
const (
	usualSeed   = 1
	usualRounds = 3
)

// TestChaos runs as many rounds as CHAOS_ROUNDS says, hasty and patient in
// turn. CHAOS_TEMPER chooses one of the two, CHAOS_ONLY names the kinds of
// faults (a,b), all by default.
func TestChaos(t *testing.T) {
	seed, rounds := number(t, "CHAOS_SEED", usualSeed), number(t, "CHAOS_ROUNDS", usualRounds)
	t.Logf("seed %d, %d rounds", seed, rounds)
	random := rand.New(rand.NewPCG(seed, 0))
	var verdicts []*verdict
	for n := range rounds {
		temper := temper((n + 1) % 2)
		if os.Getenv("CHAOS_TEMPER") == hasty.String() {
			temper = hasty
		} else if os.Getenv("CHAOS_TEMPER") == patient.String() {
			temper = patient
		}
		lanes := only(deal(random, temper), os.Getenv("CHAOS_ONLY"))
		var schedule strings.Builder
		for _, faults := range lanes {
			for _, f := range faults {
				fmt.Fprintln(&schedule, " ", f)
			}
		}
		t.Run(fmt.Sprintf("%d %s", n+1, temper), func(t *testing.T) {
			t.Logf("the schedule of seed %d, round %d:\n%s", seed, n+1, &schedule)
			began := time.Now()
			v := newRound(t, temper, random.Uint64()).play(lanes)
			t.Logf("%s round of %v:\n%s", temper, time.Since(began).Round(100*time.Millisecond), v)
			for _, what := range v.examples {
				t.Error(what)
			}
			verdicts = append(verdicts, v)
		})
		if t.Failed() {
			break
		}
	}
	t.Logf("faults by kind:\n%s", tally(verdicts))
}

func number(t *testing.T, name string, usual uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// String is the table of a round.
func (v *verdict) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "group\tentries\tdone\tfiltered\tburied\tcrashed\tunconfirmed\tlost, reported\tlost, not reported\tagain\tunexplained\twrong\tlongest stall\t")
	for _, g := range groups {
		a := v.accounts[g]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%v\t\n", g, v.entries, a.Done, a.Filtered, a.Buried, a.Crashed,
			a.Unconfirmed, a.Reported, a.Unreported, a.Again, a.Unexplained, a.Wrong, v.stalls[g].Round(100*time.Millisecond))
	}
	_ = w.Flush()
	fmt.Fprintf(&b, "undelivered entries that trims took: %v\n", v.trimmed)
	fmt.Fprintf(&b, "%d starts of processes, ended by themselves or by faults (code: times): %v; %d lines of logs\n", v.starts, v.exits, v.logLines)
	return b.String()
}

func tally(verdicts []*verdict) string {
	sum := map[string]int{}
	for _, v := range verdicts {
		for name, n := range v.faults {
			sum[name] += n
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sum)) {
		fmt.Fprintf(&b, "%4d  %s\n", sum[name], name)
	}
	return b.String()
}
