package app

import (
	"log/slog"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/telemetry"
)

// state keeps checkpoints in the manifest's state file. That it cannot be
// written is said and hinders nothing: Redis has them too.
type state struct {
	*redisstream.FileStore
	unwritten telemetry.Repeat
}

func newState(path string, logger *slog.Logger) *state {
	return &state{
		FileStore: redisstream.NewFileStore(path),
		unwritten: telemetry.Repeat{
			Logger: logger.With(telemetry.KeyFile, path), Level: slog.LevelWarn,
			Begin: "state file cannot be written, checkpoints are in redis alone", End: "state file is written again",
		},
	}
}

// Save never fails.
func (s *state) Save(key string, c redisstream.Checkpoint) error {
	if err := s.FileStore.Save(key, c); err != nil {
		s.unwritten.Fault(err)
		return nil
	}
	s.unwritten.Clear()
	return nil
}
