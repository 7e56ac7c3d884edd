// Package admin is the HTTP server through which people and monitoring see and
// steer the running groups, and its client for the command line.
//
//	GET    /healthz                        200, or 503 when a loop of the process is stuck
//	GET    /readyz                         200, or 503 with the groups that are not ready and why
//	GET    /metrics                        in the format of Prometheus
//	GET    /v1/groups                      {"groups": [GroupStatus...]}
//	GET    /v1/groups/{name}               GroupStatus
//	POST   /v1/groups/{name}/restart       202 {"group": name}
//	POST   /v1/groups/{name}/pause         Steered, and 202 while it is not done; so do resume, stop, start
//	GET    /v1/groups/{name}/position      Position
//	PUT    /v1/groups/{name}/position      Seek; {"to": "...", "dry_run": true, "rebuild": false}
//	GET    /v1/groups/{name}/pending       PendingPage; ?consumer= min_idle= after= limit=
//	GET    /v1/explain/{id}                Explanation; ?stream=
//	GET    /v1/groups/{name}/dead          LetterPage; ?id= or ?reason= since= until= from= to= error=, limit=
//	GET    /v1/groups/{name}/dead/{id}     one letter with its fields
//	POST   /v1/groups/{name}/dead/replay   LetterCount; {"ids": [...]} or filters or {"all": true}, rate, dry_run
//	DELETE /v1/groups/{name}/dead          LetterCount; the same without rate
//	POST   /v1/reload                      Reloaded, or 422 with the faults; ?dry_run=1 changes nothing
//	GET    /v1/config                      the manifest that runs, with defaults, secrets masked
//	GET    /v1/groups/{name}/windows       WindowPage; ?key= (several) since= until= after= limit=
//	GET    /v1/groups/{name}/windows/keys  KeyPage; ?by= since= until= limit=
//	GET    /v1/events                      server-sent events, ?group= recent=; as a list with Accept: application/json
//	GET    /v1/watch                       server-sent events: all groups each second, and those of /v1/events; ?recent=
//	GET    /live/{name}                    the events of a group as server-sent events, by its handler
//	GET    /                               the page
//	GET    /debug/pprof/...                Go profiles, where that is switched on
//
// Every error is JSON: {"error": "...", "hint": "what to do"}. A query with a name
// that its path does not know, with one twice or with an empty value is an error.
// Streams of server-sent events end with "refused" when the token is not valid any
// more, and with "gone" when their group has left the manifest.
//
// Who gets an answer:
//   - The Host header must name the server: localhost, a loopback address, the
//     address of the connection, or a name in Config.Hosts. A web page that has
//     rebound its own name to the server's address does not.
//   - A request must not come from a page of another site, whatever its method.
//     The server never sends CORS headers.
//   - With a token, Authorization: Bearer TOKEN must show it. Without it /healthz
//     and /readyz tell their verdict alone, /metrics answers where that is
//     wanted, the files of the page are there, and everything else is 401.
//     [Server.Serve] does not serve others than this machine without a token.
//   - GET changes nothing; a read-only server takes nothing else.
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
