package main

import (
	"bytes"
	"fmt"
	"slices"
)

// Sizes of the plot, in pixels.
const (
	plotWidth  = 760
	plotTop    = 44
	rowHeight  = 20
	groupGap   = 18
	labelWidth = 92
	valueWidth = 128
)

// plotHead sets colours that are legible on light and dark ground, without a
// ground of their own.
const plotHead = `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">
<title>Deliveries per second of %d entries a group or less, by number of groups</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-size: 14px; font-weight: 600 }
.limit { fill: #8c959f } .fanout { fill: #0969da } .go-redis { fill: #bf8700 }
.spread { stroke: #24292f; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  text { fill: #d0d7de } .fanout { fill: #4493f8 } .go-redis { fill: #d29922 } .spread { stroke: #d0d7de }
}
</style>
`

// plot draws the deliveries per second as bars, a block for each number of
// groups, with the spread of the rounds as a line and the share of the limit beside it.
func (r *result) plot() []byte {
	most := 1.0
	blocks := 0
	for i, s := range r.Deliveries {
		most = max(most, s.Rate.Max)
		if i == 0 || s.Groups != r.Deliveries[i-1].Groups {
			blocks++
		}
	}
	height := plotTop + len(r.Deliveries)*rowHeight + blocks*groupGap + 28
	scale := (plotWidth - labelWidth - valueWidth) / most

	var b bytes.Buffer
	fmt.Fprintf(&b, plotHead, plotWidth, height, plotWidth, height, r.Entries)
	fmt.Fprintf(&b, "<text class=\"title\" x=\"0\" y=\"16\">Deliveries per second over all groups, every entry acknowledged</text>\n")
	x := 0
	for _, who := range contenders {
		fmt.Fprintf(&b, "<rect class=\"%s\" x=\"%d\" y=\"28\" width=\"12\" height=\"12\"/><text x=\"%d\" y=\"38\">%s</text>\n", who, x, x+18, meaning[who])
		x += 32 + 7*len(meaning[who])
	}
	y := plotTop
	last := 0
	for _, s := range r.Deliveries {
		if s.Groups != last {
			last = s.Groups
			y += groupGap
			noun := "groups"
			if s.Groups == 1 {
				noun = "group"
			}
			fmt.Fprintf(&b, "<text x=\"0\" y=\"%d\">%d %s</text>\n", y+rowHeight+13, s.Groups, noun)
		}
		width := s.Rate.Median * scale
		middle := float64(y) + rowHeight/2 - 2
		fmt.Fprintf(&b, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>\n", s.Contender, labelWidth, y, width, rowHeight-4)
		fmt.Fprintf(&b, "<line class=\"spread\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
			labelWidth+s.Rate.Min*scale, labelWidth+s.Rate.Max*scale, middle, middle)
		text := thousands(s.Rate.Median)
		if s.Contender != theLimit {
			text += fmt.Sprintf("  (%.0f %%)", 100*s.Ratio.Median)
		}
		fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", labelWidth+max(width, s.Rate.Max*scale)+8, y+12, text)
		y += rowHeight
	}
	m := r.Machine
	fmt.Fprintf(&b, "<text x=\"0\" y=\"%d\">%d cores, redis-server %s, entries of %.0f bytes; medians of %d rounds, lines from least to most</text>\n",
		y+20, m.Cores, m.Redis, r.EntryBytes, r.Rounds)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// thousands writes a number as 1,234,567.
func thousands(f float64) string {
	digits := fmt.Sprintf("%.0f", f)
	var parts []string
	for len(digits) > 3 {
		parts = append(parts, digits[len(digits)-3:])
		digits = digits[:len(digits)-3]
	}
	for _, p := range slices.Backward(parts) {
		digits += "," + p
	}
	return digits
}
