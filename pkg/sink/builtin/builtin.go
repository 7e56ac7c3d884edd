// Package builtin lists the handlers that come with fanout.
package builtin

import (
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/sink/live"
	"example.com/fanout/pkg/sink/logsink"
	"example.com/fanout/pkg/sink/sqldb"
	"example.com/fanout/pkg/sink/webhook"
	"example.com/fanout/pkg/sink/window"
)

// Registry returns a new registry with all built-in handlers, to which a
// program may add its own.
func Registry() *handler.Registry {
	r := new(handler.Registry)
	r.Register("live", live.Factory())
	r.Register("log", logsink.Factory())
	r.Register("sql", sqldb.Factory())
	r.Register("webhook", webhook.Factory())
	r.Register("window", window.Factory())
	return r
}
