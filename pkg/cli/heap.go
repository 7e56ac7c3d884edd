package cli

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapFloor is the size of the heap, in bytes, below which no garbage is
// collected. What is alive is mostly far less, and Go collects each time the heap
// has doubled: under live traffic that was several times a second, and each time
// held entries up for milliseconds.
const heapFloor = 12 << 20

// keepHeapFloor adapts the pace of the garbage collector after each collection,
// for as long as the process runs. With GOGC in the environment it does nothing:
// the user has said what is to be.
func keepHeapFloor() {
	if os.Getenv("GOGC") == "" {
		p := &pacer{percent: paceFor(0)}
		debug.SetGCPercent(p.percent)
		p.await()
	}
}

// pacer sets the percentage by which the heap may grow until it is collected.
type pacer struct {
	percent int
	sample  [1]metrics.Sample
}

// await has adapt called after the next collection.
func (p *pacer) await() {
	next := &struct{ p *pacer }{p}
	runtime.SetFinalizer(next, func(s *struct{ p *pacer }) { s.p.adapt() })
}

func (p *pacer) adapt() {
	defer p.await()
	p.sample[0].Name = "/gc/heap/live:bytes"
	metrics.Read(p.sample[:])
	if p.sample[0].Value.Kind() != metrics.KindUint64 {
		return
	}
	percent := paceFor(p.sample[0].Value.Uint64())
	if d := percent - p.percent; d > p.percent/8 || d < -p.percent/8 { // setting it stops the world
		p.percent = percent
		debug.SetGCPercent(percent)
	}
}

// paceFor is how much a heap of so many live bytes may grow, in percent: to the
// floor, and at least to twice its size. Of the percentage Go also makes the size
// of the smallest heap that is collected, which is 4 MiB for 100.
func paceFor(live uint64) int {
	const most = 100 * heapFloor / (4 << 20)
	if live == 0 {
		return most
	}
	return int(min(most, max(200, 100*heapFloor/live)-100))
}
