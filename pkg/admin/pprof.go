package admin

import (
	"net/http"
	"net/http/pprof"
)

// profiles adds Go's own profiles to the table. They set their own deadlines.
func profiles(table map[string]map[string]http.HandlerFunc) {
	for path, handle := range map[string]http.HandlerFunc{
		"/debug/pprof":         pprof.Index,
		"/debug/pprof/cmdline": pprof.Cmdline,
		"/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol":  pprof.Symbol,
		"/debug/pprof/trace":   pprof.Trace,
		"/debug/pprof/{name}":  profile,
	} {
		table[path] = map[string]http.HandlerFunc{"GET": handle}
	}
}

func profile(w http.ResponseWriter, r *http.Request) {
	pprof.Handler(r.PathValue("name")).ServeHTTP(w, r)
}
