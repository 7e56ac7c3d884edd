package event

import "fmt"

// Kind is the JSON type of a [Value].
type Kind uint8

// The kinds.
const (
	Null Kind = iota
	Bool
	Number
	String
	Object
	Array
)

var kindNames = [...]string{"null", "boolean", "number", "string", "object", "array"}

func (k Kind) String() string { return kindNames[k] }

// Value is one JSON value; it refers to the event's bytes. The zero Value is
// null without a text.
type Value struct {
	kind Kind
	raw  []byte
}

// valueOf makes a Value of the JSON text of exactly one value.
func valueOf(raw []byte) Value { return Value{kindOf[raw[0]], raw} }

// valueAt makes a Value of the one that begins at i.
func valueAt(b []byte, i int) Value {
	end := skipValue(b, i)
	return valueOf(b[i:end:end])
}

var kindOf = [256]Kind{
	'{': Object, '[': Array, '"': String, 't': Bool, 'f': Bool, 'n': Null, '-': Number,
	'0': Number, '1': Number, '2': Number, '3': Number, '4': Number,
	'5': Number, '6': Number, '7': Number, '8': Number, '9': Number,
}

// Kind is the JSON type.
func (v Value) Kind() Kind { return v.kind }

// Raw is the JSON text of the value.
func (v Value) Raw() []byte { return v.raw }

// Text is a string's content without quotes and escapes, and the JSON text of
// everything else. Half surrogates and bytes that are not UTF-8 become U+FFFD.
func (v Value) Text() string {
	if v.kind != String {
		return string(v.raw)
	}
	if content := v.content(); isPlain(content) {
		return string(content)
	}
	return string(appendUnquoted(nil, v.content()))
}

// AppendText appends [Value.Text] to b.
func (v Value) AppendText(b []byte) []byte {
	if v.kind != String {
		return append(b, v.raw...)
	}
	return appendUnquoted(b, v.content())
}

// text is Text as bytes, the event's own if possible.
func (v Value) text() []byte {
	if content := v.content(); !isPlain(content) {
		return appendUnquoted(nil, content)
	}
	return v.content()
}

// content is what stands between the quotes of a string.
func (v Value) content() []byte { return v.raw[1 : len(v.raw)-1] }

// Bool is the truth value of true and false; every other kind is an error.
func (v Value) Bool() (bool, error) {
	if v.kind != Bool {
		return false, v.isNot("a boolean")
	}
	return v.raw[0] == 't', nil
}

func (v Value) isNot(what string) error {
	return fmt.Errorf("%s is not %s", withArticle(v.kind), what)
}

func withArticle(k Kind) string {
	switch k {
	case Null:
		return "null"
	case Object, Array:
		return "an " + k.String()
	}
	return "a " + k.String()
}

// clip cuts a number for an error.
func clip(number []byte) string {
	const most = 24
	if len(number) > most {
		return string(number[:most]) + "…"
	}
	return string(number)
}
