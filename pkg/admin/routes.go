package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode"

	"example.com/fanout/pkg/nearest"
)

// routes is the table of the API.
func (s *Server) routes() http.Handler {
	table := map[string]methods{
		"/healthz":                  {"GET": lenient(s.healthz)},
		"/readyz":                   {"GET": lenient(s.readyz)},
		"/v1/groups":                {"GET": plain(s.groups)},
		"/v1/groups/{name}":         {"GET": plain(s.group)},
		"/v1/groups/{name}/restart": {"POST": plain(s.restart)},
	}
	if s.cfg.Process != nil {
		table["/v1/reload"] = methods{"POST": takes(s.reload, "dry_run")}
		table["/v1/config"] = methods{"GET": plain(s.config)}
	}
	if s.cfg.Letters != nil {
		table["/v1/groups/{name}/dead"] = methods{
			"GET":    takes(s.letters, "id...", "reason...", "since", "until", "from", "to", "error", "limit"),
			"DELETE": plain(s.purge),
		}
		table["/v1/groups/{name}/dead/{id}"] = methods{"GET": plain(s.letter)}
		table["/v1/groups/{name}/dead/replay"] = methods{"POST": plain(s.replay)}
	}
	if s.cfg.Operator != nil {
		s.operatorRoutes(table)
	}
	if s.cfg.Feed != nil {
		table["/v1/events"] = methods{"GET": takes(s.events, "group", "recent")}
		table["/v1/watch"] = methods{"GET": takes(s.watch, "recent")}
	}
	if s.cfg.Windows != nil {
		table["/v1/groups/{name}/windows"] = methods{"GET": takes(s.windows, "key...", "since", "until", "after", "limit")}
		table["/v1/groups/{name}/windows/keys"] = methods{"GET": takes(s.windowKeys, "by", "since", "until", "limit")}
	}
	if s.cfg.Live != nil {
		table["/live/{name}"] = methods{"GET": takes(s.live, "where", "mark", "recent", "after")}
	}
	if s.cfg.Metrics != nil {
		table["/metrics"] = methods{"GET": lenient(s.cfg.Metrics.ServeHTTP)}
	}
	if s.cfg.Pprof {
		profiles(table)
	}
	mux := http.NewServeMux()
	for pattern, methods := range table {
		mux.Handle(pattern, methods)
	}
	for path, file := range s.cfg.Page {
		if path == "/" {
			path = "/{$}" // that path alone
		}
		mux.Handle(path, methods{"GET": lenient(file.ServeHTTP)})
	}
	unknownPath := notFound("there are " + strings.Join(slices.Sorted(maps.Keys(table)), ", "))
	mux.HandleFunc("/", unknownPath)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would answer these itself: with a redirect, or in text.
		if !strings.HasPrefix(r.URL.Path, "/") || path.Clean(r.URL.Path) != r.URL.Path {
			unknownPath(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// methods are the endpoints of one path.
type methods map[string]endpoint

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == "HEAD" {
		method = "GET"
	}
	if e, ok := m[method]; ok {
		e.serve(w, r)
		return
	}
	allowed := slices.Sorted(maps.Keys(m))
	if slices.Contains(allowed, "GET") {
		allowed = append(allowed, "HEAD")
	}
	allow := strings.Join(allowed, ", ")
	w.Header().Set("Allow", allow)
	fail(w, http.StatusMethodNotAllowed, problem{Error: "method not allowed here", Hint: "use " + allow})
}

func notFound(hint string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, problem{Error: "no such path", Hint: hint})
	}
}

func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	h := s.controller.Health()
	if h.Reasons == nil {
		h.Reasons = []string{}
	}
	verdict := "alive"
	if !h.Alive {
		verdict = "not alive"
	}
	answerCheck(w, r, h.Alive, h, append([]string{verdict}, h.Reasons...))
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready  bool            `json:"ready"`
	Groups []GroupNotReady `json:"groups"` // those that are not ready
}

