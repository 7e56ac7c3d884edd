package telemetry_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"example.com/fanout/pkg/telemetry"
)

// What differs in its numbers alone is one error, with its first and last time.
func TestErrorsCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var e telemetry.Errors
		began := time.Now()
		for i := range 3 {
			e.Note(telemetry.ErrorHandler, fmt.Errorf("row %d: no column x", i*100))
			time.Sleep(time.Second)
		}
		e.Note(telemetry.ErrorSink, errors.New("row 7: no column x"))
		e.Note(telemetry.ErrorSink, nil)
		want := []telemetry.ErrorNote{
			{Kind: telemetry.ErrorSink, Text: "row 7: no column x", Count: 1, First: began.Add(3 * time.Second), Last: began.Add(3 * time.Second)},
			{Kind: telemetry.ErrorHandler, Text: "row 200: no column x", Count: 3, First: began, Last: began.Add(2 * time.Second)},
		}
		got := e.List()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

// However many kinds of errors come, 32 are kept, those that came last, and
// none is longer than it may be.
func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var e telemetry.Errors
		for i := range 200 {
			e.Note(telemetry.ErrorHandler, errors.New(strings.Repeat("é", i)+strings.Repeat("x", 999)))
			time.Sleep(time.Millisecond)
		}
		list := e.List()
		if len(list) != 32 {
			t.Fatalf("%d errors are kept", len(list))
		}
		if !strings.HasPrefix(list[0].Text, strings.Repeat("é", 199)) || !strings.HasPrefix(list[31].Text, strings.Repeat("é", 168)+"x") {
			t.Errorf("kept %.20q… to %.20q…", list[0].Text, list[31].Text)
		}
		for _, n := range list {
			if len(n.Text) > 1010 || !utf8.ValidString(n.Text) {
				t.Errorf("a text of %d bytes is kept: %q", len(n.Text), n.Text)
			}
		}
	})
}
