package manifest

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"example.com/fanout/pkg/telemetry"
)

// field is one key: a field of a struct with what its tags say.
type field struct {
	name      string
	index     []int
	typ       reflect.Type
	doc       string
	preset    string // default; empty for none
	min, max  string
	enum      []string
	required  bool
	groupOnly bool // has no place under defaults
}

// fieldsOf gives the keys of a struct in order. Fields without a yaml tag are
// no keys; `yaml:",inline"` takes in those of an embedded struct.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, tagged := sf.Tag.Lookup("yaml")
		name, option, _ := strings.Cut(tag, ",")
		switch {
		case option == "inline" && sf.Type.Kind() == reflect.Struct:
			for _, f := range fieldsOf(sf.Type) {
				f.index = append([]int{i}, f.index...)
				fields = append(fields, f)
			}
			continue
		case !tagged || name == "-" || name == "" || !sf.IsExported():
			continue
		}
		f := field{
			name: name, index: []int{i}, typ: sf.Type,
			doc: sf.Tag.Get("doc"), preset: sf.Tag.Get("default"),
			min: sf.Tag.Get("min"), max: sf.Tag.Get("max"),
			required:  sf.Tag.Get("required") == "true",
			groupOnly: sf.Tag.Get("scope") == "group",
		}
		if enum := sf.Tag.Get("enum"); enum != "" {
			f.enum = strings.Split(enum, ",")
		}
		fields = append(fields, f)
	}
	return fields
}

// keyValue gives the two fields of an ordered mapping's element, or false when
// t is not the element of one.
func keyValue(t reflect.Type) (key, value field, ok bool) {
	if t.Kind() != reflect.Struct {
		return field{}, field{}, false
	}
	found := 0
	for i := range t.NumField() {
		sf := t.Field(i)
		f := field{index: []int{i}, typ: sf.Type, doc: sf.Tag.Get("doc"), min: sf.Tag.Get("min"), max: sf.Tag.Get("max")}
		if enum := sf.Tag.Get("enum"); enum != "" {
			f.enum = strings.Split(enum, ",")
		}
		switch sf.Tag.Get("yaml") {
		case ",key":
			key, found = f, found|1
		case ",value":
			value, found = f, found|2
		}
	}
	return key, value, found == 3 && key.typ.Kind() == reflect.String
}

// preset fills in the defaults of a struct's tags where it holds nothing yet.
// A default that does not fit its field is a mistake in the program.
func preset(v reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		fv := v.FieldByIndex(f.index)
		switch {
		case f.preset != "" && fv.IsZero():
			if err := setText(fv, f.preset); err != nil {
				panic(fmt.Sprintf("manifest: default %q of %s.%s: %v", f.preset, v.Type(), f.name, err))
			}
		case isStruct(f.typ):
			preset(fv)
		}
	}
}

var (
	secretType   = reflect.TypeFor[telemetry.Secret]()
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isStruct reports whether values of t are written as a mapping of keys.
func isStruct(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !isText(t)
}

// isText reports whether t reads its own text.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

var (
	errDuration = errors.New("want a duration such as 500ms, 30s, 5m or 1h")
	errNegative = errors.New("must not be negative")
	errBool     = errors.New("want true or false")
	errWhole    = errors.New("want a whole number")
	errNumber   = errors.New("want a number")
	errRange    = errors.New("is too large a number")
)

// setText reads a scalar into v. Its errors tell what is wanted, and leave the
// text itself to the caller.
func setText(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if v.Type() == durationType {
		d, err := time.ParseDuration(text)
		if err != nil {
			return errDuration
		}
		if d < 0 {
			return errNegative
		}
		v.SetInt(int64(d))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return errBool
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := parseDecimal(text)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return errWhole
		}
		if err != nil || v.OverflowInt(n) {
			return errRange
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := parseDecimal(text)
		switch {
		case err != nil && !errors.Is(err, strconv.ErrRange):
			return errWhole
		case n < 0:
			return errNegative
		case err != nil || v.OverflowUint(uint64(n)):
			return errRange
		}
		v.SetUint(uint64(n))
	case reflect.Float32, reflect.Float64:
		n, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || strings.ContainsAny(text, "xXpP_") {
			return errNumber
		}
		v.SetFloat(n)
	default:
		panic(fmt.Sprintf("manifest: a field of type %s cannot be a key", v.Type()))
	}
	return nil
}

// bounds checks v against the tags of its field.
func (f *field) bounds(v reflect.Value) error {
	if len(f.enum) > 0 {
		text := fmt.Sprint(plainValue(v))
		for _, allowed := range f.enum {
			if text == allowed {
				return nil
			}
		}
		if len(f.enum) == 1 {
			return fmt.Errorf("want %s", f.enum[0])
		}
		want := "want one of " + strings.Join(f.enum, ", ")
		if meant := suggest(text, f.enum); meant != "" && v.Type() != secretType {
			want += fmt.Sprintf(" (did you mean %q?)", meant)
		}
		return errors.New(want)
	}
	low, high := f.bound(v.Type(), f.min), f.bound(v.Type(), f.max)
	switch {
	case low.IsValid() && less(v, low), high.IsValid() && less(high, v):
		switch {
		case f.max == "":
			return fmt.Errorf("must be at least %s", f.min)
		case f.min == "":
			return fmt.Errorf("must be at most %s", f.max)
		}
		return fmt.Errorf("must be from %s to %s", f.min, f.max)
	}
	return nil
}

// bound reads the text of a min or max tag, an invalid Value when there is none.
func (f *field) bound(t reflect.Type, text string) reflect.Value {
	if text == "" {
		return reflect.Value{}
	}
	v := reflect.New(t).Elem()
	if err := setText(v, text); err != nil || !v.CanInt() && !v.CanUint() && !v.CanFloat() {
		panic(fmt.Sprintf("manifest: bound %q of %s does not fit a %s", text, f.name, t))
	}
	return v
}

func less(a, b reflect.Value) bool {
	switch {
	case a.CanInt():
		return a.Int() < b.Int()
	case a.CanUint():
		return a.Uint() < b.Uint()
	}
	return a.Float() < b.Float()
}

// plainValue is the value itself, without methods that would show it in another way.
func plainValue(v reflect.Value) any {
	switch {
	case v.Kind() == reflect.String:
		return v.String()
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return v.Uint()
	case v.CanFloat():
		return v.Float()
	case v.Kind() == reflect.Bool:
		return v.Bool()
	}
	return v.Interface()
}
