package event_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/stream"
)

const trade = `{"trade_id": 812, "market_id": "m-17", "odds": {"ticks": 245}, "stake": {"value": 2500}, "timestamp": 1763856000123}`

func entry(fields ...string) stream.Entry {
	e := stream.Entry{ID: stream.ID{Ms: 1}}
	for i := 0; i < len(fields); i += 2 {
		e.Fields = append(e.Fields, stream.Field{Name: []byte(fields[i]), Value: []byte(fields[i+1])})
	}
	return e
}

func BenchmarkDecodeInto(b *testing.B) {
	d := event.Decoder{Field: "event"}
	e := entry("event", trade)
	var ev event.Event
	b.SetBytes(int64(len(trade)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.DecodeInto(&ev, e, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKnownShape decodes trades that differ in their scalars, and finds two
// of them.
func BenchmarkKnownShape(b *testing.B) {
	d := event.Decoder{Field: "event"}
	var entries []stream.Entry
	for i := range 100 {
		entries = append(entries, entry("event", fmt.Sprintf(
			`{"trade_id": %d, "market_id": "m-%d", "odds": {"ticks": %d}, "stake": {"value": %d}, "timestamp": %d}`,
			812+i*i, i, 95+3*i, i*i*i, 1763856000123+i)))
	}
	where, err := event.Compile("stake.value >= 0 and odds.ticks > 0")
	if err != nil {
		b.Fatal(err)
	}
	for name, known := range map[string]*event.Shapes{"unknown": nil, "known": {}} {
		for filter, where := range map[string]*event.Expr{"decode": nil, "decode and match": where} {
			b.Run(name+"/"+filter, func(b *testing.B) {
				var ev event.Event
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if err := d.DecodeInto(&ev, entries[i%len(entries)], known); err != nil {
						b.Fatal(err)
					}
					if where != nil {
						if ok, err := where.Match(&ev); !ok || err != nil {
							b.Fatal(ok, err)
						}
					}
					i++
				}
			})
		}
	}
}

func BenchmarkDecodeFields(b *testing.B) {
	d := event.Decoder{Format: event.Fields}
	e := entry("trade_id", "812", "market_id", "m-17", "ticks", "245", "stake", "2500", "timestamp", "1763856000123")
	var ev event.Event
	b.ReportAllocs()
	for b.Loop() {
		if err := d.DecodeInto(&ev, e, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStandardValid(b *testing.B) {
	doc := []byte(trade)
	b.SetBytes(int64(len(trade)))
	for b.Loop() {
		json.Valid(doc)
	}
}

func BenchmarkLookup(b *testing.B) {
	ev, err := event.Parse([]byte(trade))
	if err != nil {
		b.Fatal(err)
	}
	for _, text := range []string{"trade_id", "stake.value", "timestamp", "absent"} {
		p, err := event.ParsePath(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v, ok := ev.Lookup(p); ok {
					if _, err := v.Int64(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkTime(b *testing.B) {
	ev, err := event.Parse([]byte(`[1763856000123]`))
	if err != nil {
		b.Fatal(err)
	}
	p, err := event.ParsePath("[0]")
	if err != nil {
		b.Fatal(err)
	}
	v, _ := ev.Lookup(p)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Time(event.Auto); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	ev, err := event.Parse([]byte(trade))
	if err != nil {
		b.Fatal(err)
	}
	for _, src := range []string{
		`stake.value >= 50000`,
		`market_id in ["m-1", "m-2", "m-17"] and odds.ticks < 300`,
	} {
		x, err := event.Compile(src)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(src, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x.Match(ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
