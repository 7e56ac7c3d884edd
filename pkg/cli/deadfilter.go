package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/deadletter"
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
	choice, err := app.ChooseLetters(admin.LetterQuery{
		IDs: args, Reasons: f.reasons, Since: f.since, Until: f.until, From: f.from, To: f.to, Error: f.text,
	}, now)
	if err != nil {
		return app.Choice{}, usage("%v", err)
	}
	return choice, nil
}
