package admin

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	runtime "runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// maxProfile bounds how long one request may profile.
const maxProfile = 5 * time.Minute

// profiles adds Go's own profiles to the table. They set their own deadlines.
func profiles(table map[string]methods) {
	for path, handle := range map[string]http.HandlerFunc{
		"/debug/pprof":         pprof.Index,
		"/debug/pprof/cmdline": pprof.Cmdline,
		"/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol":  pprof.Symbol,
		"/debug/pprof/trace":   pprof.Trace,
		"/debug/pprof/{name}":  profile,
	} {
		table[path] = methods{"GET": lenient(forSeconds(handle))}
	}
}

func profile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if runtime.Lookup(name) == nil {
		names := []string{"cmdline", "profile", "symbol", "trace"}
		for _, p := range runtime.Profiles() {
			names = append(names, p.Name())
		}
		fail(w, http.StatusNotFound, problem{Error: fmt.Sprintf("no profile %.40q", name), Hint: "there are " + strings.Join(names, ", ")})
		return
	}
	pprof.Handler(name).ServeHTTP(w, r)
}

// forSeconds refuses what is no time for a profile.
func forSeconds(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if text := r.URL.Query().Get("seconds"); text != "" {
			if n, err := strconv.ParseFloat(text, 64); err != nil || !(n >= 0 && n <= maxProfile.Seconds()) {
				fail(w, http.StatusBadRequest, problem{Error: fmt.Sprintf("seconds %.40q", text), Hint: fmt.Sprintf("want a number from 0 to %.0f", maxProfile.Seconds())})
				return
			}
		}
		handle(w, r)
	}
}
