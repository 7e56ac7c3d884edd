package deadletter

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"example.com/fanout/pkg/stream"
)

// MaxFields is the greatest number of fields that a letter carries one by one.
const MaxFields = 3000

// The names of a letter's own fields.
const (
	letterField = "letter"
	packedField = "packed"
)

// ErrNotLetter is wrapped by every error of [Parse].
var ErrNotLetter = errors.New("not a dead letter")

// Head is the JSON object of a letter's first field: all but the original
// fields.
type Head struct {
	*Letter
	Packed bool `json:"packed,omitempty"`
}

// Fields gives the fields of the letter's entry. They refer to the bytes of
// l.Entry.
func (l *Letter) Fields() ([]stream.Field, error) {
	packed := len(l.Entry.Fields) > MaxFields
	object, err := json.Marshal(Head{Letter: l, Packed: packed})
	if err != nil {
		return nil, fmt.Errorf("encode letter: %w", err)
	}
	first := stream.Field{Name: []byte(letterField), Value: object}
	if packed {
		return []stream.Field{first, {Name: []byte(packedField), Value: pack(l.Entry)}}, nil
	}
	return append([]stream.Field{first}, l.Entry.Fields...), nil
}

// Parse reads a letter from an entry of a dead-letter stream; the letter's
// Entry has the original ID and refers to e's bytes. Entries that something
// else has written are errors that wrap [ErrNotLetter].
func Parse(e stream.Entry) (*Letter, error) {
	h, err := ParseHead(e)
	if err != nil {
		return nil, err
	}
	l := h.Letter
	l.Entry.Fields = e.Fields[1:]
	if h.Packed {
		if len(e.Fields) != 2 || string(e.Fields[1].Name) != packedField {
			return nil, fmt.Errorf("%w: entry %s does not have its packed fields", ErrNotLetter, e.ID)
		}
		fields, err := unpack(e.Fields[1].Value)
		if err != nil {
			return nil, fmt.Errorf("%w: entry %s: %w", ErrNotLetter, e.ID, err)
		}
		l.Entry.Fields = fields
	}
	return l, nil
}

// ParseHead is Parse for an entry of which the first field is enough: the
// letter's Entry has no fields.
func ParseHead(e stream.Entry) (Head, error) {
	if len(e.Fields) == 0 || string(e.Fields[0].Name) != letterField {
		return Head{}, fmt.Errorf("%w: entry %s does not begin with a field %q", ErrNotLetter, e.ID, letterField)
	}
	h := Head{Letter: &Letter{}}
	if err := json.Unmarshal(e.Fields[0].Value, &h); err != nil {
		return Head{}, fmt.Errorf("%w: entry %s: %w", ErrNotLetter, e.ID, err)
	}
	if h.Letter == nil || h.Stream == "" || h.Group == "" || h.ID.IsZero() {
		return Head{}, fmt.Errorf("%w: entry %s does not name its stream, group and ID", ErrNotLetter, e.ID)
	}
	h.Entry.ID = h.ID
	return h, nil
}

func pack(e stream.Entry) []byte {
	b := make([]byte, 0, e.Size()+len(e.Fields)*4)
	for _, f := range e.Fields {
		b = append(binary.AppendUvarint(b, uint64(len(f.Name))), f.Name...)
		b = append(binary.AppendUvarint(b, uint64(len(f.Value))), f.Value...)
	}
	return b
}

var errPacked = errors.New("packed fields are damaged")

func unpack(b []byte) ([]stream.Field, error) {
	var fields []stream.Field
	for len(b) > 0 {
		var f stream.Field
		var ok bool
		if f.Name, b, ok = cut(b); !ok {
			return nil, errPacked
		}
		if f.Value, b, ok = cut(b); !ok {
			return nil, errPacked
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// cut takes one length and its bytes from the front of b.
func cut(b []byte) (head, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	b = b[size:]
	return b[:n:n], b[n:], true
}
