package chaos

import (
	"fmt"
	"slices"
	"time"
)

const minute = 60_000 // milliseconds

// row is one row of a table by its columns.
type row map[string]any

// windows are the rows that the shipped group analytics should have made of the
// entries, worked out the slow and plain way, by key and start.
func windows(entries []*entry) map[string]row {
	grouped := map[string][]*entry{}
	for _, e := range entries {
		k := windowKey(e.MarketID, e.Timestamp/minute*minute)
		grouped[k] = append(grouped[k], e)
	}
	rows := map[string]row{}
	for k, list := range grouped {
		rows[k] = window(list)
	}
	return rows
}

func windowKey(market any, start any) string { return fmt.Sprintf("%v/%v", market, start) }

func window(list []*entry) row {
	slices.SortFunc(list, func(a, b *entry) int {
		if a.Timestamp != b.Timestamp {
			return int(a.Timestamp - b.Timestamp)
		}
		return a.id.Compare(b.id)
	})
	first, last := list[0], list[len(list)-1]
	start := first.Timestamp / minute * minute
	high, low := first.OddsTicks, first.OddsTicks
	var volume, weighted int64
	for _, e := range list {
		high, low = max(high, e.OddsTicks), min(low, e.OddsTicks)
		volume += e.Stake
		weighted += e.OddsTicks * e.Stake
	}
	return row{
		"fanout_group": analytics, "key": first.MarketID, "window_start": start,
		"window_start_utc": time.UnixMilli(start).UTC().Format("2006-01-02T15:04:05.000Z"),
		"trades":           int64(len(list)), "volume": volume,
		"open": first.OddsTicks, "open_at": first.Timestamp * 1e6, "open_id": first.id.String(),
		"high": high, "low": low,
		"close": last.OddsTicks, "close_at": last.Timestamp * 1e6, "close_id": last.id.String(),
		"vwap": float64(weighted) / float64(volume), "vwap_num": weighted, "vwap_den": volume,
	}
}
