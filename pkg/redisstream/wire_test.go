package redisstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"example.com/fanout/pkg/stream"
)

func entry(ms, seq uint64, texts ...string) stream.Entry {
	e := stream.Entry{ID: stream.ID{Ms: ms, Seq: seq}, Fields: []stream.Field{}}
	for i := 0; i < len(texts); i += 2 {
		e.Fields = append(e.Fields, stream.Field{Name: []byte(texts[i]), Value: []byte(texts[i+1])})
	}
	return e
}

func sameEntry(a, b stream.Entry) bool {
	return a.ID == b.ID && slices.EqualFunc(a.Fields, b.Fields, func(a, b stream.Field) bool {
		return bytes.Equal(a.Name, b.Name) && bytes.Equal(a.Value, b.Value)
	})
}

// decode takes the whole answer to a read, in chunks of about limit bytes.
func decode(conn io.Reader, limit int) (all []stream.Entry, err error) {
	d := wire{conn: conn}
	begun, left := false, 0
	for !begun || left > 0 {
		var c stream.Chunk // not used again: the entries refer to it
		d.begin(&c)
		if !begun {
			var answered reply
			if err := d.take(func(k *cursor) (err error) { left, answered, err = k.entries(); return err }); err != nil {
				return nil, err
			}
			if answered != "" {
				return nil, answered
			}
			begun = true
		}
		d.enter(1)
		for size := 0; left > 0 && size < limit; left-- {
			e, err := d.next(&c)
			if err != nil {
				return nil, err
			}
			size += e.Size()
			all = append(all, e)
		}
		d.end()
	}
	if len(d.rest) > 0 {
		return nil, fmt.Errorf("%d bytes are left", len(d.rest))
	}
	return all, nil
}

const head = "*1\r\n*2\r\n$1\r\ns\r\n"

// An answer means the same however it is cut into pieces.
func TestWire(t *testing.T) {
	t.Parallel()
	const one = "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
	big := strings.Repeat("x", 3*stream.SegmentBytes)
	tests := map[string]struct {
		raw  string
		want []stream.Entry
	}{
		"nothing":           {"*-1\r\n", nil},
		"no entries at all": {head + "*0\r\n", nil},
		"one":               {head + "*1\r\n" + one, []stream.Entry{entry(1, 2, "a", "b")}},
		"deleted":           {head + "*2\r\n*2\r\n$3\r\n1-1\r\n*-1\r\n" + one, []stream.Entry{entry(1, 1), entry(1, 2, "a", "b")}},
		"repeated names":    {head + "*1\r\n*2\r\n$3\r\n1-1\r\n*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\na\r\n$1\r\n2\r\n", []stream.Entry{entry(1, 1, "a", "1", "a", "2")}},
		"binary":            {head + "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$4\r\n\r\n\r\n\r\n$3\r\n\x00\xff$\r\n", []stream.Entry{entry(1, 1, "\r\n\r\n", "\x00\xff$")}},
		"empty texts":       {head + "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$0\r\n\r\n$0\r\n\r\n", []stream.Entry{entry(1, 1, "", "")}},
		"more and more":     {head + "*2\r\n" + one + "*2\r\n$3\r\n1-3\r\n*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n", []stream.Entry{entry(1, 2, "a", "b"), entry(1, 3, "a", "1", "b", "2")}},
		"greatest ID":       {head + "*1\r\n*2\r\n$41\r\n18446744073709551615-18446744073709551614\r\n*0\r\n", []stream.Entry{entry(1<<64-1, 1<<64-2)}},
		"longer than a segment": {
			head + "*2\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$" + fmt.Sprint(len(big)) + "\r\n" + big + "\r\n" + one,
			[]stream.Entry{entry(1, 1, "a", big), entry(1, 2, "a", "b")},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for how, cut := range map[string]func(io.Reader) io.Reader{
				"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader,
			} {
				for _, limit := range []int{1, 3, 1 << 30} {
					got, err := decode(cut(strings.NewReader(test.raw)), limit)
					if err != nil {
						t.Fatalf("%s: %v", how, err)
					}
					if !slices.EqualFunc(test.want, got, sameEntry) {
						t.Fatalf("%s:\ngot  %.1000q\nwant %.1000q", how, got, test.want)
					}
				}
			}
		})
	}
}

