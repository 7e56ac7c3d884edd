package consumertest

import (
	"context"
	"time"
)

// Op is a method of a [Source].
type Op string

// The methods that faults can hit.
const (
	Read  Op = "read"
	Own   Op = "own"
	Claim Op = "claim"
	Ack   Op = "ack"
	Hold  Op = "hold"
	Bury  Op = "bury"
)

// Call names one call of a method.
type Call struct {
	Op       Op
	Group    string
	Consumer string
	N        int // 1 for the consumer's first call of the method, and so on
}

// Fault is what goes wrong in one call; the zero Fault is nothing. Of several
// fields, Delay acts first and the others in the order of their standing.
type Fault struct {
	Delay time.Duration // wait that long, or until ctx is done
	Block bool          // do nothing until ctx is done, then return its error
	Fail  error         // do nothing and return this
	Lose  error         // do it, lose the reply and return this
}

// SetFaults makes every later call ask f what is to go wrong; nil heals. The
// server calls f for one call at a time; f must not call the server.
func (s *Server) SetFaults(f func(Call) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

func (s *Server) fault(c Call) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[c]++
	if s.faults == nil {
		return Fault{}
	}
	c.N = s.calls[c]
	return s.faults(c)
}

// perform makes one call with its fault.
func perform[T any](ctx context.Context, src *Source, op Op, do func() (T, error)) (T, error) {
	var none T
	fault := src.server.fault(Call{Op: op, Group: src.group, Consumer: src.consumer})
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if fault.Block {
		<-ctx.Done()
	}
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if fault.Fail != nil {
		return none, fault.Fail
	}
	result, err := do()
	if fault.Lose != nil {
		return none, fault.Lose
	}
	return result, err
}
