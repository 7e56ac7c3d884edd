package redisstream

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/fanout/pkg/stream"
)

func entry(ms, seq uint64, texts ...string) stream.Entry {
	e := stream.Entry{ID: stream.ID{Ms: ms, Seq: seq}, Fields: []stream.Field{}}
	for i := 0; i < len(texts); i += 2 {
		e.Fields = append(e.Fields, stream.Field{Name: []byte(texts[i]), Value: []byte(texts[i+1])})
	}
	return e
}

func TestDecodeRead(t *testing.T) {
	t.Parallel()
	const one = "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
	tests := map[string]struct {
		raw  string
		want []stream.Entry
	}{
		"nothing, RESP2":    {"*-1\r\n", nil},
		"nothing, RESP3":    {"_\r\n", nil},
		"one, RESP2":        {"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" + one, []stream.Entry{entry(1, 2, "a", "b")}},
		"one, RESP3":        {"%1\r\n$1\r\ns\r\n*1\r\n" + one, []stream.Entry{entry(1, 2, "a", "b")}},
		"attribute before":  {"|1\r\n+a\r\n:1\r\n%1\r\n$1\r\ns\r\n*1\r\n" + one, []stream.Entry{entry(1, 2, "a", "b")}},
		"push before":       {">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n%1\r\n$1\r\ns\r\n*1\r\n" + one, []stream.Entry{entry(1, 2, "a", "b")}},
		"deleted, RESP2":    {"*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-1\r\n*-1\r\n" + one, []stream.Entry{entry(1, 1), entry(1, 2, "a", "b")}},
		"deleted, RESP3":    {"%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n_\r\n", []stream.Entry{entry(1, 1)}},
		"repeated names":    {"%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\na\r\n$1\r\n2\r\n", []stream.Entry{entry(1, 1, "a", "1", "a", "2")}},
		"binary":            {"%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$4\r\n\r\n\r\n\r\n$3\r\n\x00\xff$\r\n", []stream.Entry{entry(1, 1, "\r\n\r\n", "\x00\xff$")}},
		"empty texts":       {"%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$0\r\n\r\n$0\r\n\r\n", []stream.Entry{entry(1, 1, "", "")}},
		"more and more":     {"%1\r\n$1\r\ns\r\n*2\r\n" + one + "*2\r\n$3\r\n1-3\r\n*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n", []stream.Entry{entry(1, 2, "a", "b"), entry(1, 3, "a", "1", "b", "2")}},
		"greatest ID":       {"%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$41\r\n18446744073709551615-18446744073709551614\r\n*0\r\n", []stream.Entry{entry(1<<64-1, 1<<64-2)}},
		"no entries at all": {"%1\r\n$1\r\ns\r\n*0\r\n", []stream.Entry{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decodeRead([]byte(test.raw))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeReadErrors(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"-NOGROUP No such key\r\n":        "NOGROUP No such key",
		"!12\r\nNOPERM never\r\n":         "NOPERM never",
		"|1\r\n+a\r\n+b\r\n-ERR what\r\n": "ERR what",
	} {
		_, err := decodeRead([]byte(raw))
		var answer reply
		if !errors.As(err, &answer) || string(answer) != want {
			t.Errorf("%q: %v, want the answer %q", raw, err, want)
		}
	}
	const head = "*1\r\n*2\r\n$1\r\ns\r\n"
	for _, raw := range []string{
		"", "*", "*1", "*1\r", "+OK\r\n", ":1\r\n", "*2\r\n", "%0\r\n", "%2\r\n", "*1\r\n*3\r\n",
		"*999999999999999999999\r\n", "*-2\r\n", "*1\r\n*2\r\n$5\r\ns\r\n",
		head,
		head + "*1000000000\r\n",
		head + "*1\r\n*2\r\n$3\r\n1-1\r\n*2000000000\r\n",
		head + "*1\r\n*2\r\n$3\r\n1-1\r\n*3\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n",
		head + "*1\r\n*2\r\n$3\r\nx-1\r\n*0\r\n",
		head + "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$-1\r\n",
		head + "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$9223372036854775807\r\nb\r\n",
		head + "*0\r\nmore",
		strings.Repeat("|1\r\n", 100_000),
		"|1\r\n" + strings.Repeat("*1\r\n", 100_000),
	} {
		got, err := decodeRead([]byte(raw))
		if !errors.Is(err, errReply) || got != nil {
			t.Errorf("%.60q: %v, %v, want errReply", raw, got, err)
		}
	}
}

// A reply of many like entries costs a handful of allocations.
func TestDecodeReadAllocations(t *testing.T) {
	const n = 1000
	raw := []byte(fmt.Sprintf("*1\r\n*2\r\n$1\r\ns\r\n*%d\r\n", n))
	for i := range n {
		raw = fmt.Appendf(raw, "*2\r\n$6\r\n%04d-1\r\n*2\r\n$5\r\nevent\r\n$2\r\n{}\r\n", i)
	}
	allocs := testing.AllocsPerRun(10, func() {
		if got, err := decodeRead(raw); err != nil || len(got) != n {
			t.Fatal(len(got), err)
		}
	})
	if allocs > 5 {
		t.Errorf("%v allocations for %d entries", allocs, n)
	}
}

func FuzzDecodeRead(f *testing.F) {
	f.Add([]byte("*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"))
	f.Add([]byte("|1\r\n+a\r\n:1\r\n%1\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-1\r\n_\r\n*2\r\n$3\r\n1-2\r\n*0\r\n"))
	f.Add([]byte("-NOGROUP No such key\r\n"))
	f.Add([]byte(">2\r\n+a\r\n*1\r\n#t\r\n_\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		entries, err := decodeRead(raw)
		if !bytes.Equal(before, raw) {
			t.Fatal("the reply was changed")
		}
		if err != nil {
			return
		}
		size := 0
		for _, e := range entries {
			size += e.Size() + len(e.Fields)*minFieldBytes + minEntryBytes
		}
		if size > 2*len(raw) {
			t.Fatalf("%d bytes decoded out of %d", size, len(raw))
		}
	})
}

func BenchmarkDecodeRead(b *testing.B) {
	const n = 256
	raw := []byte(fmt.Sprintf("*1\r\n*2\r\n$1\r\ns\r\n*%d\r\n", n))
	for i := range n {
		raw = fmt.Appendf(raw, "*2\r\n$15\r\n1763856000%03d-1\r\n*2\r\n$5\r\nevent\r\n$120\r\n%120d\r\n", i, i)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeRead(raw); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
}
