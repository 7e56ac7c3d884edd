package redisstream_test

import (
	"context"
	"testing"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
	"example.com/fanout/pkg/telemetry"
	"example.com/fanout/test/redistest"
)

// Whatever a checkpoint key holds, the group comes up in its stream, at its
// start or later, and its next checkpoint is sound.
func FuzzCheckpointKey(f *testing.F) {
	for _, seed := range [][5]string{
		{"2-0", "e", "3-0", "3", "1-0"},
		{"", "", "", "", ""},
		{"2-0", "e", "", "", ""},
		{"what?", "e", "3-0", "3", "1-0"},
		{"2-0", "e", "-", "many", "0"},
		{"2", "e", "3", "1e3", "1"},
		{"2-0", "e", "3-0", "many", "1-0"},
		{"2-0", "e", "3-0", "nan", "1-0"},
		{"2-0", "e", "3-0", "-9223372036854775808", ""},
		{"18446744073709551615-18446744073709551615", "e", "18446744073709551616-0", "-1", "0-0"},
		{"99999999999999999999999-1", "e", "3-0", "9223372036854775808", "1-0"},
		{"2-0", "\x00\xff", "3-0", "nan", "\x00"},
		{"02-00", "e", "003-0", "0x3", " 1-0"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4])
	}
	s := redistest.Start(f)
	client, err := redisstream.Open(redisstream.Config{URL: telemetry.Secret(s.URL())})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = client.Close() })
	const checkpointKey = "{events}:fanout:checkpoint:g"
	f.Fuzz(func(t *testing.T, id, epoch, last, added, first string) {
		pipe := s.Client().Pipeline()
		pipe.FlushDB(t.Context())
		for _, id := range []string{"1-0", "2-0", "3-0"} {
			pipe.Do(t.Context(), "XADD", key, id, "a", "b")
		}
		pipe.HSet(t.Context(), checkpointKey, "id", id, "epoch", epoch, "last", last, "added", added, "first", first)
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		g := client.Group(config())
		o, err := g.Ensure(t.Context())
		if err != nil || !o.Created || o.Epoch == "" {
			t.Fatalf("%+v, %v", o, err)
		}
		if o.NewEpoch && !o.At.IsZero() {
			t.Errorf("%+v: another stream, and it does not begin before the first entry", o)
		}
		low, err := g.Checkpoint(context.Background())
		if err != nil || low != o.At {
			t.Errorf("checkpoint %s, %v, want %s", low, err, o.At)
		}
		kept, err := s.Client().HGet(t.Context(), checkpointKey, "id").Result()
		if at, parseErr := stream.ParseID(kept); err != nil || parseErr != nil || at != o.At {
			t.Errorf("kept %q, %v, want %s", kept, err, o.At)
		}
	})
}
