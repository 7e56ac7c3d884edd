package admin

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// guard lets a request through that its sender may make; see the package's
// documentation.
func (s *Server) guard(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")

		if !s.isNamed(r) {
			fail(w, http.StatusForbidden, problem{
				Error: "the Host header does not name this server",
				Hint:  "use 127.0.0.1, [::1] or localhost in the URL, or add the name to admin.hosts of the manifest",
			})
			return
		}
		asked := r.WithContext(r.Context()) // a copy
		asked.Method = http.MethodPost      // what other sites may not change they may not see either
		if err := crossOrigin.Check(asked); err != nil {
			fail(w, http.StatusForbidden, problem{
				Error: "a page of another site gets nothing here",
				Hint:  "use the command line, or a client that sends no Origin",
			})
			return
		}
		known := s.knows(r)
		if !known && !s.open(r.URL.Path) {
			h.Set("WWW-Authenticate", `Bearer realm="fanout"`)
			fail(w, http.StatusUnauthorized, problem{
				Error: "the token is missing or wrong",
				Hint:  "send the header Authorization: Bearer TOKEN with admin.token of the manifest; the command line takes it from FANOUT_TOKEN or --token-file",
			})
			return
		}
		if s.cfg.ReadOnly && mutates(r.Method) {
			fail(w, http.StatusForbidden, problem{
				Error: "this admin server changes nothing: admin.read_only is set",
				Hint:  "remove admin.read_only from the manifest and restart the process, or use signals",
			})
			return
		}
		if r.ContentLength > maxBody {
			fail(w, http.StatusRequestEntityTooLarge, problem{Error: "the request is too large", Hint: "send less"})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody) // one of unknown length
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), knownKey{}, known)))
	})
}

// mutates reports whether a method changes something; all others only look.
func mutates(method string) bool {
	return !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, method)
}

type knownKey struct{}

// isKnown reports whether guard has seen the token of a request, or none is
// needed.
func isKnown(r *http.Request) bool {
	is, _ := r.Context().Value(knownKey{}).(bool)
	return is
}

// isNamed reports whether the request was sent to one of the server's names,
// localhost, a loopback address or the address that it came in on. The port
// does not matter: a forwarded one is another.
func (s *Server) isNamed(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	name := strings.TrimSuffix(host, ".")
	if strings.EqualFold(name, "localhost") || slices.ContainsFunc(s.cfg.Hosts, func(h string) bool { return strings.EqualFold(name, h) }) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	if addr.IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && addr == local.AddrPort().Addr().Unmap().WithZone("")
}
