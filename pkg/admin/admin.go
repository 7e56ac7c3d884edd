// Package admin is the HTTP server through which people and monitoring see and
// steer the running groups, and its client for the command line.
//
//	GET  /healthz                    200, or 503 when a loop of the process is stuck
//	GET  /readyz                     200, or 503 with the groups that are not ready and why
//	GET  /metrics                    in the format of Prometheus
//	GET  /v1/groups                  {"groups": [GroupStatus...]}
//	GET  /v1/groups/{name}           GroupStatus
//	POST /v1/groups/{name}/restart   202 {"group": name}
//
// Every error is JSON: {"error": "...", "hint": "what to do"}.
//
// The server has no passwords yet, so it trusts whoever reaches it and takes
// care that nobody else does: [Listen] takes loopback addresses alone, a request
// must name the server by such an address (a web page that has rebound its own
// name to 127.0.0.1 does not), and a request that changes something must not
// come from another site's page. It never sends CORS headers.
package admin

import (
	"context"
	"errors"
)

// Controller is what the server shows and steers. Its methods are called from
// many goroutines at once and must answer soon, without asking Redis.
type Controller interface {
	// Groups returns the status of all groups, in the order of the manifest.
	Groups() []GroupStatus

	// Restart begins a restart of one group and returns. A name that it does not
	// know is [ErrUnknownGroup]; any other error says why the group cannot be
	// restarted now.
	Restart(ctx context.Context, group string) error

	// Health tells whether the loops of the process itself go round.
	Health() Health
}

// ErrUnknownGroup is wrapped by errors about a name that no group has, those of
// the [Client] included.
var ErrUnknownGroup = errors.New("unknown group")
