package admin

import (
	"net"
	"net/http"
	"net/netip"
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

		if !namesUs(r) {
			fail(w, http.StatusForbidden, problem{
				Error: "the Host header does not name this server",
				Hint:  "use 127.0.0.1, [::1] or localhost in the URL",
			})
			return
		}
		if err := crossOrigin.Check(r); err != nil {
			fail(w, http.StatusForbidden, problem{
				Error: "a page of another site must not change anything here",
				Hint:  "use the command line, or a client that sends no Origin",
			})
			return
		}
		if r.ContentLength > maxBody {
			fail(w, http.StatusRequestEntityTooLarge, problem{Error: "the request is too large", Hint: "send no body"})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody) // one of unknown length
		next.ServeHTTP(w, r)
	})
}

// namesUs reports whether the request was sent to localhost, a loopback address
// or the address that it came in on. The port does not matter: a forwarded one
// is another.
func namesUs(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
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
