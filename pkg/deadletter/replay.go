package deadletter

import (
	"encoding/json"
	"fmt"

	"example.com/fanout/pkg/stream"
)

// OfField is the name of a replayed entry's first field; its value is the
// letter's own ID.
const OfField = "of"

// Replay gives the JSON object that goes with the letter into the replay
// stream: the letter's own, with one replay more.
func (h Head) Replay() ([]byte, error) {
	again := *h.Letter
	again.Replays++
	object, err := json.Marshal(Head{Letter: &again, Packed: h.Packed})
	if err != nil {
		return nil, fmt.Errorf("encode replay: %w", err)
	}
	return object, nil
}

// ParseReplay reads an entry of a replay stream: of which letter it is, and the
// letter, with its Replays counting this one. Entries that something else has
// written are errors that wrap [ErrNotLetter].
func ParseReplay(e stream.Entry) (of stream.ID, l *Letter, err error) {
	if len(e.Fields) == 0 || string(e.Fields[0].Name) != OfField {
		return stream.ID{}, nil, fmt.Errorf("%w: entry %s does not begin with a field %q", ErrNotLetter, e.ID, OfField)
	}
	if of, err = stream.ParseID(e.Fields[0].Value); err != nil {
		return stream.ID{}, nil, fmt.Errorf("%w: entry %s: %w", ErrNotLetter, e.ID, err)
	}
	l, err = Parse(stream.Entry{ID: e.ID, Fields: e.Fields[1:]})
	return of, l, err
}
