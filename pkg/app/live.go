package app

import (
	"net/http"

	"example.com/fanout/pkg/admin"
)

// live shows the admin server the groups that stream their events.
type live struct{ app *App }

// streaming is a handler's part of the manifest whose groups stream their events.
type streaming interface {
	Serve(group string) http.Handler
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
