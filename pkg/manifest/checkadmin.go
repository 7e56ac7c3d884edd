package manifest

import (
	"fmt"
	"net"
	"regexp"
	"strings"
)

const minToken = 16 // characters

// hostName is what may stand in a Host header without its port.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?$`)

func (c *checker) admin(a *Admin) {
	c.adminToken(a)
	for i, host := range a.Hosts {
		if !hostName.MatchString(host) {
			c.faultAt(fmt.Sprintf("admin.hosts[%d]", i), "want a name as clients write it in the URL, without a port, got %q", clip(host, 64))
		}
	}
	if c.faults.touches("admin.listen") || a.Listen == "off" {
		return
	}
	host, port, err := net.SplitHostPort(a.Listen)
	if err != nil {
		c.faultAt("admin.listen", `want host:port, or "off"`)
		return
	}
	if n, err := parseDecimal(port); err != nil || n < 0 || n > 65535 {
		c.faultAt("admin.listen", "the port must be from 0 to 65535")
		return
	}
	if host != "" && host != "localhost" && net.ParseIP(host) == nil {
		c.faultAt("admin.listen", "want an IP address or localhost before the port")
		return
	}
	if a.OffLoopback() && a.Token == "" && a.TokenFile == "" && !c.faults.touches("admin.token") {
		c.faultAt("admin.listen", "is not on loopback (127.0.0.1, [::1], localhost): set admin.token_file or admin.token, or anybody who reaches it can steer the groups")
	}
}

func (c *checker) adminToken(a *Admin) {
	token := a.Token.Reveal()
	if token != "" && a.TokenFile != "" {
		c.faultAt("admin.token_file", "cannot stand beside token; use one of them")
	}
	switch {
	case token == "" && !c.unset("admin.token") && !c.faults.touches("admin.token"):
		c.faultAt("admin.token", "must not be empty; leave the key out for none")
	case token != "" && len(token) < minToken:
		c.faultAt("admin.token", "must be at least %d characters", minToken)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		c.faultAt("admin.token", "must be of visible ASCII characters, without spaces")
	}
	if a.TokenFile == "" && !c.unset("admin.token_file") && !c.faults.touches("admin.token_file") {
		c.faultAt("admin.token_file", "must not be empty; leave the key out for none")
	}
}
