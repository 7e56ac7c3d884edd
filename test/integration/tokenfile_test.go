package integration

import (
	"strings"
	"testing"
)

// A token file that is not there, or holds no token, keeps the process from
// starting; one that changes while it runs counts at once.
func TestTokenFile(t *testing.T) {
	t.Parallel()
	s := newSite(t).adminManifest("token_file: admin.token", faultyGroup("a"))
	for name, text := range map[string]string{"missing": "", "short": "short\n"} {
		if text != "" {
			s.file("admin.token", text)
		}
		_, stderr, code := commandAt(s, freeAddress(t), "run")
		if code != 1 || !strings.Contains(stderr, "admin.token") {
			t.Errorf("with a %s token run ended with %d: %s", name, code, stderr)
		}
	}
	s.file("admin.token", "the-first-token-of-all\n")
	p := s.run().ready()
	ask := func(token string) int {
		t.Helper()
		status, _ := p.request("GET", "/v1/groups", "", "Authorization", "Bearer "+token)
		return status
	}
	if got := ask("the-first-token-of-all"); got != 200 {
		t.Errorf("the token gets %d", got)
	}
	s.file("admin.token", "the-second-token-of-all\n")
	if first, second := ask("the-first-token-of-all"), ask("the-second-token-of-all"); first != 401 || second != 200 {
		t.Errorf("after a change the old token gets %d and the new one %d", first, second)
	}
	if _, stderr, code := commandAt(s, p.admin, "status"); code != 0 {
		t.Errorf("status with the file that the manifest names ended with %d: %s", code, stderr)
	}
}
