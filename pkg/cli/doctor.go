package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"example.com/fanout/pkg/app"
	"example.com/fanout/pkg/telemetry"
)

func (e *env) doctorCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find what can go wrong with the manifest's Redis",
		Long: `Find what can go wrong with the manifest's Redis: the server's version and
settings, the rights of the user, what is in the streams, and timings. It needs
no running fanout and changes nothing. What the server does not tell is unknown.

Exit code 0: nothing fails; 1: something does.`,
		Example: `  fanout doctor
  fanout doctor -c trading.yaml -o json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := e.manifest()
			if err != nil {
				return err
			}
			findings := app.Examine(cmd.Context(), m, e.logger())
			failed := slices.ContainsFunc(findings, func(f app.Finding) bool { return f.Level == app.LevelFail })
			if output == "json" {
				if err := e.json(map[string]any{"ok": !failed, "findings": findings}); err != nil {
					return err
				}
			} else {
				e.printFindings(findings)
			}
			if failed {
				return &exitError{code: exitFailure}
			}
			return nil
		},
	}
	outputFlag(cmd, &output, "table", "json")
	return cmd
}

// printFindings prints a line a finding, what mends it below, and the sum.
func (e *env) printFindings(findings []app.Finding) {
	const longest = 4000 // rules of rights are long
	var c columns
	counts := map[app.Level]int{}
	for _, f := range findings {
		counts[f.Level]++
		c.fit(texts(string(f.Level), f.Check))
	}
	for _, f := range findings {
		row := texts(string(f.Level), f.Check, printable(f.What, longest))
		row[0].colour = e.levelColour(f.Level)
		fmt.Fprintln(e.out, c.line(row))
		if f.Mend != "" {
			fmt.Fprintln(e.out, c.line(texts("", "", "mend: "+printable(f.Mend, longest))))
		}
	}
	var sum []string
	if n := counts[app.LevelFail]; n > 0 {
		sum = append(sum, telemetry.Plural(n, "failure"))
	}
	if n := counts[app.LevelWarn]; n > 0 {
		sum = append(sum, telemetry.Plural(n, "warning"))
	}
	if n := counts[app.LevelUnknown]; n > 0 {
		sum = append(sum, fmt.Sprintf("%d unknown", n))
	}
	if len(sum) == 0 {
		sum = []string{"all is well"}
	}
	fmt.Fprintln(e.out, strings.Join(sum, ", "))
}

func (e *env) levelColour(level app.Level) string {
	if !e.colours(e.out) {
		return ""
	}
	switch level {
	case app.LevelFail:
		return red
	case app.LevelOK:
		return green
	}
	return yellow
}
