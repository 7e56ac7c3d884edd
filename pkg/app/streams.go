package app

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/supervisor"
)

// Streams works on the streams of a manifest, whether its groups run or not.
type Streams struct {
	manifest *manifest.Manifest
	client   *redisstream.Client
}

// OpenStreams opens the streams of a manifest; it does not connect yet.
func OpenStreams(m *manifest.Manifest, logger *slog.Logger) (*Streams, error) {
	client, err := redisstream.Open(redisConfig(m.Redis, logger))
	if err != nil {
		return nil, err
	}
	return &Streams{manifest: m, client: client}, nil
}

// Close closes the connections.
func (s *Streams) Close() error { return s.client.Close() }

// Plan tells what Trim would do to a stream now, and changes nothing.
func (s *Streams) Plan(ctx context.Context, r manifest.Retention) (redisstream.Trimmed, error) {
	t, err := s.client.PlanTrim(ctx, rules(s.manifest, r))
	if err != nil {
		err = described(err)
	}
	return t, err
}

// Trim trims a stream by its rules, once and wholly. After an error what it
// returns has been trimmed all the same.
func (s *Streams) Trim(ctx context.Context, r manifest.Retention, progress func(entries int64)) (redisstream.Trimmed, error) {
	return trim(ctx, s.client, rules(s.manifest, r), func(t redisstream.Trimmed) bool {
		progress(t.Entries)
		return true
	})
}

// rules are the rules of a manifest for one stream as Redis needs them.
func rules(m *manifest.Manifest, r manifest.Retention) redisstream.Retention {
	enabled, disabled := m.Readers(r.Stream)
	required := slices.Concat(enabled, disabled) // a disabled group may have a checkpoint to go on from
	return redisstream.Retention{
		Stream: r.Stream, Required: required, Known: disabled,
		MinAge: r.Rules.MinAge, MinLen: r.Rules.MinLen,
		MaxAge: r.Rules.MaxAge, MaxLen: r.Rules.MaxLen, Drop: r.Rules.Policy == manifest.DropAndReport,
		IgnoreIdle: r.Rules.IgnoreIdleGroups,
	}
}

// trim trims until all is trimmed, something fails, ctx is done, or further,
// which is told what went so far, says no. Between two slices it leaves Redis
// to others for as long as it has kept it.
func trim(ctx context.Context, client *redisstream.Client, r redisstream.Retention, further func(redisstream.Trimmed) bool) (all redisstream.Trimmed, err error) {
	for {
		began := time.Now()
		one, err := client.Trim(ctx, r)
		if err != nil {
			return all, described(err)
		}
		all = all.Then(one)
		if !further(all) || !all.More {
			return all, nil
		}
		if !supervisor.Pause(ctx, time.Since(began)) {
			return all, context.Cause(ctx)
		}
	}
}

// StreamOrphans are the orphans of one stream.
type StreamOrphans struct {
	Stream string
	redisstream.Orphans
}

// Orphans looks for what belongs to nobody in the streams of the manifest: groups
// that it does not name, and entries of consumers that are gone. Streams without
// any are left out.
func (s *Streams) Orphans(ctx context.Context) (all []StreamOrphans, err error) {
	for _, stream := range s.manifest.Streams() {
		enabled, disabled := s.manifest.Readers(stream)
		o, err := s.client.Orphans(ctx, stream, slices.Concat(enabled, disabled))
		if err != nil {
			return all, described(err)
		}
		if len(o.Groups)+len(o.Consumers) > 0 {
			all = append(all, StreamOrphans{stream, o})
		}
	}
	return all, nil
}

// Orphans is [Streams.Orphans] of the manifest that runs.
func (a *App) Orphans(ctx context.Context) ([]StreamOrphans, error) {
	m, _ := a.state()
	return (&Streams{manifest: m, client: a.redis}).Orphans(ctx)
}
