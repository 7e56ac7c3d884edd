package event_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/event"
)

func TestTime(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		doc  string
		unit event.TimeUnit
		want string // RFC 3339, or the error
	}{
		{"1763856000", event.Auto, "2025-11-23T00:00:00Z"},
		{"1763856000123", event.Auto, "2025-11-23T00:00:00.123Z"},
		{"1763856000123", "", "2025-11-23T00:00:00.123Z"},
		{"1763856000123456", event.Auto, "2025-11-23T00:00:00.123456Z"},
		{"1763856000123456789", event.Auto, "2025-11-23T00:00:00.123456789Z"},
		{"99999999999", event.Auto, "5138-11-16T09:46:39Z"},
		{"100000000000", event.Auto, "1973-03-03T09:46:40Z"},
		{"99999999999999", event.Auto, "5138-11-16T09:46:39.999Z"},
		{"100000000000000", event.Auto, "1973-03-03T09:46:40Z"},
		{"100000000000000000", event.Auto, "1973-03-03T09:46:40Z"},
		{"0", event.Auto, "1970-01-01T00:00:00Z"},
		{"-1", event.Auto, "1969-12-31T23:59:59Z"},
		{"1.763856000123e9", event.Auto, "2025-11-23T00:00:00.123Z"},
		{"1763856000.123", event.Seconds, "2025-11-23T00:00:00.123Z"},
		{"1763856000.123456789", event.Seconds, "2025-11-23T00:00:00.123456789Z"},
		{"1763856000.1234567899", event.Seconds, "2025-11-23T00:00:00.123456789Z"},
		{"-0.25", event.Seconds, "1969-12-31T23:59:59.75Z"},
		{"0.001", event.Seconds, "1970-01-01T00:00:00.001Z"},
		{"0.5", event.Milliseconds, "1970-01-01T00:00:00.0005Z"},
		{"1763856000123.5", event.Milliseconds, "2025-11-23T00:00:00.1235Z"},
		{"1763856000123", event.Milliseconds, "2025-11-23T00:00:00.123Z"},
		{"5", event.Microseconds, "1970-01-01T00:00:00.000005Z"},
		{"5", event.Nanoseconds, "1970-01-01T00:00:00.000000005Z"},
		{"-5", event.Nanoseconds, "1969-12-31T23:59:59.999999995Z"},
		{"12345678901234567890", event.Nanoseconds, "2361-03-21T19:15:01.234567890Z"},
		{"253402300799", event.Seconds, "9999-12-31T23:59:59Z"},
		{"-62135596800", event.Seconds, "0001-01-01T00:00:00Z"},
		{`"1763856000123"`, event.Auto, "2025-11-23T00:00:00.123Z"},
		{`"1763856000"`, event.Seconds, "2025-11-23T00:00:00Z"},
		{`"1763856000.5"`, event.Auto, "2025-11-23T00:00:00.5Z"},
		{`"2025-11-23T00:00:00Z"`, event.Auto, "2025-11-23T00:00:00Z"},
		{`"2025-11-23T00:00:00.123456789+02:00"`, event.Milliseconds, "2025-11-22T22:00:00.123456789Z"},
		{`"2025-11-23T00:00:00\u005a"`, event.Auto, "2025-11-23T00:00:00Z"},
		{"253402300800", event.Seconds, "does not fit in the years"},
		{"-62135596801", event.Seconds, "does not fit in the years"},
		{"1e30", event.Auto, "does not fit in the years"},
		{"1e999999999999", event.Seconds, "does not fit in the years"},
		{"1763856000123", event.Seconds, "does not fit in the years"},
		{`"0000-01-01T00:00:00Z"`, event.Auto, "does not fit in the years"},
		{`"9999-12-31T23:59:59-01:00"`, event.Auto, "does not fit in the years"},
		{`"2025-11-23"`, event.Auto, "neither RFC 3339 nor a number"},
		{`"2025-02-30T00:00:00Z"`, event.Auto, "neither RFC 3339 nor a number"},
		{`"2025-11-23 00:00:00Z"`, event.Auto, "neither RFC 3339 nor a number"},
		{`"01763856000"`, event.Auto, "neither RFC 3339 nor a number"},
		{`"1763856000 "`, event.Auto, "neither RFC 3339 nor a number"},
		{`"-"`, event.Auto, "neither RFC 3339 nor a number"},
		{`""`, event.Auto, "a string of 0 bytes"},
		{"null", event.Auto, "null is not a time"},
		{"true", event.Auto, "a boolean is not a time"},
		{"1", "fortnight", `unknown time unit "fortnight"`},
	} {
		got, err := rootOf(t, tc.doc).Time(tc.unit)
		if err != nil {
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s in %q: error is %v, want %s", tc.doc, tc.unit, err, tc.want)
			}
			if errors.Is(err, event.ErrRange) != strings.Contains(tc.want, "does not fit") {
				t.Errorf("%s in %q: %v is wrongly marked", tc.doc, tc.unit, err)
			}
			continue
		}
		want, parseErr := time.Parse(time.RFC3339Nano, tc.want)
		if parseErr != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s in %q is %v, want %s", tc.doc, tc.unit, got, tc.want)
		}
	}
}

func TestTimeUnit(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"auto", "s", "ms", "us", "ns"} {
		var u event.TimeUnit
		if err := u.UnmarshalText([]byte(name)); err != nil || string(u) != name {
			t.Errorf("%s is %q, %v", name, u, err)
		}
	}
	u := event.Seconds
	err := u.UnmarshalText([]byte("minutes"))
	if err == nil || err.Error() != `unknown time unit "minutes", expected auto, s, ms, us or ns` || u != event.Seconds {
		t.Errorf("error is %v, unit %s", err, u)
	}
}
