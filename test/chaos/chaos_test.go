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
	usualRounds = 2
)

// TestChaos runs as many rounds as CHAOS_ROUNDS says, hasty and patient in
// turn. CHAOS_TEMPER chooses one of the two, CHAOS_ONLY names the kinds of
// faults (a,b), all by default, CHAOS_WITHOUT those to leave out.
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
		lanes := choose(deal(random, temper), os.Getenv("CHAOS_ONLY"), os.Getenv("CHAOS_WITHOUT"))
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
	t.Logf("%d rounds of seed %d, faults by kind:\n%s", len(verdicts), seed, tally(verdicts))
	if len(verdicts) > 1 {
		t.Logf("all rounds:\n%s", total(verdicts))
	}
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
	fmt.Fprintln(w, "group\tentries\tdone\tfiltered\tburied\tunconfirmed\tlost by redis\tlost unseen\tagain\tnot reported\tunexplained\twrong\tlongest stall\t")
	for _, g := range groups {
		a := v.accounts[g]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%v\t\n", g, v.entries, a.Done, a.Filtered, a.Buried,
			a.Unconfirmed, a.Lost, a.Unseen, a.Again, a.Unreported, a.Unexplained, a.Wrong, v.stalls[g].Round(100*time.Millisecond))
	}
	_ = w.Flush()
	fmt.Fprintf(&b, "trims and deletions took, undelivered and pending: %v\n", v.taken)
	fmt.Fprintf(&b, "%d starts of processes, ended by themselves or by faults (code: times): %v; %d lines of logs\n", v.starts, v.exits, v.logLines)
	return b.String()
}

// total sums up rounds.
func total(verdicts []*verdict) *verdict {
	sum := &verdict{accounts: map[string]account{}, stalls: map[string]time.Duration{}, exits: map[int]int{}, taken: map[string]taken{}}
	for _, v := range verdicts {
		sum.entries += v.entries
		sum.starts += v.starts
		sum.logLines += v.logLines
		for code, n := range v.exits {
			sum.exits[code] += n
		}
		for _, g := range groups {
			a, t := sum.accounts[g], sum.taken[g]
			a.add(v.accounts[g])
			t.undelivered += v.taken[g].undelivered
			t.pending += v.taken[g].pending
			sum.accounts[g], sum.taken[g] = a, t
			sum.stalls[g] = max(sum.stalls[g], v.stalls[g])
		}
	}
	return sum
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
