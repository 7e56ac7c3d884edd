package app

import (
	"context"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/telemetry"
)

// announceServer logs once which server the groups are on, and whether it has
// connections enough for all their consumers.
func (a *App) announceServer(ctx context.Context, m *manifest.Manifest) {
	info, err := a.redis.Server(ctx)
	if err != nil {
		return // away again: the groups meet the same, and say it
	}
	consumers := 0
	for _, g := range m.Groups {
		if g.Enabled {
			consumers += g.Consumers
		}
	}
	connections := redisstream.Connections(consumers)
	attrs := []any{"server", info.Name, telemetry.KeyVersion, info.Version, "connections", connections}
	if info.MaxClients > 0 {
		attrs = append(attrs, "maxclients", info.MaxClients)
	}
	a.logger.Info("redis server", attrs...)
	if info.MaxClients > 0 && int64(connections) > info.MaxClients {
		a.logger.Warn("redis has fewer connections than the groups need", "connections", connections, "maxclients", info.MaxClients,
			"hint", "raise maxclients of the server, or lower consumers of the groups")
	}
}

// announceSignals logs the numbers of the restart signals that old did not have;
// a name such as RTMIN+1 does not tell them.
func (a *App) announceSignals(old, m *manifest.Manifest) {
	known := map[string]manifest.Signal{}
	if old != nil {
		for _, g := range old.Groups {
			if g.Enabled {
				known[g.Name] = g.RestartSignal
			}
		}
	}
	for _, g := range m.Groups {
		if g.Enabled && g.RestartSignal != known[g.Name] && g.RestartSignal != 0 {
			a.logger.Info("restart signal", telemetry.KeyGroup, g.Name, telemetry.KeySignal, int(g.RestartSignal))
		}
	}
}
