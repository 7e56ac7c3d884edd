package app_test

import (
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/stream"
)

func TestTimesOfLetters(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 11, 23, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"90m":                       now.Add(-90 * time.Minute),
		"-90m":                      now.Add(-90 * time.Minute),
		"2025-11-22T10:00:00Z":      time.Date(2025, 11, 22, 10, 0, 0, 0, time.UTC),
		"2025-11-22T10:00:00+02:00": time.Date(2025, 11, 22, 8, 0, 0, 0, time.UTC),
		"2025-11-22 10:00:00":       time.Date(2025, 11, 22, 10, 0, 0, 0, time.Local),
		"2025-11-22":                time.Date(2025, 11, 22, 0, 0, 0, 0, time.Local),
		"1960-01-01":                time.UnixMilli(0),
	} {
		got, err := app.ChooseLetters(admin.LetterQuery{Since: text}, now)
		if err != nil || got.From != (stream.ID{Ms: uint64(want.UnixMilli())}) {
			t.Errorf("%s: %s and %v, want %d-0", text, got.From, err, want.UnixMilli())
		}
	}
}

func TestLetterQueries(t *testing.T) {
	t.Parallel()
	for want, q := range map[string]admin.LetterQuery{
		"want the ID of a letter":  {IDs: []string{"1-0", "x"}},
		"not by both":              {IDs: []string{"1-0"}, Error: "x"},
		"want one of":              {Reasons: []string{"tired"}},
		"until never: want a time": {Until: "never"},
		"to 5-":                    {To: "5-"},
		"nothing lies between":     {From: "9-0", To: "8-0"},
	} {
		if _, err := app.ChooseLetters(q, time.Now()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", q, err, want)
		}
	}
	c, err := app.ChooseLetters(admin.LetterQuery{IDs: []string{"1-0", "1-0", "2-0"}}, time.Now())
	if err != nil || len(c.IDs) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}
