package redisstream_test

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/consumer/consumertest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/telemetry"
)

func TestSourceOnMiniredis(t *testing.T) {
	t.Parallel()
	consumertest.TestSource(t, func(t *testing.T) consumertest.Rig {
		m := miniredis.RunT(t)
		rdb := redis.NewClient(&redis.Options{Addr: m.Addr(), DisableIdentity: true})
		t.Cleanup(func() { _ = rdb.Close() })
		return newRig(t, openConfig(t, redisstream.Config{URL: telemetry.Secret("redis://" + m.Addr())}), rdb)
	})
}
