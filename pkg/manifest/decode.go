package manifest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decoder fills structs from nodes, strictly.
type decoder struct {
	faults   *faultList
	marks    map[string]mark // where each key of the file stands, by path
	defaults bool            // decoding "defaults"
}

// structure fills the struct v with the keys of n; what n does not say stays.
// Keys of also are known, and the caller's to read.
func (d *decoder) structure(n *node, v reflect.Value, path string, also ...string) {
	fields := fieldsOf(v.Type())
	if n.kind == mapping {
		for _, p := range n.pairs {
			at := join(path, p.key)
			d.marks[at] = p.at()
			i := slices.IndexFunc(fields, func(f field) bool { return f.name == p.key })
			switch {
			case i < 0 && slices.Contains(also, p.key):
			case i < 0:
				d.unknown(p, at, fields, also)
			case d.defaults && fields[i].groupOnly:
				d.faults.errorf(p.mark, at, "has no default for all groups; each group has its own")
			default:
				d.value(p.value, v.FieldByIndex(fields[i].index), &fields[i], at)
			}
		}
	} else if !n.bad && n.kind != nothing {
		d.faults.errorf(n.mark, path, "want a mapping of keys, got %s", n.kind)
		return
	}
	for i := range fields {
		f := &fields[i]
		at := join(path, f.name)
		if f.required && !n.bad && v.FieldByIndex(f.index).IsZero() && !d.faults.touches(at) {
			if m, present := d.marks[at]; present {
				d.faults.errorf(m, at, "must not be empty")
			} else {
				d.faults.errorf(d.place(path, n.mark), at, "is missing")
			}
		}
	}
}

// place is where a key stands, or else where its value begins.
func (d *decoder) place(path string, otherwise mark) mark {
	if m, ok := d.marks[path]; ok {
		return m
	}
	return otherwise
}

// unknown reports a key that does not exist, with what was probably meant.
func (d *decoder) unknown(p pair, path string, fields []field, also []string) {
	if d.faults.full() {
		d.faults.left++
		return
	}
	known := slices.Clone(also)
	var elsewhere string
	for _, f := range fields {
		known = append(known, f.name)
		if isStruct(f.typ) && slices.ContainsFunc(fieldsOf(f.typ), func(f field) bool { return f.name == p.key }) {
			elsewhere = f.name
		}
	}
	slices.Sort(known)
	hint := ""
	switch meant := suggest(p.key, known); {
	case meant != "":
		hint = fmt.Sprintf(" (did you mean %q?)", meant)
	case elsewhere != "":
		hint = fmt.Sprintf(" (it belongs under %q)", elsewhere)
	case len(known) <= 12:
		hint = fmt.Sprintf(" (known here: %s)", strings.Join(known, ", "))
	}
	d.faults.errorf(p.mark, path, "unknown key%s", hint)
}

// value fills v from n.
func (d *decoder) value(n *node, v reflect.Value, f *field, path string) {
	if n.bad {
		return
	}
	t := v.Type()
	switch {
	case isStruct(t):
		d.structure(n, v, path)
	case t.Kind() == reflect.Pointer && !isText(t):
		d.pointer(n, v, f, path)
	case t.Kind() == reflect.Slice && !isText(t):
		if key, value, ok := keyValue(t.Elem()); ok {
			d.ordered(n, v, &key, &value, path)
		} else {
			d.list(n, v, f, path)
		}
	case t.Kind() == reflect.Map && !isText(t):
		d.mapping(n, v, f, path)
	default:
		d.scalar(n, v, f, path)
	}
}

func (d *decoder) pointer(n *node, v reflect.Value, f *field, path string) {
	elem := reflect.New(v.Type().Elem())
	switch {
	case !v.IsNil():
		elem.Elem().Set(v.Elem()) // the old one may belong to the defaults of all groups
	case isStruct(elem.Elem().Type()):
		preset(elem.Elem())
	}
	d.value(n, elem.Elem(), f, path)
	v.Set(elem)
}