// GroupNotReady is a group that does not do its work.
type GroupNotReady struct {
	Name    string   `json:"name"`
	Reasons []string `json:"reasons"`
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	answer := Readiness{Groups: []GroupNotReady{}}
	lines := []string{"not ready"}
	for _, g := range s.controller.Groups() {
		reasons := g.NotReady()
		if len(reasons) == 0 {
			continue
		}
		answer.Groups = append(answer.Groups, GroupNotReady{g.Name, reasons})
		for _, reason := range reasons {
			lines = append(lines, g.Name+": "+reason)
		}
	}
	if answer.Ready = len(answer.Groups) == 0; answer.Ready {
		lines = []string{"ready"}
	}
	answerCheck(w, r, answer.Ready, answer, lines)
}

// GroupList is the answer of /v1/groups.
type GroupList struct {
	Groups []GroupStatus `json:"groups"`
	Reload *LastReload   `json:"reload"` // of the manifest; null: none since the start
}

func (s *Server) groups(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.groupList())
}

func (s *Server) groupList() GroupList {
	list := GroupList{Groups: slices.Clone(s.controller.Groups())}
	if list.Groups == nil {
		list.Groups = []GroupStatus{}
	}
	for i := range list.Groups {
		list.Groups[i].complete()
	}
	if s.cfg.Process != nil {
		list.Reload = s.cfg.Process.LastReload()
	}
	return list
}

func (s *Server) group(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	for _, g := range s.controller.Groups() {
		if g.Name == name {
			g.complete()
			answer(w, http.StatusOK, g)
			return
		}
	}
	s.unknownGroup(w, name)
}

func (s *Server) restart(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), restartTimeout)
	defer cancel()
	name := r.PathValue("name")
	switch err := s.controller.Restart(ctx, name); {
	case err == nil:
		answer(w, http.StatusAccepted, map[string]string{"group": name})
	case errors.Is(err, ErrUnknownGroup):
		s.unknownGroup(w, name)
	case ctx.Err() != nil:
		fail(w, http.StatusServiceUnavailable, problem{
			Error: "the restart was not accepted in time: " + err.Error(), Hint: "see fanout status " + name + ", then try again",
		})
	default:
		fail(w, http.StatusConflict, problem{Error: err.Error(), Hint: "see fanout status " + name})
	}
}

func (s *Server) unknownGroup(w http.ResponseWriter, name string) {
	known := []string{}
	for _, g := range s.controller.Groups() {
		known = append(known, g.Name)
	}
	p := problem{Error: fmt.Sprintf("unknown group %.80q", name), DidYouMean: nearest.Names(name, known, 3), KnownGroups: known}
	switch {
	case len(p.DidYouMean) > 0:
		p.Hint = "did you mean " + strings.Join(p.DidYouMean, " or ") + "?"
	case len(known) > 0:
		p.Hint = "the groups are " + strings.Join(known, ", ")
	default:
		p.Hint = "no group runs"
	}
	fail(w, http.StatusNotFound, p)
}

// answerCheck answers a probe: in JSON if it asks for that, else in lines of
// text. A stranger gets the first line alone.
func answerCheck(w http.ResponseWriter, r *http.Request, ok bool, v any, lines []string) {
	status := http.StatusOK
	if !ok {
		status = http.StatusServiceUnavailable
	}
	if !isKnown(r) {
		write(w, status, "text/plain; charset=utf-8", []byte(lines[0]+"\n"))
		return
	}
	w.Header().Set("Vary", "Accept")
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		answer(w, status, v)
		return
	}
	for i, line := range lines {
		lines[i] = strings.Map(printable, line)
	}
	write(w, status, "text/plain; charset=utf-8", []byte(strings.Join(lines, "\n")+"\n"))
}

// printable keeps texts of errors in their line and from steering a terminal.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return ' '
}
