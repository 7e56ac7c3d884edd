package telemetry

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a text that must not be shown. Every way of formatting it gives a
// mask; Reveal gives the text.
//
// Two places it cannot guard: package fmt calls no methods on unexported fields
// of a struct, and encoding/json none on the keys of a map. Keep a Secret in
// exported fields, and never make it a key.
type Secret string

const mask = "***"

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String gives the mask, and "" for an empty secret: that nothing is set may be
// seen.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// Format masks the value under every verb of package fmt.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		text = `"` + text + `"`
	}
	_, _ = io.WriteString(f, text) // a fmt.State does not fail
}

// LogValue masks the value in slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText masks the value in JSON and every other text form.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