func (d *decoder) list(n *node, v reflect.Value, f *field, path string) {
	if n.kind != list && n.kind != nothing {
		d.faults.errorf(n.mark, path, "want a list, got %s", n.kind)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		at := path + "[" + strconv.Itoa(i) + "]"
		d.marks[at] = item.mark
		if isStruct(out.Index(i).Type()) {
			preset(out.Index(i))
		}
		d.value(item, out.Index(i), f, at)
	}
	v.Set(emptyAsNil(out))
}

// ordered fills a slice of keys and values from a mapping, in its order.
func (d *decoder) ordered(n *node, v reflect.Value, key, value *field, path string) {
	if n.kind != mapping && n.kind != nothing {
		d.faults.errorf(n.mark, path, "want a mapping of names to values, got %s", n.kind)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.pairs), len(n.pairs))
	for i, p := range n.pairs {
		at := join(path, p.key)
		d.marks[at] = p.at()
		out.Index(i).FieldByIndex(key.index).SetString(p.key)
		target := out.Index(i).FieldByIndex(value.index)
		if isStruct(target.Type()) {
			preset(target)
		}
		d.value(p.value, target, value, at)
	}
	v.Set(emptyAsNil(out))
}

// mapping adds keys to a map; those that it has from the defaults stay.
func (d *decoder) mapping(n *node, v reflect.Value, f *field, path string) {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		panic(fmt.Sprintf("manifest: the keys of a %s are not text", t))
	}
	if n.kind != mapping && n.kind != nothing {
		d.faults.errorf(n.mark, path, "want a mapping of names to values, got %s", n.kind)
		return
	}
	out := reflect.MakeMap(t)
	for _, k := range v.MapKeys() {
		out.SetMapIndex(k, v.MapIndex(k))
	}
	for _, p := range n.pairs {
		at := join(path, p.key)
		d.marks[at] = p.at()
		k := reflect.ValueOf(p.key).Convert(t.Key())
		elem := reflect.New(t.Elem()).Elem()
		if old := out.MapIndex(k); old.IsValid() {
			elem.Set(old)
		} else if isStruct(elem.Type()) {
			preset(elem)
		}
		d.value(p.value, elem, f, at)
		out.SetMapIndex(k, elem)
	}
	if out.Len() > 0 {
		v.Set(out)
	}
}

func emptyAsNil(v reflect.Value) reflect.Value {
	if v.Len() == 0 {
		return reflect.Zero(v.Type())
	}
	return v
}

func (d *decoder) scalar(n *node, v reflect.Value, f *field, path string) {
	secret := v.Type() == secretType
	if secret && n.kind == scalar {
		d.faults.secrets = append(d.faults.secrets, n.text)
	}
	switch n.kind {
	case scalar:
	case nothing:
		d.faults.errorf(d.place(path, n.mark), path, "has no value; leave the key out for its default")
		return
	default:
		d.faults.errorf(n.mark, path, "want a single value, got %s", n.kind)
		return
	}
	read := reflect.New(v.Type()).Elem()
	err := setText(read, n.text)
	if err == nil {
		err = f.bounds(read)
	}
	if err != nil {
		d.faults.errorf(n.mark, path, "%s", d.refusal(err, n, secret))
		return
	}
	v.Set(read)
}

// refusal tells what was wanted, and what was there if that may be shown.
func (d *decoder) refusal(err error, n *node, secret bool) string {
	message := err.Error()
	hidden := secret || n.file
	switch {
	case hidden && strings.Contains(message, n.text):
		return "is not valid"
	case hidden || n.text != "" && strings.Contains(message, strconv.Quote(n.text)):
		return message
	case errors.Is(err, errBool) && oldBool[strings.ToLower(n.text)]:
		return fmt.Sprintf("want true or false; %s is neither here", clip(n.text, 64))
	case errors.Is(err, errDuration) && onlyDigits(n.text):
		return fmt.Sprintf("want a duration with its unit such as %ss or %sms, got %q", clip(n.text, 20), clip(n.text, 20), clip(n.text, 64))
	}
	return fmt.Sprintf("%s, got %q", message, clip(n.text, 64))
}

var oldBool = map[string]bool{"yes": true, "no": true, "on": true, "off": true, "y": true, "n": true, "true": true, "false": true}

func onlyDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
