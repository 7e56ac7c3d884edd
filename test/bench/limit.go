package main

import (
	"fmt"
	"strconv"
	"time"

	"example.com/fanout/test/bench/probe"
)

// batchSize is how many entries every client asks for.
const batchSize = 1000

// pump reads one group as fast as Redis can serve it: no library, nothing
// decoded but the IDs. It is what the other clients are measured against.
//
// A replay keeps two reads on their way; each batch's XACK goes out in one
// write with the next read. Live there is one read, which waits in Redis.
type pump struct {
	*line
	stream, group string
	recorder      *probe.Recorder // nil: nothing is measured
	ids           []byte          // of the batch, as arguments of XACK
	sent          []int64         // of the batch
}

// block is how long a live read waits in Redis.
const block = time.Second

func (p *pump) run(live bool) error {
	defer p.conn.Close()
	var expected []byte // answers on their way: r of a read, a of an acknowledgement
	read := func() {
		if live {
			p.command("XREADGROUP", "GROUP", p.group, "limit", "COUNT", strconv.Itoa(batchSize),
				"BLOCK", strconv.FormatInt(block.Milliseconds(), 10), "STREAMS", p.stream, ">")
		} else {
			p.command("XREADGROUP", "GROUP", p.group, "limit", "COUNT", strconv.Itoa(batchSize), "STREAMS", p.stream, ">")
		}
		expected = append(expected, 'r')
	}
	read()
	if !live {
		read()
	}
	for len(expected) > 0 {
		if len(p.out) > 0 {
			if err := p.flush(); err != nil {
				return fmt.Errorf("write to redis: %w", err)
			}
		}
		next := expected[0]
		expected = expected[:copy(expected, expected[1:])]
		if next == 'a' {
			if _, err := p.number(':'); err != nil {
				return fmt.Errorf("read an acknowledgement: %w", err)
			}
			continue
		}
		n, err := p.batch()
		if err != nil {
			return fmt.Errorf("read a batch: %w", err)
		}
		if n > 0 {
			p.head('*', 3+n)
			p.out = appendBulk(p.out, "XACK")
			p.out = appendBulk(p.out, p.stream)
			p.out = appendBulk(p.out, p.group)
			p.out = append(p.out, p.ids...)
			expected = append(expected, 'a')
		}
		if n > 0 || live {
			read()
		}
	}
	return nil
}

// batch reads the answer to one read.
func (p *pump) batch() (int, error) {
	p.ids, p.sent = p.ids[:0], p.sent[:0]
	n, err := p.entries(func(id, value []byte) {
		p.ids = appendBulk(p.ids, id)
		if p.recorder != nil {
			p.sent = append(p.sent, probe.SentIn(value))
		}
	})
	if p.recorder != nil {
		p.recorder.Add(time.Now(), p.sent)
	}
	return n, err
}
