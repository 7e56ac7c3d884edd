package stream_test

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/stream"
)

const most = math.MaxUint64

func TestParseID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]stream.ID{
		"0-0":             {},
		"0":               {},
		"5":               {Ms: 5},
		"5-7":             {Ms: 5, Seq: 7},
		"007-08":          {Ms: 7, Seq: 8},
		"1763856000123-4": {Ms: 1763856000123, Seq: 4},
		"18446744073709551615-18446744073709551615": {Ms: most, Seq: most},
		"18446744073709551614-18446744073709551615": {Ms: most - 1, Seq: most},
		"18446744073709551615":                      {Ms: most},
	} {
		got, err := stream.ParseID(text)
		if err != nil || got != want {
			t.Errorf("parse %q: %s and error %v, want %s", text, got, err, want)
		}
		if got, err := stream.ParseID([]byte(text)); err != nil || got != want {
			t.Errorf("parse the bytes %q: %s and error %v, want %s", text, got, err, want)
		}
	}
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "-", "-5", "5-", "5--7", "5-7-9", "5-*", "*", "$", "+", "5 -7", " 5-7", "5-7 ", "5-7\n", "+5-7", "5-+7",
		"0x5-7", "5.0-7", "1e3-0", "٣-1", "5-7\x00",
		"18446744073709551616", "5-18446744073709551616", "99999999999999999999999-0",
	} {
		id, err := stream.ParseID(text)
		if !errors.Is(err, stream.ErrBadID) {
			t.Errorf("parse %q: %s and error %v, want %v", text, id, err, stream.ErrBadID)
		}
		if !id.IsZero() {
			t.Errorf("parse %q: %s beside an error", text, id)
		}
	}
	_, err := stream.ParseID(strings.Repeat("x", 1<<20))
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("parse 1 MiB: an error of %d bytes, want a short one", len(err.Error()))
	}
}

// ascending are IDs in order; neighbours with a comment are equal as floats.
var ascending = []stream.ID{
	{},
	{Seq: 1},
	{Seq: most},
	{Ms: 1},
	{Ms: 9, Seq: 10},
	{Ms: 10, Seq: 9},
	{Ms: 1 << 53}, // and the next
	{Ms: 1<<53 + 1},
	{Ms: most - 1, Seq: most},
	{Ms: most},
	{Ms: most, Seq: most - 1}, // and the next
	{Ms: most, Seq: most},
}

func TestIDCompare(t *testing.T) {
	t.Parallel()
	for i, a := range ascending {
		for j, b := range ascending {
			want := 0
			switch {
			case i < j:
				want = -1
			case i > j:
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("compare %s with %s: %d, want %d", a, b, got, want)
			}
			if got := a.Before(b); got != (want < 0) {
				t.Errorf("%s before %s: %t", a, b, got)
			}
		}
	}
	shuffled := slices.Clone(ascending)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, stream.ID.Compare)
	if !slices.Equal(shuffled, ascending) {
		t.Errorf("sorted to %v, want %v", shuffled, ascending)
	}
}

func TestIDNextAndPrev(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ id, next stream.ID }{
		{stream.ID{}, stream.ID{Seq: 1}},
		{stream.ID{Ms: 5, Seq: 7}, stream.ID{Ms: 5, Seq: 8}},
		{stream.ID{Ms: 5, Seq: most}, stream.ID{Ms: 6}},
		{stream.ID{Ms: most, Seq: most - 1}, stream.MaxID},
	} {
		if got := c.id.Next(); got != c.next {
			t.Errorf("next of %s: %s, want %s", c.id, got, c.next)
		}
		if got := c.next.Prev(); got != c.id {
			t.Errorf("previous of %s: %s, want %s", c.next, got, c.id)
		}
	}
	if got := stream.MaxID.Next(); got != stream.MaxID {
		t.Errorf("next of the greatest: %s", got)
	}
	if got := (stream.ID{}).Prev(); !got.IsZero() {
		t.Errorf("previous of 0-0: %s", got)
	}
}

func TestIDTime(t *testing.T) {
	t.Parallel()
	if got, want := (stream.ID{Ms: 1763856000123}).Time(), time.UnixMilli(1763856000123); !got.Equal(want) {
		t.Errorf("time is %s, want %s", got, want)
	}
	for _, ms := range []uint64{math.MaxInt64 / 1_000_000, math.MaxInt64, most} {
		got := stream.ID{Ms: ms}.Time()
		if got.Year() != 2262 || got.UnixNano() < 0 {
			t.Errorf("time of %d ms is %s, want one in 2262", ms, got)
		}
	}
}

func TestIDText(t *testing.T) {
	t.Parallel()
	in := map[stream.ID]stream.ID{{Ms: most, Seq: most - 1}: {Ms: 5}}
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	if want := `{"18446744073709551615-18446744073709551614":"5-0"}`; string(data) != want {
		t.Errorf("marshalled to %s, want %s", data, want)
	}
	var out map[stream.ID]stream.ID
	if err := json.Unmarshal(data, &out); err != nil || out[stream.ID{Ms: most, Seq: most - 1}] != (stream.ID{Ms: 5}) {
		t.Errorf("unmarshalled to %v with error %v, want %v", out, err, in)
	}
	id := stream.ID{Ms: 1}
	if err := id.UnmarshalText([]byte("no")); !errors.Is(err, stream.ErrBadID) || id != (stream.ID{Ms: 1}) {
		t.Errorf("unmarshal no: %v, and the ID became %s", err, id)
	}
	if got := string(stream.ID{Ms: 5, Seq: 7}.Append([]byte("id="))); got != "id=5-7" {
		t.Errorf("appended to %s", got)
	}
}

func TestIDAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, 64)
	text := []byte("1763856000123-4")
	if n := testing.AllocsPerRun(100, func() {
		id, _ := stream.ParseID(text)
		buf = id.Append(buf[:0])
	}); n != 0 {
		t.Errorf("parse and append: %v allocations, want none", n)
	}
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"0-0", "5", "5-7", "18446744073709551615-18446744073709551616", "18446744073709551615-18446744073709551615", "-1", "007-08", "$", "1-", "1--1", "+1-1", "1_0-1", "1-1-1", " 1-1", "1-1\n", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ms, seq, two := strings.Cut(text, "-")
		if !two {
			seq = "0"
		}
		want, wantOK := stream.ID{}, false
		if m, err := strconv.ParseUint(ms, 10, 64); err == nil {
			if s, err := strconv.ParseUint(seq, 10, 64); err == nil {
				want, wantOK = stream.ID{Ms: m, Seq: s}, true
			}
		}
		id, err := stream.ParseID(text)
		if id != want || (err == nil) != wantOK {
			t.Fatalf("parse %q: %s and error %v, want %s, %v", text, id, err, want, wantOK)
		}
		if err != nil {
			if !errors.Is(err, stream.ErrBadID) {
				t.Fatalf("parse %q: %s and error %v", text, id, err)
			}
			return
		}
		again, err := stream.ParseID(id.String())
		if err != nil || again != id {
			t.Fatalf("parse %q: %s, whose text gives %s and error %v", text, id, again, err)
		}
		if next := id.Next(); next != id && (!id.Before(next) || next.Prev() != id) {
			t.Fatalf("the next of %s is %s", id, next)
		}
	})
}
