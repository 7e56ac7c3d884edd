package redisstream

import (
	"context"
	"time"

	"example.com/fanout/pkg/stream"
)

// The bounds of one page. A page may be shorter than asked for and yet not be
// the last.
const (
	maxPage      = 1000
	maxPageBytes = 4 << 20 // reached by the last entry or some, not kept to
)

// Own returns a page of what is pending under this consumer's name, from the
// first ID after after on. Entries whose data is gone are acknowledged and told
// as vanished, here and as a loss of the group: see Group.Losses.
func (s *Source) Own(ctx context.Context, after stream.ID, max int) (stream.Page, error) {
	if after == stream.MaxID {
		return stream.Page{Next: after, Done: true}, nil
	}
	v, err := s.group.client.run(ctx, s.op("list pending of"), ownScript, s.pendingKeys(),
		s.group.cfg.Group, s.consumer, after.Next().String(), pageSize(max), maxPageBytes, s.group.client.token)
	if err != nil {
		return stream.Page{}, err
	}
	if err := s.sameEpoch(ctx); err != nil {
		return stream.Page{}, wrap(s.op("list pending of"), err)
	}
	page := stream.Page{Next: v.id(), Done: v.flag()}
	if page.Next.IsZero() {
		page.Next = after
	}
	return s.page(page, &v, stream.Own)
}

// Claim takes over entries that have been pending under any name for minIdle,
// in order from cursor on. It does not count as a delivery.
func (s *Source) Claim(ctx context.Context, cursor stream.ID, minIdle time.Duration, max int) (stream.Page, error) {
	server, err := s.group.client.Server(ctx)
	if err != nil {
		return stream.Page{}, err
	}
	v, err := s.group.client.run(ctx, s.op("claim"), claimScript, s.pendingKeys(),
		s.group.cfg.Group, s.consumer, cursor.String(), minIdle.Milliseconds(), pageSize(max), maxPageBytes, flag(server.Simulated),
		s.group.client.token)
	if err != nil {
		return stream.Page{}, err
	}
	if err := s.sameEpoch(ctx); err != nil {
		return stream.Page{}, wrap(s.op("claim"), err)
	}
	page := stream.Page{Next: v.id()}
	page.Done = page.Next.IsZero()
	return s.page(page, &v, stream.Claimed)
}

// pendingKeys are those of the scripts that list what is pending.
func (s *Source) pendingKeys() []string {
	keys := []string{s.group.cfg.Stream}
	if s.group.bookKey != "" {
		keys = append(keys, s.group.bookKey, s.group.untakenKey)
	}
	return keys
}

func pageSize(asked int) int { return min(max(asked, 1), maxPage) }

// page reads the rest of a script's result: IDs without data, then entries.
func (s *Source) page(page stream.Page, v *values, origin stream.Origin) (stream.Page, error) {
	page.Vanished = v.ids()
	entries := v.array()
	for entries.more() {
		entry := entries.array()
		e := stream.Entry{ID: entry.id()}
		count := entry.integer()
		e.Fields = entry.fields()
		entries.adopt(&entry)
		page.Deliveries = append(page.Deliveries, s.delivery(e, origin, count))
	}
	v.adopt(&entries)
	if v.err != nil {
		return stream.Page{}, v.err
	}
	return page, nil
}
