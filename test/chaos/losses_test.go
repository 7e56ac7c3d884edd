package chaos

import (
	"bufio"
	"encoding/json"
	"os"

	"example.com/fanout/pkg/stream"
)

// reports are the ranges that the processes have reported as lost, by group.
type reports map[string][]idRange

// idRange is from first to last, both of them in it.
type idRange struct{ first, last stream.ID }

// covers reports whether an entry lies in a range that was reported as lost to
// the group.
func (r reports) covers(group string, id stream.ID) bool {
	for _, reported := range r[group] {
		if !id.Before(reported.first) && !reported.last.Before(id) {
			return true
		}
	}
	return false
}

// lossReports reads the logs. A report is a line at level ERROR with a group
// and both IDs of the range.
func lossReports(files ...string) (reports, error) {
	found := reports{}
	return found, eachRecord(files, func(r record) {
		if r.Level != "ERROR" || r.Group == "" {
			return
		}
		first, err := stream.ParseID(r.First)
		if err != nil {
			return
		}
		last, err := stream.ParseID(r.Last)
		if err != nil {
			return
		}
		found[r.Group] = append(found[r.Group], idRange{first, last})
	})
}

// record is what is looked at of a line of a log.
type record struct {
	Level string `json:"level"`
	Group string `json:"group"`
	First string `json:"first"`
	Last  string `json:"last"`
}

func eachRecord(files []string, visit func(record)) error {
	for _, name := range files {
		f, err := os.Open(name)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var r record
			_ = json.Unmarshal(lines.Bytes(), &r) // the trace of a panic is no record
			visit(r)
		}
		err = lines.Err()
		_ = f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
