package app

import (
	"unicode/utf8"

	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
)

// States of a letter as they are shown.
const (
	LetterBuried    = "buried"
	LetterReplaying = "replaying" // sent back to the group, which is not done with it
	LetterForeign   = "not a letter"
)

// LetterState is the state of a letter, as it is shown.
func LetterState(l redisstream.Letter) string {
	switch {
	case l.Err != nil:
		return LetterForeign
	case l.Replaying:
		return LetterReplaying
	}
	return LetterBuried
}

// ShownLetter is a letter as JSON: what is known of the entry stands beside
// what is said of the letter.
type ShownLetter struct {
	LetterID stream.ID `json:"letter_id"`
	State    string    `json:"state"`
	Bytes    int64     `json:"bytes"`
	Fault    string    `json:"fault,omitempty"` // why it is not a letter
	*deadletter.Letter
	Fields []ShownField `json:"fields,omitempty"`
}

// ShownField is one field. What is not UTF-8 stands there as base64.
type ShownField struct {
	Name        *string `json:"name,omitempty"`
	NameBase64  []byte  `json:"name_base64,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
}

// ShowLetter shows a letter. A foreign one has no fields but its own.
func ShowLetter(l redisstream.Letter, own []stream.Field) ShownLetter {
	out := ShownLetter{LetterID: l.ID, State: LetterState(l), Bytes: l.Size, Letter: l.Head.Letter}
	if l.Err != nil {
		out.Letter, out.Fault = nil, l.Err.Error()
	} else {
		own = l.Head.Entry.Fields
	}
	either := func(b []byte) (*string, []byte) {
		if utf8.Valid(b) {
			s := string(b)
			return &s, nil
		}
		return nil, b
	}
	for _, f := range own {
		var field ShownField
		field.Name, field.NameBase64 = either(f.Name)
		field.Value, field.ValueBase64 = either(f.Value)
		out.Fields = append(out.Fields, field)
	}
	return out
}
