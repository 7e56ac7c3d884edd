// Package probe measures how long entries are on their way: from the moment
// that the producer has written into the event to the moment when the client's
// own code has the entry in its hands. Its Recorder is used by every client of
// the benchmark, its handler brings it into fanout.
package probe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Sent is the member of an event that tells when the producer wrote it, in
// nanoseconds since 1970. 0 means that the entry is not to be measured.
const Sent = "sent"

var sent = []byte(`"` + Sent + `":`)

// Recorder collects times on the way. It is safe for concurrent use.
type Recorder struct {
	mu  sync.Mutex
	all []int64 // nanoseconds
}

// Latency is a summary; times are in microseconds.
type Latency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// Add takes note of entries that have all arrived now.
func (r *Recorder) Add(now time.Time, sent []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range sent {
		if s != 0 {
			r.all = append(r.all, now.UnixNano()-s)
		}
	}
}

// Latency sums up what was added so far.
func (r *Recorder) Latency() Latency {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.all)
	at := func(share float64) float64 {
		if len(r.all) == 0 {
			return 0
		}
		return float64(r.all[int(share*float64(len(r.all)-1))]) / 1e3
	}
	return Latency{Count: len(r.all), P50: at(0.5), P90: at(0.9), P99: at(0.99), Max: at(1)}
}

// WriteFile writes the summary as JSON.
func (r *Recorder) WriteFile(name string) error {
	text, err := json.Marshal(r.Latency())
	if err != nil {
		return fmt.Errorf("encode latency: %w", err)
	}
	return os.WriteFile(name, text, 0o600)
}

// SentIn finds the number in an event without decoding it, 0 if there is none.
func SentIn(event []byte) int64 {
	at := bytes.LastIndex(event, sent)
	if at < 0 {
		return 0
	}
	rest := event[at+len(sent):]
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(string(rest[:end]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
