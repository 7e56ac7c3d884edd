package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"syscall"
	"time"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/telemetry"
)

// Client asks the admin server of a running fanout. It is safe for concurrent
// use.
type Client struct {
	addr  string // as errors name it
	base  string // http://host:port
	token telemetry.Secret
	http  *http.Client
}

const (
	clientTimeout = 15 * time.Second // of one request, where it does not wait for groups
	maxAnswer     = 32 << 20
)

// NewClient returns a client of the server at addr: host:port, :port or an
// http(s) URL. An address that a server listens on, such as 0.0.0.0:7600, means
// this machine. Nothing is sent yet.
func NewClient(addr string) *Client {
	base := strings.TrimRight(addr, "/")
	if host, port, err := net.SplitHostPort(base); err == nil {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() && ip.To4() != nil {
			base = net.JoinHostPort("127.0.0.1", port)
		} else if ip != nil && ip.IsUnspecified() {
			base = net.JoinHostPort("::1", port)
		}
	}
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	_, name, _ := strings.Cut(base, "://")
	return &Client{
		addr: name,
		base: base,
		http: &http.Client{
			Transport: &http.Transport{DisableCompression: true}, // and no proxy
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}
}

// WithToken returns a client of the same server that shows a token.
func (c *Client) WithToken(token telemetry.Secret) *Client {
	same := *c
	same.token = token
	return &same
}

// List returns the status of all groups, and what became of the latest reload.
func (c *Client) List(ctx context.Context) (GroupList, error) {
	var list GroupList
	if err := c.do(ctx, request{method: http.MethodGet, route: "/v1/groups"}, &list); err != nil {
		return GroupList{}, fmt.Errorf("list groups: %w", err)
	}
	return list, nil
}

// Groups returns the status of all groups.
func (c *Client) Groups(ctx context.Context) ([]GroupStatus, error) {
	list, err := c.List(ctx)
	return list.Groups, err
}

// Group returns the status of one group. A name that the server does not know
// is [ErrUnknownGroup].
func (c *Client) Group(ctx context.Context, name string) (GroupStatus, error) {
	var status GroupStatus
	if err := c.doGroup(ctx, name, request{method: http.MethodGet}, &status); err != nil {
		return GroupStatus{}, fmt.Errorf("show group: %w", err)
	}
	return status, nil
}

// Restart restarts one group; it returns when the server has accepted that. A
// name that the server does not know is [ErrUnknownGroup].
func (c *Client) Restart(ctx context.Context, name string) error {
	if err := c.doGroup(ctx, name, request{method: http.MethodPost, route: "/restart"}, nil); err != nil {
		return fmt.Errorf("restart group: %w", err)
	}
	return nil
}

// Error is an error that the server answered with.
type Error struct {
	Status     int
	Message    string
	Hint       string   // what to do
	DidYouMean []string // for an unknown group
	Faults     manifest.Faults

	unknownGroup bool
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + " (" + e.Hint + ")"
}

// Is makes the answer about an unknown group an [ErrUnknownGroup].
func (e *Error) Is(target error) bool { return target == ErrUnknownGroup && e.unknownGroup }

// groupRoute is the path of a group.
func groupRoute(name string) (string, error) {
	if name == "" || path.Clean("/"+name) != "/"+name { // no path can hold it
		return "", &Error{Status: http.StatusNotFound, Message: fmt.Sprintf("unknown group %q", name), unknownGroup: true}
	}
	return "/v1/groups/" + url.PathEscape(name), nil
}

// request is one request to the server.
type request struct {
	method, route string
	body          any    // sent as JSON; nil for none
	accept        string // "" for JSON
	patient       bool   // may take as long as its context lets it
}

// doGroup is do for a route below a group's.
func (c *Client) doGroup(ctx context.Context, name string, r request, into any) error {
	group, err := groupRoute(name)
	if err != nil {
		return err
	}
	r.route = group + r.route
	return c.do(ctx, r, into)
}

// do sends a request and decodes the answer into what into points to, unless
// that is nil.
func (c *Client) do(ctx context.Context, r request, into any) error {
	if !r.patient {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, clientTimeout)
		defer cancel()
	}
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return c.stranger(err.Error())
	}
	return nil
}

// send sends a request and returns the answer to it, whose body the caller
// closes. An answer that is an error is returned as one.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.route, body)
	if err != nil {
		return nil, fmt.Errorf("admin address %q: %w", c.addr, err)
	}
	req.Header.Set("Accept", cmp.Or(r.accept, "application/json"))
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	var p problem
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil || json.Unmarshal(answer, &p) != nil || p.Error == "" {
		return nil, c.stranger(resp.Status)
	}
	return nil, &Error{
		Status: resp.StatusCode, Message: p.Error, Hint: p.Hint, DidYouMean: p.DidYouMean, Faults: p.Faults, unknownGroup: p.KnownGroups != nil,
	}
}

// stranger is the error about an answer that a fanout does not give.
func (c *Client) stranger(what string) error {
	return fmt.Errorf("what answers at %s is not fanout, or another version of it (%.200s); name the address with --admin", c.addr, what)
}

// unreachable says what to do about a request without an answer.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(cause, context.Canceled) {
		return cause
	}
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no fanout runs at %s; start it with fanout run, or name the address with --admin: %w", c.addr, err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("fanout at %s does not answer; see its log, or name another address with --admin: %w", c.addr, err)
	}
	return fmt.Errorf("reach fanout at %s; name the address with --admin: %w", c.addr, err)
}
