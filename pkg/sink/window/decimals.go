package window

import "example.com/fanout/pkg/event"

// Decimals say with how many decimal places the integers at a path are shown.
// Nothing is computed with them.
type Decimals []Decimal

// Decimal is one path and its places.
type Decimal struct {
	Path   string `yaml:",key"`
	Places int    `yaml:",value"`
}

const maxPlaces = 18

func (c *Config) checkDecimals(fault func(path, format string, args ...any)) {
	for _, d := range c.Decimals {
		at := "decimals." + d.Path
		if _, err := event.ParsePath(d.Path); err != nil {
			fault(at, "%v", err)
		}
		if d.Places < 0 || d.Places > maxPlaces {
			fault(at, "%d is not from 0 to %d", d.Places, maxPlaces)
		}
	}
}

// of returns the places of a path, 0 when nothing is said about it.
func (d Decimals) of(path event.Path) int {
	for _, one := range d {
		if p, err := event.ParsePath(one.Path); err == nil && p.String() == path.String() {
			return one.Places
		}
	}
	return 0
}
