package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"example.com/fanout/pkg/telemetry"
)

// Reload lets the server read its manifest again and waits until that is done;
// with dryRun it changes nothing. Faults of the manifest are in an [Error].
func (c *Client) Reload(ctx context.Context, dryRun bool) (Reloaded, error) {
	route := "/v1/reload"
	if dryRun {
		route += "?dry_run=1"
	}
	var done Reloaded
	if err := c.do(ctx, request{method: http.MethodPost, route: route, patient: true}, &done); err != nil {
		return Reloaded{}, fmt.Errorf("reload: %w", err)
	}
	return done, nil
}

// Events returns the newest events, oldest first, at most recent of them. An
// empty group is all groups and the process.
func (c *Client) Events(ctx context.Context, group string, recent int) ([]telemetry.Event, error) {
	var list EventList
	if err := c.do(ctx, request{method: http.MethodGet, route: eventsRoute(group, recent)}, &list); err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return list.Events, nil
}

// Follow gives the newest events, at most recent of them, and then each one as
// it comes, until ctx is done, the server ends, or see returns an error. dropped
// is called with how many events were missed when they came too fast.
func (c *Client) Follow(ctx context.Context, group string, recent int, see func(telemetry.Event) error, dropped func(n int64) error) error {
	resp, err := c.send(ctx, request{method: http.MethodGet, route: eventsRoute(group, recent), accept: "text/event-stream"})
	if err != nil {
		return fmt.Errorf("follow events: %w", err)
	}
	defer resp.Body.Close()
	const longest = 1 << 20
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, longest)
	for in.Scan() {
		data, ok := bytes.CutPrefix(in.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		var e struct {
			telemetry.Event
			Dropped int64  `json:"dropped"`
			Ended   string `json:"error"` // why nothing more comes
		}
		if err := json.Unmarshal(data, &e); err != nil {
			return c.stranger(err.Error())
		}
		switch {
		case e.Ended != "":
			err = fmt.Errorf("follow events: %s", e.Ended)
		case e.Dropped > 0:
			err = dropped(e.Dropped)
		default:
			err = see(e.Event)
		}
		if err != nil {
			return err
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("follow events: %w", err)
	}
	return nil
}

func eventsRoute(group string, recent int) string {
	query := url.Values{"recent": {strconv.Itoa(recent)}}
	if group != "" {
		query.Set("group", group)
	}
	return "/v1/events?" + query.Encode()
}
