package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/deadletter"
	"example.com/fanout/pkg/stream"
)

// letterFlags choose letters.
type letterFlags struct {
	reasons      []string
	since, until string
	from, to     string
	text         string
}

func (f *letterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.reasons, "reason", nil, "only those with this `STAGE` or error class: "+strings.Join(deadletter.Reasons(), ", "))
	flags.StringVar(&f.since, "since", "", "only those written at this `TIME` or later: 2006-01-02T15:04:05Z, 2006-01-02, or 90m ago")
	flags.StringVar(&f.until, "until", "", "only those written before this `TIME`")
	flags.StringVar(&f.from, "from", "", "only those from this letter `ID` on")
	flags.StringVar(&f.to, "to", "", "only those up to this letter `ID`")
	flags.StringVar(&f.text, "error", "", "only those with this `TEXT` in the error")
	_ = cmd.RegisterFlagCompletionFunc("reason", cobra.FixedCompletions(deadletter.Reasons(), cobra.ShellCompDirectiveNoFileComp)) // the flag exists
}

// choice is what the IDs or the flags choose.
func (f *letterFlags) choice(args []string, now time.Time) (app.Choice, error) {
	ids, err := letterIDs(args)
	if err != nil {
		return app.Choice{}, err
	}
	if len(ids) > 0 && (len(f.reasons) > 0 || f.since+f.until+f.from+f.to+f.text != "") {
		return app.Choice{}, usage("letters are chosen by their IDs or by flags, not by both")
	}
	s := deadletter.Selection{Reasons: f.reasons, Error: f.text, To: stream.MaxID}
	for _, r := range f.reasons {
		if !slices.Contains(deadletter.Reasons(), r) {
			return app.Choice{}, usage("--reason %s: want one of %s", r, strings.Join(deadletter.Reasons(), ", "))
		}
	}
	// A letter's ID begins with the time when it was written.
	bounds := []struct {
		name, text string
		parse      func(string) (stream.ID, error)
		upper      bool
	}{
		{"since", f.since, func(s string) (stream.ID, error) { return idAt(s, now) }, false},
		{"until", f.until, func(s string) (stream.ID, error) { id, err := idAt(s, now); return id.Prev(), err }, true},
		{"from", f.from, stream.ParseID[string], false},
		{"to", f.to, stream.ParseID[string], true},
	}
	for _, b := range bounds {
		if b.text == "" {
			continue
		}
		id, err := b.parse(b.text)
		switch {
		case err != nil:
			return app.Choice{}, usage("--%s %s: %v", b.name, b.text, err)
		case b.upper && id.Before(s.To):
			s.To = id
		case !b.upper && s.From.Before(id):
			s.From = id
		}
	}
	if s.To.Before(s.From) {
		return app.Choice{}, usage("nothing lies between %s and %s", s.From, s.To)
	}
	return app.Choice{IDs: ids, Selection: s}, nil
}

// idAt is the first ID of a time, or of a duration ago.
func idAt(text string, now time.Time) (stream.ID, error) {
	at := now
	if d, err := time.ParseDuration(strings.TrimPrefix(text, "-")); err == nil {
		at = now.Add(-d)
	} else {
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
			if at, err = time.ParseInLocation(layout, text, time.Local); err == nil {
				break
			}
		}
		if err != nil {
			return stream.ID{}, fmt.Errorf("want a time as 2006-01-02T15:04:05Z or 2006-01-02, or a duration as 90m")
		}
	}
	return stream.ID{Ms: uint64(max(0, at.UnixMilli()))}, nil
}

// letterIDs reads IDs and drops repeats.
func letterIDs(args []string) ([]stream.ID, error) {
	var ids []stream.ID
	for _, arg := range args {
		id, err := stream.ParseID(arg)
		if err != nil {
			return nil, usage("%s: want the ID of a letter as 1763856000123-0", arg)
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
