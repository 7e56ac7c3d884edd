package manifest

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"example.com/fanout/pkg/telemetry"
)

// Effective is everything that a manifest comes to, as JSON: defaults are filled
// in, values are written as in the file, the keys of a mapping stand in the
// order of the documentation. Secrets are masked.
func Effective(m *Manifest) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	writeKeys(&b, reflect.ValueOf(m).Elem())
	b.WriteString(`,"groups":{`)
	for i := range m.Groups {
		g := &m.Groups[i]
		if i > 0 {
			b.WriteByte(',')
		}
		writeText(&b, g.Name)
		b.WriteString(`:{`)
		writeKeys(&b, reflect.ValueOf(g).Elem())
		b.WriteString(`,"handler":{`)
		writeText(&b, g.Handler.Type)
		b.WriteByte(':')
		if g.Handler.Config == nil {
			b.WriteString("{}")
		} else {
			writeValue(&b, reflect.ValueOf(g.Handler.Config))
		}
		b.WriteString("}}")
	}
	b.WriteString("}}")
	return b.Bytes()
}

// writeKeys writes the keys of a struct, without the braces.
func writeKeys(b *bytes.Buffer, v reflect.Value) {
	for i, f := range fieldsOf(v.Type()) {
		if i > 0 {
			b.WriteByte(',')
		}
		writeText(b, f.name)
		b.WriteByte(':')
		writeValue(b, v.FieldByIndex(f.index))
	}
}

func writeValue(b *bytes.Buffer, v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		b.WriteString("null")
	case v.Kind() == reflect.Pointer:
		writeValue(b, v.Elem())
	case isStruct(v.Type()):
		b.WriteByte('{')
		writeKeys(b, v)
		b.WriteByte('}')
	case v.Kind() == reflect.Slice && !isText(v.Type()):
		writeList(b, v)
	case v.Kind() == reflect.Map && !isText(v.Type()):
		writeMap(b, v)
	default:
		writeLeaf(b, v)
	}
}

// writeList writes a list, or the mapping that an ordered list of pairs stands
// for.
func writeList(b *bytes.Buffer, v reflect.Value) {
	key, content, ordered := keyValue(v.Type().Elem())
	brackets := "[]"
	if ordered {
		brackets = "{}"
	}
	b.WriteByte(brackets[0])
	for i := range v.Len() {
		if i > 0 {
			b.WriteByte(',')
		}
		elem := v.Index(i)
		if ordered {
			writeText(b, elem.FieldByIndex(key.index).String())
			b.WriteByte(':')
			elem = elem.FieldByIndex(content.index)
		}
		writeValue(b, elem)
	}
	b.WriteByte(brackets[1])
}

func writeMap(b *bytes.Buffer, v reflect.Value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	b.WriteByte('{')
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		writeText(b, k.String())
		b.WriteByte(':')
		writeValue(b, v.MapIndex(k))
	}
	b.WriteByte('}')
}

// writeLeaf writes a single value as the file would have it. A secret gives its
// mask: it is asked for its text like every type that has one.
func writeLeaf(b *bytes.Buffer, v reflect.Value) {
	switch x := v.Interface().(type) {
	case telemetry.Secret:
		writeText(b, x.String())
	case time.Duration:
		writeText(b, short(x))
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil {
			text = nil
		}
		writeText(b, string(text))
	default:
		switch plain := plainValue(v).(type) {
		case string:
			writeText(b, plain)
		case bool, int64, uint64, float64:
			fmt.Fprint(b, plain)
		default:
			writeText(b, fmt.Sprint(plain))
		}
	}
}

func writeText(b *bytes.Buffer, text string) {
	quoted, err := json.Marshal(text)
	if err != nil { // a string is always JSON
		quoted = []byte(`""`)
	}
	b.Write(quoted)
}
