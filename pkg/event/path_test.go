package event_test

import (
	"errors"
	"strings"
	"testing"

	"example.com/fanout/pkg/event"
)

func TestParsePath(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		path   string
		column int // of the fault, 0: none
		want   string
	}{
		{"a", 0, ""},
		{"market_id", 0, ""},
		{"odds.ticks", 0, ""},
		{"legs[0].price", 0, ""},
		{"[0]", 0, ""},
		{`["a.b"].c["\u00e9"][12]`, 0, ""},
		{`user-agent.$x.@type.0`, 0, ""},
		{"größe", 0, ""},
		{"", 1, "the path is empty"},
		{".", 1, "a member name is expected"},
		{"a.", 3, "a member name is expected"},
		{"a..b", 3, "a member name is expected"},
		{"é.b c", 4, "'.', '[' or the end is expected"},
		{"a[", 3, "an index or a name in double quotes is expected"},
		{"a[]", 3, "an index or a name"},
		{"a[-1]", 3, "an index or a name"},
		{"a[x]", 3, "an index or a name"},
		{"a[0", 4, "']' is expected"},
		{`a["x`, 5, "the end of a string is expected"},
		{`a["x"`, 6, "']' is expected"},
		{`a["\q"]`, 5, "an escape is expected"},
		{"a[99999999999999999999]", 3, "the index is greater than"},
		{"a[2000000000]", 3, "the index is greater than"},
		{"sum(a)", 4, "'.', '[' or the end is expected"},
		{"a[0]b", 5, "'.', '[' or the end is expected"},
		{"a.\xff", 3, "not UTF-8"},
		{strings.Repeat("a", 1025), 1, "longer than 1024 bytes"},
	} {
		p, err := event.ParsePath(tc.path)
		if tc.column == 0 {
			if err != nil || p.String() != tc.path || p.IsZero() {
				t.Errorf("%q: error %v, text %q", tc.path, err, p)
			}
			continue
		}
		var bad *event.SyntaxError
		if !errors.As(err, &bad) || bad.Column != tc.column || !strings.Contains(bad.Message, tc.want) {
			t.Errorf("%.40q: error is %v, want column %d: %s", tc.path, err, tc.column, tc.want)
		}
		if !p.IsZero() {
			t.Errorf("%.40q: a path beside an error", tc.path)
		}
	}
}

func TestPathText(t *testing.T) {
	t.Parallel()
	var p event.Path
	if err := p.UnmarshalText([]byte("a[1].b")); err != nil {
		t.Fatal(err)
	}
	if text, err := p.MarshalText(); err != nil || string(text) != "a[1].b" {
		t.Errorf("text is %q, error %v", text, err)
	}
	if err := p.UnmarshalText([]byte("a..b")); err == nil || p.String() != "a[1].b" {
		t.Errorf("error %v left the path %q", err, p)
	}
}
