package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
)

// value is one leaf of a group: the path of its key and its content. Secrets
// are in the clear here; contents must go no further than a comparison.
type value struct{ path, content string }

// hash stands for everything that the running group depends on. Comments, the
// order of keys and what comes from defaults or from a variable make no
// difference, the values do.
func hash(g *Group) string {
	h := sha256.New()
	for _, v := range values(g) {
		fmt.Fprintf(h, "%q=%q\n", v.path, v.content)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// values lists the leaves of a group in a fixed order.
func values(g *Group) []value {
	out := flatten(nil, "", reflect.ValueOf(g).Elem())
	out = append(out, value{"handler", g.Handler.Type})
	if g.Handler.Config != nil {
		out = flatten(out, join("handler", g.Handler.Type), reflect.ValueOf(g.Handler.Config))
	}
	return out
}

func flatten(out []value, path string, v reflect.Value) []value {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return append(out, value{path, "unset"})
	case v.Kind() == reflect.Pointer:
		return flatten(out, path, v.Elem())
	case isStruct(v.Type()):
		for _, f := range fieldsOf(v.Type()) {
			out = flatten(out, join(path, f.name), v.FieldByIndex(f.index))
		}
	case v.Kind() == reflect.Slice && !isText(v.Type()):
		key, content, ordered := keyValue(v.Type().Elem())
		out = append(out, value{path, fmt.Sprint(v.Len())})
		for i := range v.Len() {
			if elem := v.Index(i); ordered {
				at := fmt.Sprintf("%s[%d].%s", path, i, elem.FieldByIndex(key.index).String())
				out = flatten(out, at, elem.FieldByIndex(content.index))
			} else {
				out = flatten(out, fmt.Sprintf("%s[%d]", path, i), elem)
			}
		}
	case v.Kind() == reflect.Map && !isText(v.Type()):
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int {
			if a.String() < b.String() {
				return -1
			}
			return 1
		})
		out = append(out, value{path, fmt.Sprint(len(keys))})
		for _, k := range keys {
			out = flatten(out, join(path, k.String()), v.MapIndex(k))
		}
	default:
		out = append(out, value{path, fmt.Sprintf("%#v", plainValue(v))})
	}
	return out
}
