package exchange

const (
	lowestFair  = 20
	highestFair = 260

	cancels = 0.25 // of all that bettors do
	takes   = 0.45 // of all orders: those that want to be matched at once
	drift   = 0.02 // of the fair odds, levels per order

	// mostResting bounds a book; a full one sees a cancellation first.
	mostResting = 400

	smallestStake = 200 // minor units
	stakeStep     = 50
)

// bet lets one bettor act on one market: cancel an order, offer odds around the
// fair ones, or take what is offered. The matches are in the market's fills.
//
// The float arithmetic is kept to what gives the same on every machine: a
// product is rounded before it is added to, and no functions beyond package rand.
func (x *Exchange) bet() *market {
	m := &x.markets[x.zipf.Uint64()]
	b := m.book
	if resting := len(b.live); resting == mostResting || resting > 0 && x.random.Float64() < cancels {
		b.remove(b.live[x.random.IntN(resting)])
		b.fills = b.fills[:0]
		return m
	}
	m.fair = min(max(m.fair+float64(x.random.NormFloat64()*drift), lowestFair), highestFair)

	s := side(x.random.Uint64() & 1)
	better := 1 // the direction in which odds are better for this bettor
	if s == lay {
		better = -1
	}
	limit := int(m.fair) + better*(1+int(x.random.ExpFloat64()*4))
	if offered, ok := b.best(s.other()); ok && x.random.Float64() < takes {
		limit = offered - better*x.random.IntN(4)
	}
	b.place(s, min(max(limit, 0), levels-1), x.stake())
	return m
}

// stake is heavy-tailed: it doubles ever more rarely, by a straight line between
// the powers of two.
func (x *Exchange) stake() int64 {
	doublings := min(x.random.ExpFloat64()*3, 14)
	whole := int(doublings)
	stake := int64(float64(int64(smallestStake)<<whole) * (1 + doublings - float64(whole)))
	return stake / stakeStep * stakeStep
}
