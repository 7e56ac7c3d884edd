package admin

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"example.com/fanout/pkg/telemetry"
)

// The bounds of a token in a file, in bytes.
const (
	minToken = 16
	maxToken = 4096
)

// ReadToken reads a token from a file; spaces and line ends around it are not
// part of it. One that is empty or short is an error, for it would protect
// nothing.
func ReadToken(path string) (telemetry.Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read admin token: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", fmt.Errorf("read admin token: %w", err)
	}
	if len(text) > maxToken {
		return "", fmt.Errorf("read admin token: %s holds more than a token", path)
	}
	if text = bytes.TrimSpace(text); len(text) < minToken {
		return "", fmt.Errorf("read admin token: %s holds less than %d characters", path, minToken)
	}
	return telemetry.Secret(text), nil
}

// token is the one that clients must show, "" for none.
func (s *Server) token() (telemetry.Secret, error) {
	if s.cfg.TokenFile != "" {
		return ReadToken(s.cfg.TokenFile)
	}
	return s.cfg.Token, nil
}

// knows reports whether the sender of a request has shown the token, or none is
// needed. While the token cannot be read nobody has.
func (s *Server) knows(r *http.Request) bool {
	want, err := s.token()
	if err != nil {
		s.unread.Fault(err)
		return false
	}
	s.unread.Clear()
	if want == "" {
		return true
	}
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	// Sums are of one length, so that nothing is told by the time that this takes.
	wantSum, gotSum := sha256.Sum256([]byte(want.Reveal())), sha256.Sum256([]byte(strings.TrimSpace(got)))
	return subtle.ConstantTimeCompare(wantSum[:], gotSum[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// open reports whether a path is answered without the token: probes, of which
// a stranger learns the verdict alone, the metrics where that is wanted, and the
// page, which has a field for the token.
func (s *Server) open(path string) bool {
	return path == "/healthz" || path == "/readyz" || path == "/metrics" && s.cfg.MetricsOpen || s.cfg.Page[path] != nil
}
