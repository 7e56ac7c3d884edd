package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf16"
)

// json prints a value as JSON.
func (e *env) json(v any) error {
	text, err := indentedJSON(v, "")
	if err != nil {
		return fail(err)
	}
	_, err = e.out.Write(text)
	return fail(err)
}

// indentedJSON encodes a value over several lines, all but the first one after
// prefix. What a terminal does not print is escaped, as control characters are
// anyhow.
func indentedJSON(v any, prefix string) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent(prefix, "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	var safe bytes.Buffer
	for _, r := range text.String() {
		switch {
		case unicode.IsPrint(r), r == '\n':
			safe.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&safe, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&safe, `\u%04x`, r)
		}
	}
	return safe.Bytes(), nil
}
