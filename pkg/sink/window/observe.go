package window

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/stream"
)

// plan is a Config ready for use.
type plan struct {
	key      event.Path // zero: one key for all
	time     event.Path // zero: the time of the ID
	unit     event.TimeUnit
	size     time.Duration
	paths    []event.Path // each path that a measure needs, once
	measures []measure
}

func (c *Config) plan() (*plan, error) {
	p := &plan{unit: c.TimeUnit, size: c.Size}
	var err error
	if c.Key != "" {
		if p.key, err = event.ParsePath(c.Key); err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
	}
	if c.Time != "" {
		if p.time, err = event.ParsePath(c.Time); err != nil {
			return nil, fmt.Errorf("read time: %w", err)
		}
	}
	for _, m := range c.Measures {
		f, paths, err := parseExpr(m.Expr)
		if err != nil {
			return nil, fmt.Errorf("read measure %s: %w", m.Name, err)
		}
		use := measure{name: m.Name, f: f}
		if len(paths) > 0 {
			use.value = p.need(paths[0])
		}
		if len(paths) > 1 {
			use.weight = p.need(paths[1])
		}
		p.measures = append(p.measures, use)
	}
	return p, nil
}

// need returns the index of the path among those that are looked up.
func (p *plan) need(path event.Path) int {
	i := slices.IndexFunc(p.paths, func(have event.Path) bool { return have.String() == path.String() })
	if i >= 0 {
		return i
	}
	p.paths = append(p.paths, path)
	return len(p.paths) - 1
}

// observation is what counts of one delivery, beside its values.
type observation struct {
	index int // of the delivery
	id    stream.ID
	key   key
	at    int64 // the event's time, in ns since 1970
	start int64 // of its window, in ms since 1970
	fresh bool  // not counted before
}

// maxKey bounds a key, in bytes: all of its windows carry it.
const maxKey = 1 << 10

// key is a string or an integer.
type key struct {
	text    string
	n       int64
	integer bool
}

func (k key) value() any {
	if k.integer {
		return k.n
	}
	return k.text
}

// appendTo appends a form that no other window has.
func (k key) appendTo(b []byte, start int64) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(start))
	if k.integer {
		return strconv.AppendInt(append(b, 'n'), k.n, 10)
	}
	return append(append(b, 't'), k.text...)
}

// observe reads the delivery and fills values, one for each path. Its errors
// are about the delivery and permanent.
func (p *plan) observe(d *handler.Delivery, values []value) (observation, error) {
	o := observation{id: d.ID}
	var err error
	if o.key, err = p.keyOf(d); err != nil {
		return o, handler.Permanent(fmt.Errorf("key: %w", err))
	}
	if o.at, err = p.timeOf(d); err != nil {
		return o, handler.Permanent(fmt.Errorf("time: %w", err))
	}
	o.start = floor(o.at, int64(p.size)) / int64(time.Millisecond)
	for i, path := range p.paths {
		v, ok := d.Event.Lookup(path)
		if !ok || v.Kind() == event.Null {
			values[i] = value{}
			continue
		}
		n, err := v.Int64()
		if err != nil {
			return o, handler.Permanent(fmt.Errorf("%s: %w; measures take integers of 64 bits", path, err))
		}
		values[i] = value{n: n, ok: true}
	}
	return o, nil
}

func (p *plan) keyOf(d *handler.Delivery) (key, error) {
	if p.key.IsZero() {
		return key{}, nil
	}
	v, ok := d.Event.Lookup(p.key)
	if !ok {
		return key{}, fmt.Errorf("%s is missing", p.key)
	}
	switch v.Kind() {
	case event.String:
		k := key{text: v.Text()}
		if len(k.text) > maxKey {
			return key{}, fmt.Errorf("%s is of %d bytes; a key has %d at most", p.key, len(k.text), maxKey)
		}
		return k, nil
	case event.Number:
		n, err := v.Int64()
		if err != nil {
			return key{}, fmt.Errorf("%s: %w; a key is a string or an integer of 64 bits", p.key, err)
		}
		return key{n: n, integer: true}, nil
	}
	return key{}, fmt.Errorf("%s is of type %s; a key is a string or an integer", p.key, v.Kind())
}

// Times that fit into 64 bits of ns: from 1678 to 2261.
const (
	minSecond = math.MinInt64/int64(time.Second) + 1
	maxSecond = math.MaxInt64/int64(time.Second) - 1
)

var errTimeRange = errors.New("outside the years 1678 to 2261")

func (p *plan) timeOf(d *handler.Delivery) (int64, error) {
	if p.time.IsZero() {
		if d.ID.Ms > uint64(maxSecond)*1000 {
			return 0, fmt.Errorf("ID is %w", errTimeRange)
		}
		return int64(d.ID.Ms) * int64(time.Millisecond), nil
	}
	v, ok := d.Event.Lookup(p.time)
	if !ok || v.Kind() == event.Null {
		return 0, fmt.Errorf("%s is missing", p.time)
	}
	t, err := v.Time(p.unit)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.time, err)
	}
	// The first window's start may lie before the first time by its size.
	if s := t.Unix(); s < minSecond+int64(p.size/time.Second)+1 || s > maxSecond {
		return 0, fmt.Errorf("%s is %w", p.time, errTimeRange)
	}
	return t.UnixNano(), nil
}

// floor is the greatest multiple of size that is not above n.
func floor(n, size int64) int64 {
	rest := n % size
	if rest < 0 {
		rest += size
	}
	return n - rest
}
