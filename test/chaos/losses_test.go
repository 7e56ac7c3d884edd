package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"example.com/fanout/pkg/stream"
)

// report is one loss that a process has told of: a line of its log at level
// ERROR with a group and the IDs that enclose what is gone.
type report struct {
	at          time.Time
	group       string
	reason      string
	certain     bool
	entries     int64 // exact when certain, else at most so many; -1 for unknown
	first, last stream.ID
}

// The reasons that are counted, and not only enclosed.
var countedReasons = map[string]bool{"trimmed": true, "deleted": true}

type reports []report

// covers reports whether the loss of an entry has been told: after it came about,
// in a range that holds the ID.
func (r reports) covers(group string, id stream.ID, since time.Time) bool {
	for _, told := range r {
		if told.group == group && !told.at.Before(since) && !id.Before(told.first) && !told.last.Before(id) {
			return true
		}
	}
	return false
}

// since are those that were told from then on.
func (r reports) since(moment time.Time) (later reports) {
	for _, told := range r {
		if !told.at.Before(moment) {
			later = append(later, told)
		}
	}
	return later
}

// counted sums up what was told of trims and deletions: certain entries, and
// what may have been lost beside them.
func (r reports) counted(group string) (certain, possible int64) {
	for _, told := range r {
		switch {
		case told.group != group || !countedReasons[told.reason]:
		case told.certain:
			certain += told.entries
		case told.entries < 0:
			possible = math.MaxInt32
		default:
			possible += told.entries
		}
	}
	return certain, possible
}

// unsettledMessage is what a group says that has ended with exit code 4 to come.
const unsettledMessage = "group stopped with entries unsettled, they come again"

// mostTwice is how many losses may be told twice at once in a round: a process
// that was stopped before it could tell goes on when another has stood in for it.
const mostTwice = 5

// takeover is how long after its discovery a loss may be told a second time: its
// teller may have died before it could note that it had told.
const takeover = 5 * time.Second

// once drops what was told a second time, and says what was told a second time
// so soon that its teller cannot have been gone.
func (r reports) once() (reports, []string) {
	type identity struct {
		group, reason string
		certain       bool
		entries       int64
		first, last   stream.ID
	}
	var kept reports
	var twice []string
	seen := map[identity]time.Time{}
	for _, told := range r {
		id := identity{told.group, told.reason, told.certain, told.entries, told.first, told.last}
		before, known := seen[id]
		seen[id] = told.at
		if !known {
			kept = append(kept, told)
		} else if told.at.Sub(before).Abs() < takeover {
			twice = append(twice, fmt.Sprintf("%s: %d entries from %v to %v were reported as %s twice, at %v and %v",
				told.group, told.entries, told.first, told.last, told.reason, before, told.at))
		}
	}
	return kept, twice
}

// record is what is looked at of a line of a log.
type record struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`
	Message string    `json:"msg"`
	Group   string    `json:"group"`
	Reason  string    `json:"reason"`
	Entries *int64    `json:"entries"` // nil for an unknown number
	First   string    `json:"first"`
	Last    string    `json:"last"`
}

func (r record) report() (report, bool) {
	if r.Level != "ERROR" || r.Group == "" || r.Reason == "" {
		return report{}, false
	}
	first, err := stream.ParseID(r.First)
	if err != nil {
		return report{}, false
	}
	last, err := stream.ParseID(r.Last)
	if err != nil {
		return report{}, false
	}
	entries := int64(-1)
	if r.Entries != nil {
		entries = *r.Entries
	}
	return report{r.Time, r.Group, r.Reason, r.Message == "entries lost", entries, first, last}, true
}

// reports reads all logs.
func (r *round) reports() (found reports, lines int, err error) {
	for _, s := range r.slots {
		err := eachRecord(s.log, func(r record) {
			lines++
			if told, ok := r.report(); ok {
				found = append(found, told)
			}
		})
		if err != nil {
			return nil, 0, err
		}
	}
	return found, lines, nil
}

func eachRecord(file string, visit func(record)) error {
	f, err := os.Open(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r record
		_ = json.Unmarshal(lines.Bytes(), &r) // the trace of a panic is no record
		visit(r)
	}
	return lines.Err()
}

// taken counts what trims and deletions have taken from a group.
type taken struct {
	undelivered int64 // told exactly, each once
	pending     int64 // told unless somebody had it at hand, and could settle it
}

// miscounted compares what was told of trims and deletions with what was taken.
// missing are the entries that were pending, and are in no store.
func miscounted(group string, told reports, was taken, missing int64) string {
	certain, possible := told.counted(group)
	least, most := was.undelivered+missing, was.undelivered+was.pending
	if certain > most || certain+possible < least {
		return fmt.Sprintf("%s: trims and deletions took %d undelivered and %d pending entries, %d of those for good; reported were %d as certain, %d as possible",
			group, was.undelivered, was.pending, missing, certain, possible)
	}
	return ""
}
