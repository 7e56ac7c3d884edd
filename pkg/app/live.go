package app

import (
	"net/http"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/manifest"
)

// live shows the admin server the groups that stream their events.
type live struct{ app *App }

// streaming is a handler's part of the manifest whose groups stream their events.
type streaming interface {
	Serve(group string) http.Handler
	Forget(group string) // it has left the manifest
}

// forgetStreams lets go of what groups have kept for clients that are not in the
// manifest any more, or do not stream there.
func forgetStreams(old, now *manifest.Manifest) {
	stays := map[string]bool{}
	for _, g := range now.Groups {
		_, stays[g.Name] = g.Handler.Config.(streaming)
	}
	for _, g := range old.Groups {
		if config, ok := g.Handler.Config.(streaming); ok && !stays[g.Name] {
			config.Forget(g.Name)
		}
	}
}

func (l live) Live(group string) (http.Handler, error) {
	g, err := operator(l).declared(group)
	if err != nil {
		return nil, err
	}
	config, ok := g.Handler.Config.(streaming)
	if !ok {
		return nil, &admin.Refused{
			Reason: "group " + group + " does not stream its events: its handler is " + g.Handler.Type,
			Hint:   "declare a group with handler: live on the same stream",
		}
	}
	return config.Serve(g.Name), nil
}
