package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"example.com/fanout/pkg/stream"
)

// Steer brings a group into the state that a verb means and waits until it is
// in that state, however long that takes. by says who asks.
func (c *Client) Steer(ctx context.Context, group string, verb Verb, by string) (GroupStatus, error) {
	for {
		began := time.Now()
		var s Steered
		err := c.doGroup(ctx, group, request{
			method: http.MethodPost, route: "/" + string(verb), body: map[string]string{"by": by}, patient: true,
		}, &s)
		if err != nil {
			return GroupStatus{}, fmt.Errorf("%s group: %w", verb, err)
		}
		if s.Done {
			return s.Status, nil
		}
		select {
		case <-time.After(time.Second - time.Since(began)): // were the server in a hurry
		case <-ctx.Done():
			return s.Status, context.Cause(ctx)
		}
	}
}

// Position tells where a group stands in Redis.
func (c *Client) Position(ctx context.Context, group string) (Position, error) {
	var p Position
	if err := c.doGroup(ctx, group, request{method: http.MethodGet, route: "/position", patient: true}, &p); err != nil {
		return Position{}, fmt.Errorf("show position: %w", err)
	}
	return p, nil
}

// Seek moves a group that is paused or stopped, or says what that would come to.
func (c *Client) Seek(ctx context.Context, group string, r SeekRequest) (Seek, error) {
	var done Seek
	if err := c.doGroup(ctx, group, request{method: http.MethodPut, route: "/position", body: r, patient: true}, &done); err != nil {
		return Seek{}, fmt.Errorf("seek: %w", err)
	}
	return done, nil
}

// Pending lists what a group has pending.
func (c *Client) Pending(ctx context.Context, group string, q PendingQuery) (PendingPage, error) {
	query := url.Values{}
	if q.Consumer != "" {
		query.Set("consumer", q.Consumer)
	}
	if q.MinIdle > 0 {
		query.Set("min_idle", q.MinIdle.String())
	}
	if !q.After.IsZero() {
		query.Set("after", q.After.String())
	}
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	var page PendingPage
	if err := c.doGroup(ctx, group, request{method: http.MethodGet, route: "/pending?" + query.Encode(), patient: true}, &page); err != nil {
		return PendingPage{}, fmt.Errorf("list pending: %w", err)
	}
	return page, nil
}

// Explain tells what became of an entry. A stream of "" is all of the manifest.
func (c *Client) Explain(ctx context.Context, id stream.ID, stream string) (Explanation, error) {
	route := "/v1/explain/" + id.String()
	if stream != "" {
		route += "?" + url.Values{"stream": {stream}}.Encode()
	}
	var e Explanation
	if err := c.do(ctx, request{method: http.MethodGet, route: route, patient: true}, &e); err != nil {
		return Explanation{}, fmt.Errorf("explain %s: %w", id, err)
	}
	return e, nil
}
