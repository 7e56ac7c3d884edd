package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// lane is what faults are of; the faults of one lane follow each other, the
// lanes run side by side, but for the last one.
type lane uint8

const (
	redisLane   lane = iota // Redis, the network, the sinks
	processLane             // the processes and what they are told
	dataLane                // what is published
	lastLane                // when the others have ended
	numLanes
)

func (l lane) String() string { return [...]string{"redis", "process", "data", "last"}[l] }

// temper is the kind of a round.
type temper uint8

const (
	// patient: claim.min_idle is longer than the round, so that nothing but the
	// owner itself can find what it has lost track of. Redis keeps its data.
	patient temper = iota
	// hasty: claim.min_idle is short, processes and Redis are stopped beyond it,
	// and Redis loses data.
	hasty
)

func (t temper) String() string { return [...]string{"patient", "hasty"}[t] }

// kind is a kind of fault.
type kind struct {
	name string
	lane lane
	in   []temper
	do   func(*round, fault) error
}

// fault is one fault of a schedule. A kind takes from it what it needs.
type fault struct {
	kind  *kind
	pause time.Duration // before it
	hold  time.Duration // how long it lasts
	n     int           // 2 to 6: how often, how many
	slot  int           // the process
	group string
	seed  uint64
}

func (f fault) String() string {
	return fmt.Sprintf("%-7s %-18s after %-6v for %-6v n=%d slot=%d group=%s",
		f.kind.lane, f.kind.name, f.pause.Round(10*time.Millisecond), f.hold.Round(10*time.Millisecond), f.n, f.slot, f.group)
}

// deal makes the schedule of a round: every kind that suits its temper once,
// in an order by the seed.
func deal(random *rand.Rand, t temper) [numLanes][]fault {
	var lanes [numLanes][]fault
	for i := range kinds {
		k := &kinds[i]
		if !slices.Contains(k.in, t) {
			continue
		}
		between := func(low, high time.Duration) time.Duration {
			return low + time.Duration(random.Int64N(int64(high-low)))
		}
		lanes[k.lane] = append(lanes[k.lane], fault{
			kind:  k,
			pause: between(100*time.Millisecond, 500*time.Millisecond),
			hold:  between(500*time.Millisecond, 1500*time.Millisecond),
			n:     2 + random.IntN(5),
			slot:  random.IntN(2),
			group: groups[random.IntN(len(groups))],
			seed:  random.Uint64(),
		})
	}
	for _, faults := range lanes {
		random.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	}
	return lanes
}

// choose drops the faults whose kinds are not named in only, unless that is
// empty, and those that are named in without.
func choose(lanes [numLanes][]fault, only, without string) [numLanes][]fault {
	for i := range lanes {
		lanes[i] = slices.DeleteFunc(lanes[i], func(f fault) bool {
			return only != "" && !slices.Contains(strings.Split(only, ","), f.kind.name) ||
				slices.Contains(strings.Split(without, ","), f.kind.name)
		})
	}
	return lanes
}