func TestWireErrors(t *testing.T) {
	t.Parallel()
	var answer reply
	if _, err := decode(strings.NewReader("-NOGROUP No such key\r\n"), 1); !errors.As(err, &answer) || answer != "NOGROUP No such key" {
		t.Errorf("%v, want what the server answers", err)
	}
	for _, raw := range []string{
		"+OK\r\n", ":1\r\n", "*2\r\n", "*1\r\n*3\r\n", "*-2\r\n", "*1xy", "%1\r\n",
		"*999999999999999999999\r\n", "*1\r\n*2\r\n$1\r\nsx\r\n",
		head + "*9000000000\r\n",
		head + "*1\r\n*2\r\n$3\r\n1-1\r\n*3\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n",
		head + "*1\r\n*2\r\n$3\r\nx-1\r\n*0\r\n",
		head + "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$9223372036854775807\r\nb\r\n",
		"-" + strings.Repeat("x", 2*maxLine),
	} {
		if got, err := decode(strings.NewReader(raw), 1<<30); !errors.Is(err, errReply) || got != nil {
			t.Errorf("%.60q: %v, %v, want errReply", raw, got, err)
		}
	}
	for _, raw := range []string{ // what was announced does not come
		"", "*", "*1", "*1\r", head, "-NOGROUP", "*1\r\n*2\r\n$5\r\ns\r\n",
		head + "*500000000\r\n",
		head + "*1\r\n*2\r\n$3\r\n1-1\r\n*500000000\r\n",
		head + "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$536870912\r\nb",
	} {
		if got, err := decode(strings.NewReader(raw), 1<<30); !errors.Is(err, io.EOF) || got != nil {
			t.Errorf("%.60q: %v, %v, want the end", raw, got, err)
		}
	}
}

// An entry of very many short fields comes in pieces: it is neither taken apart
// anew for each of them, nor does each cost a segment.
func TestWireManyFields(t *testing.T) {
	t.Parallel()
	const n = 200_000
	raw := fmt.Appendf(nil, "%s*1\r\n*2\r\n$3\r\n1-1\r\n*%d\r\n", head, 2*n)
	for range n {
		raw = append(raw, "$1\r\na\r\n$1\r\nb\r\n"...)
	}
	reads := 0
	d := wire{conn: readFunc(func(p []byte) (int, error) {
		reads++
		k := copy(p, raw)
		raw = raw[k:]
		return k, nil
	})}
	size := len(raw)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := decode(d.conn, 1)
	runtime.ReadMemStats(&after)
	if err != nil || len(got) != 1 || len(got[0].Fields) != n {
		t.Fatalf("%d entries, error %v", len(got), err)
	}
	if reads > 100 {
		t.Errorf("%d reads for %d bytes", reads, size)
	}
	if made := after.TotalAlloc - before.TotalAlloc; made > 200<<20 {
		t.Errorf("%d MiB were made for %d bytes", made>>20, size)
	}
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// answerOf is an answer of n trades.
func answerOf(n int) []byte {
	raw := fmt.Appendf(nil, "%s*%d\r\n", head, n)
	for i := range n {
		raw = fmt.Appendf(raw, "*2\r\n$15\r\n1763856000%03d-1\r\n*2\r\n$5\r\nevent\r\n$120\r\n%120d\r\n", i, i)
	}
	return raw
}

// refill decodes an answer into a chunk that has been used before.
func refill(d *wire, c *stream.Chunk, raw *bytes.Reader) error {
	c.Reset()
	d.begin(c)
	defer d.end()
	n := 0
	if err := d.take(func(k *cursor) (err error) { n, _, err = k.entries(); return err }); err != nil {
		return err
	}
	d.enter(n * entryBytes)
	for range n {
		e, err := d.next(c)
		if err != nil {
			return err
		}
		c.Deliveries = append(c.Deliveries, stream.Delivery{Entry: e})
	}
	_, err := raw.Seek(0, io.SeekStart)
	return err
}

// Nothing is allocated for an entry once the memory is there. A few pieces of it
// may be made anew: the race detector lets a pool forget some.
func TestWireAllocations(t *testing.T) {
	raw := bytes.NewReader(answerOf(1000))
	d, c := wire{conn: raw}, stream.Chunk{}
	if err := refill(&d, &c, raw); err != nil || len(c.Deliveries) != 1000 {
		t.Fatal(len(c.Deliveries), err)
	}
	allocs := testing.AllocsPerRun(10, func() {
		if err := refill(&d, &c, raw); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 50 {
		t.Errorf("%v allocations for 1000 entries", allocs)
	}
}

// FuzzDecodeRead: no input makes it fail otherwise than by an error, or take
// much more memory than there are bytes, and its result does not depend on how
// the input is cut.
func FuzzDecodeRead(f *testing.F) {
	f.Add([]byte("*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"))
	f.Add([]byte(head + "*2\r\n*2\r\n$3\r\n1-1\r\n*-1\r\n*2\r\n$3\r\n1-2\r\n*0\r\n"))
	f.Add([]byte("-NOGROUP No such key\r\n"))
	f.Add([]byte(head + "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$536870912\r\nb"))
	f.Add([]byte(head + "*536870912\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		whole, err := decode(bytes.NewReader(raw), 1<<30)
		cut, cutErr := decode(iotest.OneByteReader(bytes.NewReader(raw)), 7)
		if (err == nil) != (cutErr == nil) && !strings.Contains(fmt.Sprint(err), "bytes are left") {
			t.Fatalf("%v as a whole, %v in pieces", err, cutErr)
		}
		if err != nil {
			return
		}
		if !slices.EqualFunc(whole, cut, sameEntry) {
			t.Fatalf("%q as a whole, %q in pieces", whole, cut)
		}
	})
}

func BenchmarkWire(b *testing.B) {
	const n = 1000
	answer := answerOf(n)
	raw := bytes.NewReader(answer)
	d, c := wire{conn: raw}, stream.Chunk{}
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		if err := refill(&d, &c, raw); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
}
