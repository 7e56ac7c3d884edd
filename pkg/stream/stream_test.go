package stream_test

import (
	"testing"

	"example.com/fanout/pkg/stream"
)

func entry(fields ...string) stream.Entry {
	e := stream.Entry{ID: stream.ID{Ms: 5, Seq: 7}}
	for i := 0; i < len(fields); i += 2 {
		e.Fields = append(e.Fields, stream.Field{Name: []byte(fields[i]), Value: []byte(fields[i+1])})
	}
	return e
}

func TestEntryGet(t *testing.T) {
	t.Parallel()
	e := entry("a", "1", "b", "2", "a", "3", "", "empty", "c", "")
	for name, want := range map[string]string{"a": "1", "b": "2", "": "empty", "c": ""} {
		if got, ok := e.Get(name); !ok || string(got) != want {
			t.Errorf("get %q: %q, %t, want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"A", "ab", "x"} {
		if got, ok := e.Get(name); ok || got != nil {
			t.Errorf("get %q: %q, %t, want nothing", name, got, ok)
		}
	}
}

func TestEntrySize(t *testing.T) {
	t.Parallel()
	if got := entry("ab", "123", "", "é", "c", "").Size(); got != 2+3+2+1 {
		t.Errorf("size %d, want 8", got)
	}
	if got := (stream.Entry{}).Size(); got != 0 {
		t.Errorf("size of nothing %d", got)
	}
}

func TestEntryClone(t *testing.T) {
	t.Parallel()
	e := entry("name", "value", "b", "2")
	c := e.Clone()
	for _, f := range e.Fields {
		clear(f.Name)
		clear(f.Value)
	}
	clear(e.Fields)
	if v, ok := c.Get("name"); c.ID != (stream.ID{Ms: 5, Seq: 7}) || !ok || string(v) != "value" || len(c.Fields) != 2 {
		t.Errorf("the clone changed with the original: %q", c.Fields)
	}
}

func TestLowWater(t *testing.T) {
	t.Parallel()
	id := func(ms, seq uint64) stream.ID { return stream.ID{Ms: ms, Seq: seq} }
	for name, c := range map[string]struct {
		info stream.GroupInfo
		want stream.ID
	}{
		"new group":               {stream.GroupInfo{}, id(0, 0)},
		"nothing pending":         {stream.GroupInfo{LastDelivered: id(9, 4)}, id(9, 4)},
		"something pending":       {stream.GroupInfo{LastDelivered: id(9, 4), Pending: 2, OldestPending: id(8, 1)}, id(8, 0)},
		"the first of a ms":       {stream.GroupInfo{LastDelivered: id(9, 4), Pending: 1, OldestPending: id(8, 0)}, id(7, most)},
		"pending, not known what": {stream.GroupInfo{LastDelivered: id(9, 4), Pending: 1}, id(0, 0)},
	} {
		if got := c.info.LowWater(); got != c.want {
			t.Errorf("%s: low water at %s, want %s", name, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for o := range stream.NumOrigins {
		seen[o.String()] = true
	}
	for _, b := range []stream.Burial{stream.Buried, stream.NotPending, stream.NotOurs} {
		seen[b.String()] = true
	}
	if len(seen) != int(stream.NumOrigins)+3 || seen[""] {
		t.Errorf("the names are not distinct: %v", seen)
	}
}
