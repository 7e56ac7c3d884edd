// Package webhook posts entries to an HTTP endpoint as Standard Webhooks
// (https://www.standardwebhooks.com), and receives them.
//
// A request carries one event, or with batch: true all events of a batch.
//
//   - One event: the body is the event as it was published. JSON is sent as
//     application/json, a raw payload as application/octet-stream. The headers
//     fanout-group, fanout-stream and fanout-id name the entry.
//   - A batch: the body is an object, and fanout-events tells how many there are:
//     {"group": "…", "events": [{"id": "msg_…", "stream": "…", "entry_id": "…", "data": …}, …]}
//     A raw payload has "data_base64" in place of "data".
//
// The header webhook-id is the same for every delivery of an entry to a group,
// whatever process delivers it, and different for any two entries: a receiver
// that remembers it sees each event once. In a batch each event carries its
// own; the batch's is a hash of them. webhook-timestamp is the time of sending
// and changes with each try; nothing in the body does. With a secret
// webhook-signature is added, which [Receiver] or any library of Standard
// Webhooks can verify.
//
// What an answer means:
//
//   - 2xx: the entries are settled.
//   - 400, 413, 414, 415, 422: the event is refused: buried at once. A batch is
//     split first, so that only the refused event is buried.
//   - 401, 403, 404, 405, 407, 408, 410, 425, 429, 502, 503, 504, a redirect
//     (none is followed), and any failure of connection, DNS or TLS: the
//     endpoint is away. Entries are held and tried again, no attempt counts.
//   - Any other 5xx, and no answer within the timeout: either the event's fault
//     or the endpoint's. An attempt counts only if another entry has succeeded
//     since this entry first failed so; until then the endpoint counts as away.
//     So an outage buries nothing, and the one entry that a healthy endpoint
//     cannot digest is buried as soon as there is other traffic to tell by. A
//     batch is split, which counts no attempt.
//   - Any other 4xx counts an attempt.
//
// Retry-After, as seconds or as a date, is respected with all of these.
package webhook

import (
	"time"

	"example.com/fanout/pkg/handler"
)

// Factory makes the handler type "webhook".
func Factory() handler.Factory {
	return handler.Factory{
		Doc: "posts events to an HTTP endpoint, signed as Standard Webhooks",
		Config: func() handler.Config {
			return &Config{Timeout: 10 * time.Second, MaxResponse: 64 << 10}
		},
	}
}
