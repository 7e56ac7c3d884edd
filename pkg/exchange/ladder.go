package exchange

// levels is the number of odds that may be offered. A level is the place of odds
// on the ladder, 0 for 1.01.
const levels = 350

// ladder holds the odds of each level, times 100.
var ladder = buildLadder()

func buildLadder() (odds [levels]int64) {
	steps := []struct{ below, by int64 }{
		{200, 1}, {300, 2}, {400, 5}, {600, 10}, {1000, 20},
		{2000, 50}, {3000, 100}, {5000, 200}, {10000, 500}, {100000, 1000},
	}
	next := int64(101)
	level := 0
	for _, s := range steps {
		for ; next < s.below; next += s.by {
			odds[level] = next
			level++
		}
	}
	odds[level] = next
	return odds
}
