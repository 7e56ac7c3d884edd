package consumertest_test

import (
	"testing"
	"time"

	"example.com/fanout/pkg/consumer"
	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// memoryRig is the rig of the in-memory server, in real time.
type memoryRig struct {
	*consumertest.Server
}

const (
	group      = "g"
	minIdle    = 50 * time.Millisecond
	maxLetters = 3
)

func newMemoryRig(t *testing.T) consumertest.Rig {
	server := consumertest.NewServer(t)
	server.LimitLetters(maxLetters)
	server.CreateGroup(consumertest.Stream, group, stream.ID{})
	return memoryRig{server}
}

func (m memoryRig) Source(name string) consumer.Source { return m.Server.Source(group, name, minIdle) }
func (m memoryRig) Add(fields ...string) stream.ID {
	return m.Server.Add(consumertest.Stream, fields...)
}
func (m memoryRig) AddAt(id stream.ID, fields ...string) {
	m.Server.AddAt(consumertest.Stream, id, fields...)
}
func (m memoryRig) Delete(ids ...stream.ID)              { m.Server.Delete(consumertest.Stream, ids...) }
func (m memoryRig) DestroyGroup()                        { m.Server.DestroyGroup(group) }
func (m memoryRig) Pending() []consumertest.PendingEntry { return m.Server.Pending(group) }
func (m memoryRig) Letters() []deadletter.Letter         { return m.Server.Letters(group) }
func (m memoryRig) MaxLetters() int                      { return maxLetters }
func (m memoryRig) MinIdle() time.Duration               { return minIdle }
func (m memoryRig) Wait(d time.Duration)                 { time.Sleep(d) }

func TestMemorySource(t *testing.T) {
	t.Parallel()
	consumertest.TestSource(t, newMemoryRig)
}
