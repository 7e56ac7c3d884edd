package window_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/handler/handlertest"
	"example.com/fanout/pkg/stream"
)

// tick is an event of the model.
type tick struct {
	id    stream.ID
	epoch string
	key   string
	at    int64 // ms
	odds  *int64
	stake int64
}

func (e tick) delivery(t *testing.T) handler.Delivery {
	t.Helper()
	odds := "null"
	if e.odds != nil {
		odds = fmt.Sprint(*e.odds)
	}
	return handlertest.Delivery(t, "s", e.epoch, e.id, fmt.Sprintf(
		`{"market_id": %q, "odds": {"ticks": %s}, "stake": {"value": %d}, "timestamp": %d}`, e.key, odds, e.stake, e.at))
}

// randomTicks are events of few keys and minutes, with many times, and now and
// then IDs of two epochs, the same.
func randomTicks(rnd *rand.Rand, n int) []tick {
	list := make([]tick, n)
	for i := range list {
		list[i] = tick{
			id:    stream.ID{Ms: uint64(1763856000000 + i/3), Seq: uint64(i % 3)},
			epoch: "first",
			key:   fmt.Sprintf("m-%d", rnd.IntN(4)),
			at:    1763856000000 + rnd.Int64N(200)*1000, // ties are common
			stake: rnd.Int64N(2000) - 200,
		}
		if rnd.IntN(10) > 0 {
			odds := rnd.Int64N(1000)
			list[i].odds = &odds
		}
		if rnd.IntN(5) == 0 {
			list[i].epoch = "second"
			list[i].id.Ms -= uint64(rnd.IntN(50))
		}
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(e tick) bool {
		identity := e.epoch + e.id.String()
		twice := seen[identity]
		seen[identity] = true
		return twice
	})
}

// model says what the table must hold, by the plainest means.
func model(list []tick) []string {
	type window struct {
		start int64
		key   string
	}
	windows := map[window][]tick{}
	for _, e := range list {
		w := window{e.at - e.at%60_000, e.key}
		windows[w] = append(windows[w], e)
	}
	var rows []string
	for w, events := range windows {
		slices.SortFunc(events, func(a, b tick) int {
			return cmp.Or(cmp.Compare(a.at, b.at), a.id.Compare(b.id), cmp.Compare(value(a), value(b)))
		})
		var volume, num, den int64
		var odds []int64
		for _, e := range events {
			volume += e.stake
			if e.odds != nil {
				odds = append(odds, *e.odds)
				num += *e.odds * e.stake
				den += e.stake
			}
		}
		row := fmt.Sprintf("%s|%d|%d|%d", w.key, w.start, len(events), volume)
		if len(odds) == 0 {
			rows = append(rows, row+"|<nil>|<nil>|<nil>|<nil>|<nil>|<nil>|<nil>")
			continue
		}
		avg := "<nil>"
		if den != 0 {
			avg = fmt.Sprint(float64(num) / float64(den))
		}
		rows = append(rows, row+fmt.Sprintf("|%d|%d|%d|%d|%s|%d|%d", odds[0], slices.Max(odds), slices.Min(odds), odds[len(odds)-1], avg, num, den))
	}
	slices.Sort(rows)
	return rows
}

func value(e tick) int64 {
	if e.odds == nil {
		return 0
	}
	return *e.odds
}

const modelQuery = "SELECT key, window_start, trades, volume, open, high, low, close, vwap, vwap_num, vwap_den FROM market_minutes"

// Whatever the order, the batches, the repeats, the crashes between commit and
// acknowledgement and the calls at once: the table is that of the plain model.
func TestAnyOrderGivesTheSameWindows(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		events := randomTicks(rnd, 400)
		deliveries := make([]handler.Delivery, 0, 2*len(events))
		for _, e := range events {
			deliveries = append(deliveries, e.delivery(t))
			if rnd.IntN(3) == 0 {
				deliveries = append(deliveries, e.delivery(t)) // will come again
			}
		}
		rnd.Shuffle(len(deliveries), func(i, j int) { deliveries[i], deliveries[j] = deliveries[j], deliveries[i] })

		c := minutesConfig(t.TempDir())
		handlers := []handler.Handler{mustNew(t, c, "g"), mustNew(t, c, "g")}
		var wg sync.WaitGroup
		for len(deliveries) > 0 {
			n := min(1+rnd.IntN(90), len(deliveries))
			h, batch := handlers[rnd.IntN(2)], deliveries[:n]
			deliveries = deliveries[n:]
			twice := rnd.IntN(4) == 0
			wg.Go(func() {
				for range 1 + map[bool]int{true: 1}[twice] {
					if err := h.Handle(t.Context(), handlertest.Batch("g", batch...)); err != nil {
						t.Error(err)
					}
				}
			})
			if rnd.IntN(2) == 0 {
				wg.Wait()
			}
		}
		wg.Wait()
		got := rows(t, c.DSN, modelQuery)
		slices.Sort(got)
		if want := model(events); !slices.Equal(got, want) {
			t.Errorf("seed %d: windows differ\ngot  %v\nwant %v", seed, got, want)
		}
	}
}

func TestManyWindowsInABatch(t *testing.T) {
	t.Parallel()
	c := minutesConfig(t.TempDir())
	c.TimeUnit = "ms"
	h := mustNew(t, c, "g")
	var events []tick
	for i := range 2000 {
		odds := int64(i)
		events = append(events, tick{
			id: stream.ID{Ms: uint64(i) + 1}, epoch: "e", key: fmt.Sprintf("k%d", i%1000), at: int64(i/500) * time.Hour.Milliseconds(), odds: &odds, stake: 1,
		})
	}
	for _, part := range [][]tick{events, events[:1500]} {
		var batch []handler.Delivery
		for _, e := range part {
			batch = append(batch, e.delivery(t))
		}
		mustHandle(t, h, batch...)
	}
	got := rows(t, c.DSN, modelQuery)
	slices.Sort(got)
	if want := model(events); !slices.Equal(got, want) {
		t.Errorf("%d windows differ from the model's %d", len(got), len(want))
	}
}
