package redisstream

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ServerInfo is what is known of the server itself.
type ServerInfo struct {
	Name       string // "redis", "valkey", …; "miniredis" for the simulated one
	Version    string // "" when the server does not tell
	MaxClients int64  // 0 when the server does not tell

	// Simulated marks the in-process stand-in for Redis (miniredis). It cannot
	// tell how much was ever added, nor end a blocked read from another
	// connection, nor keep a delivery count over a claim; what depends on these
	// is unknown there, or slower.
	Simulated bool
}

// Connections is how many connections a Client has at most while that many
// consumers read through it.
func Connections(consumers int) int { return controlConns + min(ackLines, consumers) + consumers }

// String is name and version, "" for nothing known.
func (s ServerInfo) String() string { return strings.TrimSpace(s.Name + " " + s.Version) }

// Known is what Server has found out before, the zero ServerInfo when it has
// not. It asks nobody.
func (c *Client) Known() ServerInfo {
	if known := c.server.Load(); known != nil {
		return *known
	}
	return ServerInfo{}
}

// Server asks the server what it is. The first answer is kept for as long as
// the Client lives.
func (c *Client) Server(ctx context.Context) (ServerInfo, error) {
	if known := c.server.Load(); known != nil {
		return *known, nil
	}
	var info ServerInfo
	text, err := c.rdb.Info(ctx, "server").Result()
	var answer redis.Error
	switch {
	case err == nil:
		info = parseInfo(text)
	case !errors.As(err, &answer):
		return info, wrap("ask the server's version", err)
	case strings.HasSuffix(answer.Error(), "is not supported"):
		info = ServerInfo{Name: "miniredis", Simulated: true}
	case unusable(err):
		return info, wrap("ask the server's version", err)
	default: // INFO is not allowed: a real server that keeps it to itself
		info = ServerInfo{Name: "redis"}
	}
	if !info.Simulated {
		if text, err := c.rdb.Info(ctx, "clients").Result(); err == nil {
			info.MaxClients, _ = strconv.ParseInt(infoField(text, "maxclients"), 10, 64)
		}
	}
	c.server.Store(&info)
	return info, nil
}

func parseInfo(text string) ServerInfo {
	info := ServerInfo{Name: "redis", Version: infoField(text, "redis_version")}
	if name := infoField(text, "server_name"); name != "" {
		info.Name = name
		if v := infoField(text, name+"_version"); v != "" {
			info.Version = v
		}
	}
	return info
}

func infoField(text, name string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
