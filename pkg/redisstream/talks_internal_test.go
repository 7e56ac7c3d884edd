package redisstream

import (
	"context"
	"testing"
)

func TestTalks(t *testing.T) {
	t.Parallel()
	var all talks
	interrupted := make(chan (<-chan struct{}), 10)
	note := func(ended <-chan struct{}) { interrupted <- ended }

	first, cancelFirst := context.WithCancel(t.Context())
	defer cancelFirst()
	for range 3 {
		if !all.begin(first, note) {
			t.Fatal("a conversation does not begin")
		}
		all.end()
	}
	second, cancelSecond := context.WithCancel(t.Context())
	if !all.begin(second, note) {
		t.Fatal("a conversation with another context does not begin")
	}
	cancelFirst() // of conversations that have ended
	cancelSecond()
	ended := <-interrupted
	select {
	case <-ended:
		t.Fatal("ended while it is under way")
	default:
	}
	all.end()
	<-ended
	if all.begin(second, note) {
		t.Error("a conversation begins with a context that is done")
	}

	idle, cancelIdle := context.WithCancel(t.Context())
	all.begin(idle, note)
	all.end()
	all.close()
	cancelIdle()
	if n := len(interrupted); n > 0 {
		t.Errorf("%d more were interrupted, want none", n)
	}
}
