package app

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"

	"example.com/fanout/pkg/event"
	"example.com/fanout/pkg/handler"
	"example.com/fanout/pkg/manifest"
	"example.com/fanout/pkg/stream"
)

// What a group would do with an entry.
const (
	WouldHandle = "takes it"
	WouldSkip   = "does not want it"
	WouldBury   = "would bury it"
	Disabled    = "is disabled"
)

// Verdict is what one group would do with an entry.
type Verdict struct {
	Group   string `json:"group"`
	Handler string `json:"handler"`
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
	Effect  any    `json:"effect,omitempty"` // what the handler says that it would do; absent when it cannot tell
}

// Evaluate says what each group of a manifest would do with one entry, without
// doing it. For format fields the payload is a JSON object of the fields;
// version is the program's.
func Evaluate(m *manifest.Manifest, version string, id stream.ID, payload []byte) []Verdict {
	var all []Verdict
	for _, g := range m.Groups {
		v := Verdict{Group: g.Name, Handler: g.Handler.Type}
		v.Verdict, v.Reason, v.Effect = evaluate(g, version, id, payload)
		all = append(all, v)
	}
	return all
}

func evaluate(g manifest.Group, version string, id stream.ID, payload []byte) (verdict, reason string, effect any) {
	if !g.Enabled {
		return Disabled, "", nil
	}
	decoder := event.Decoder{Field: g.Payload.Field, Format: event.Format(g.Payload.Format)}
	entry := stream.Entry{ID: id}
	if decoder.Format == event.Fields {
		fields, err := fieldsOf(payload)
		if err != nil {
			return WouldBury, err.Error(), nil
		}
		entry.Fields = fields
	} else {
		entry.Fields = []stream.Field{{Name: []byte(decoder.Field), Value: payload}}
	}
	decoded, err := decoder.Decode(entry)
	if err != nil {
		return WouldBury, err.Error(), nil
	}
	if g.Where != "" {
		where, err := event.Compile(g.Where)
		if err != nil {
			return WouldBury, err.Error(), nil
		}
		wanted, err := where.Match(decoded)
		switch {
		case err != nil:
			return WouldBury, err.Error(), nil
		case !wanted:
			return WouldSkip, g.Where, nil
		}
	}
	previewer, ok := g.Handler.Config.(handler.Previewer)
	if !ok {
		return WouldHandle, "", nil
	}
	effect, err = previewer.Preview(environment(g, version, slog.New(slog.DiscardHandler)), &handler.Delivery{
		Delivery: &stream.Delivery{Entry: entry, Stream: g.Stream, Epoch: "preview", Ref: id, Count: 1},
		Event:    decoded,
		Attempt:  1,
	})
	if err != nil {
		return WouldBury, err.Error(), nil
	}
	return WouldHandle, "", effect
}

// fieldsOf turns a JSON object of strings into the fields of an entry.
func fieldsOf(payload []byte) ([]stream.Field, error) {
	var object map[string]string
	if err := json.Unmarshal(payload, &object); err != nil || len(object) == 0 {
		return nil, errors.New("want a JSON object whose members are the entry's fields, as strings")
	}
	var fields []stream.Field
	for _, name := range slices.Sorted(maps.Keys(object)) {
		fields = append(fields, stream.Field{Name: []byte(name), Value: []byte(object[name])})
	}
	return fields, nil
}
