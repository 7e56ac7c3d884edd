package telemetry

import "github.com/prometheus/client_golang/prometheus"

// RedisStats is what is known of the server and of the connections to it that
// all but readers share. Counts are of the whole life of the process.
type RedisStats struct {
	Server  string // its name, "" while it is not known
	Version string

	Connections int64 // open
	Idle        int64 // those of them that nobody uses
	Hits        int64 // a connection was there
	Misses      int64 // one had to be made
	Timeouts    int64 // none was free in time
}

// WatchRedis lets the metrics show what stats returns. It is called at each
// scrape, from any goroutine, and must not block.
func (m *Metrics) WatchRedis(stats func() RedisStats) { m.redis.Store(&stats) }

var (
	redisInfo = describe("redis_info", "Always 1; the labels tell the Redis server. Absent until it has answered.", "server", "version")
	poolConns = describe("redis_pool_connections", "Connections to Redis that all but readers share.", "state")
	poolUses  = describe("redis_pool_uses_total", "Connections that were asked of the pool.", "result")
)

func (c collector) collectRedis(ch chan<- prometheus.Metric) {
	stats := c.m.redis.Load()
	if stats == nil {
		return
	}
	s := (*stats)()
	if s.Server != "" {
		ch <- gauge(redisInfo, 1, valid(s.Server), valid(s.Version))
	}
	ch <- gauge(poolConns, float64(s.Idle), "idle")
	ch <- gauge(poolConns, float64(max(0, s.Connections-s.Idle)), "used")
	for result, n := range map[string]int64{"hit": s.Hits, "miss": s.Misses, "timeout": s.Timeouts} {
		ch <- prometheus.MustNewConstMetric(poolUses, prometheus.CounterValue, float64(n), result)
	}
}
