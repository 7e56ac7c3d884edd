package faulty

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Handled is one delivery that was handled.
type Handled struct {
	Delivery
	PID int
	At  time.Time
}

// Board steers the handlers of any number of processes. It is safe for
// concurrent use.
type Board struct {
	listener net.Listener
	closing  chan struct{}
	serving  sync.WaitGroup

	mu      sync.Mutex // guards all below
	steer   map[string]func(Call) Verdict
	handled map[string][]Handled
	waiting map[string]int
}

// Listen opens a board on a unix socket.
func Listen(socket string) (*Board, error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("open the board: %w", err)
	}
	b := &Board{
		listener: l,
		closing:  make(chan struct{}),
		steer:    map[string]func(Call) Verdict{},
		handled:  map[string][]Handled{},
		waiting:  map[string]int{},
	}
	b.serving.Go(b.accept)
	return b, nil
}

// Close ends every talk and returns when all have ended.
func (b *Board) Close() {
	close(b.closing)
	_ = b.listener.Close()
	b.serving.Wait()
}

// Steer sets what answers the calls of a group from now on; nil lets all
// succeed. It is called from many goroutines at once.
func (b *Board) Steer(group string, answer func(Call) Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.steer[group] = answer
}

// Tell is Steer with one verdict for all calls.
func (b *Board) Tell(group string, v Verdict) {
	b.Steer(group, func(Call) Verdict { return v })
}

// Handled returns what a group has handled, in order.
func (b *Board) Handled(group string) []Handled {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.handled[group])
}

// Times returns how often a group has handled each entry ID.
func (b *Board) Times(group string) map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	times := map[string]int{}
	for _, h := range b.handled[group] {
		times[h.ID]++
	}
	return times
}

// Waiting returns how many calls of a group wait for the end of their hold.
// A call whose process has ended, or whose context has, still counts.
func (b *Board) Waiting(group string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting[group]
}

func (b *Board) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.serving.Go(func() {
			gone := make(chan struct{})
			b.serving.Go(func() {
				select {
				case <-b.closing:
					_ = conn.Close()
				case <-gone:
				}
			})
			b.talk(conn)
			_ = conn.Close()
			close(gone)
		})
	}
}

// talk serves one call. Its errors mean that the other side is gone.
func (b *Board) talk(conn net.Conn) {
	encoder, decoder := json.NewEncoder(conn), json.NewDecoder(conn)
	var call Call
	if decoder.Decode(&call) != nil {
		return
	}
	verdict := b.judge(call)
	if encoder.Encode(prelude{Deaf: verdict.Deaf}) != nil {
		return
	}
	if verdict.Hold != nil && !b.hold(call.Group, verdict.Hold) {
		return
	}
	if encoder.Encode(verdict) != nil {
		return
	}
	var done commit
	if decoder.Decode(&done) != nil || !done.Commit {
		return
	}
	b.record(call, verdict)
	_ = encoder.Encode(commit{true})
}

func (b *Board) judge(call Call) Verdict {
	b.mu.Lock()
	answer := b.steer[call.Group]
	b.mu.Unlock()
	var v Verdict
	if answer != nil {
		v = answer(call)
	}
	if v.Act == "" {
		v.Act = Succeed
	}
	return v
}

// hold reports whether the hold ended, and not the board.
func (b *Board) hold(group string, until <-chan struct{}) bool {
	b.count(group, 1)
	defer b.count(group, -1)
	select {
	case <-until:
		return true
	case <-b.closing:
		return false
	}
}

func (b *Board) count(group string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting[group] += n
}

func (b *Board) record(call Call, verdict Verdict) {
	failed := verdict.failures(len(call.Deliveries)).Failed
	at := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, d := range call.Deliveries {
		if failed[i] == nil {
			b.handled[call.Group] = append(b.handled[call.Group], Handled{Delivery: d, PID: call.PID, At: at})
		}
	}
}
