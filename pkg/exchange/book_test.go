package exchange

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// model is a book that is too simple to be wrong: orders in order of arrival.
type model struct{ orders []modelOrder }

type modelOrder struct {
	side  side
	level int
	stake int64
	place int32
}

// place finds the best order for each match by looking at all of them.
func (m *model) place(s side, limit int, stake int64) (fills []fill, rest int64) {
	for stake > 0 {
		best := -1
		for i, o := range m.orders {
			if o.side == s {
				continue
			}
			if s == back && o.level < limit || s == lay && o.level > limit {
				continue
			}
			if best < 0 || s == back && o.level > m.orders[best].level || s == lay && o.level < m.orders[best].level {
				best = i
			}
		}
		if best < 0 {
			return fills, stake
		}
		o := &m.orders[best]
		n := min(stake, o.stake)
		stake -= n
		o.stake -= n
		fills = append(fills, fill{o.level, n, o.place})
		if o.stake == 0 {
			m.orders = slices.Delete(m.orders, best, best+1)
		}
	}
	return fills, 0
}

func TestBookLikeModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 1))
		b, m := newBook(), &model{}
		var placed, matched, cancelled int64
		for range 2_000 {
			if len(m.orders) > 0 && random.IntN(4) == 0 {
				i := random.IntN(len(m.orders))
				cancelled += m.orders[i].stake
				b.remove(m.orders[i].place)
				m.orders = slices.Delete(m.orders, i, i+1)
			} else {
				s, level, stake := side(random.IntN(2)), random.IntN(30)*12, 1+random.Int64N(50)
				want, rest := m.place(s, level, stake)
				at := b.place(s, level, stake)
				placed += stake
				for _, f := range want {
					matched += f.stake
				}
				if !slices.Equal(b.fills, want) {
					t.Fatalf("seed %d: fills are %v, want %v", seed, b.fills, want)
				}
				if (at != 0) != (rest > 0) || at != 0 && b.orders[at].stake != rest {
					t.Fatalf("seed %d: the rest at place %d, want %d", seed, at, rest)
				}
				if at != 0 {
					m.orders = append(m.orders, modelOrder{s, level, rest, at})
				}
			}
			highestLay, laid := b.best(lay)
			lowestBack, backed := b.best(back)
			if laid && backed && highestLay >= lowestBack {
				t.Fatalf("seed %d: crossed, a lay at %d and a back at %d", seed, highestLay, lowestBack)
			}
			var resting int64
			for _, at := range b.live {
				resting += b.orders[at].stake
			}
			if len(b.live) != len(m.orders) || placed != 2*matched+resting+cancelled {
				t.Fatalf("seed %d: placed %d, matched %d, resting %d, cancelled %d", seed, placed, matched, resting, cancelled)
			}
		}
		if matched == 0 || cancelled == 0 {
			t.Fatalf("seed %d: nothing happened", seed)
		}
	}
}

func TestPriceTimePriority(t *testing.T) {
	t.Parallel()
	b := newBook()
	low := b.place(lay, 10, 100)
	first := b.place(lay, 12, 100)
	second := b.place(lay, 12, 100)
	if rest := b.place(back, 13, 50); rest == 0 || len(b.fills) != 0 {
		t.Fatalf("a back above every lay was matched: %v", b.fills)
	}
	rest := b.place(back, 10, 250)
	if want := []fill{{12, 100, first}, {12, 100, second}, {10, 50, low}}; !slices.Equal(b.fills, want) || rest != 0 {
		t.Errorf("fills are %v, want %v", b.fills, want)
	}
	b.place(back, 10, 60)
	if want := []fill{{10, 50, low}}; !slices.Equal(b.fills, want) {
		t.Errorf("fills are %v, want %v", b.fills, want)
	}
	if level, ok := b.best(back); !ok || level != 10 {
		t.Errorf("the rest is at %d, %v", level, ok)
	}
	if _, ok := b.best(lay); ok {
		t.Error("a lay is left")
	}
}

func TestLadder(t *testing.T) {
	t.Parallel()
	for odds, level := range map[int64]int{101: 0, 102: 1, 200: 99, 202: 100, 300: 149, 305: 150, 400: 169, 410: 170, 600: 189, 620: 190, 1000: 209, 1050: 210, 2000: 229, 2100: 230, 3000: 239, 3200: 240, 5000: 249, 5500: 250, 10000: 259, 11000: 260, 100000: 349} {
		if ladder[level] != odds {
			t.Errorf("level %d is %d, want %d", level, ladder[level], odds)
		}
	}
	if !slices.IsSorted(ladder[:]) || ladder[levels-1] != 100000 {
		t.Errorf("ladder is %v", ladder)
	}
}
