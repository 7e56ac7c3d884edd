package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// busyLimit is the share of a core below which redis-server was not what
// limited the limit.
const busyLimit = 0.95

// print writes the tables: medians, with the least and the most of the rounds
// in brackets.
func (r *result) print(out io.Writer) {
	m := r.Machine
	fmt.Fprintf(out, "\n%s, %d cores (%s), %s, redis-server %s, fanout %s; load before %s, after %s\n",
		m.OS, m.Cores, m.Processor, m.Go, m.Redis, m.Commit, m.LoadBefore, m.LoadAfter)
	fmt.Fprintf(out, "%d trades of %.0f bytes (an entry in a reply); medians of %d rounds (least to most)\n", r.Entries, r.EntryBytes, r.Rounds)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(r.Deliveries) > 0 {
		fmt.Fprintln(w, "\nGROUPS\tCONTENDER\tDELIVERIES/S\tOF THE LIMIT\tCLIENT CPU s/M\tSERVER CPU s/M\tSERVER BUSY\tPEAK RSS MiB")
		for _, s := range r.Deliveries {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%.0f %%\t%.0f\n", s.Groups, s.Contender, s.Rate.whole(), s.Ratio.percent(),
				s.ClientCPU.fine(), s.ServerCPU.fine(), 100*s.ServerBusy.Median, s.Peak.Max)
		}
	}
	if len(r.Live) > 0 {
		fmt.Fprintln(w, "\nLIVE GROUPS\tENTRIES/S\tCONTENDER\tp50 us\tOF THE LIMIT\tp90 us\tp99 us\tOF THE LIMIT\tMAX us\tCLIENT BUSY\tSERVER BUSY")
		for _, s := range r.Live {
			fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%.0f\t%.0f %%\t%.0f %%\n", s.Groups, s.PerSecond, s.Contender, s.P50.whole(), s.P50Ratio.fine(),
				s.P90.whole(), s.P99.whole(), s.P99Ratio.fine(), s.Max.Max, 100*s.Client.Median, 100*s.Server.Median)
		}
	}
	if len(r.Stores) > 0 {
		fmt.Fprintf(w, "\nSTORES, %d TRADES\tENTRIES/S\tOF THE BARE LOOP\tCLIENT CPU s/M\tPEAK RSS MiB\n", r.Stores[0].Entries)
		for _, s := range r.Stores {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Name, s.Rate.whole(), s.Ratio.percent(), s.CPU.fine(), known(s.Peak.Max, "%.0f"))
		}
	}
	if len(r.Isolation) > 0 {
		first := r.Isolation[0]
		fmt.Fprintf(w, "\n%d GROUPS, %d/s\tp50 us\tp99 us\tLONGEST STALL us\tOF A BACKLOG OF %d, DELIVERIES/S\tp99 TO HEALTHY\tRATE TO HEALTHY\n",
			first.Groups, first.PerSecond, first.Backlog)
		for _, s := range r.Isolation {
			fmt.Fprintf(w, "beside %d %s\t%s\t%s\t%.0f\t%s\t%s\t%s\n", s.Groups, s.Beside, s.P50.whole(), s.P99.whole(), s.Stall.Max,
				s.Rate.whole(), s.P99Ratio.fine(), s.RateRatio.fine())
		}
	}
	w.Flush()
	if r.Idle != nil {
		fmt.Fprintf(out, "\nidle, %d groups over %.0f s: client %.2f %% of a core, redis-server %.2f %%, %.0f MiB\n",
			r.Idle.Groups, r.Idle.Seconds, 100*r.Idle.Client, 100*r.Idle.Server, r.Idle.Peak)
	}
	switch {
	case r.Crowd == nil:
	case r.Crowd.Fault != "":
		fmt.Fprintf(out, "%d groups with %d consumers each: %s; %.0f MiB, stopped in %.1f s\n",
			r.Crowd.Groups, r.Crowd.Consumers, r.Crowd.Fault, r.Crowd.Peak, r.Crowd.Stop)
	default:
		fmt.Fprintf(out, "%d groups with %d consumers each: ready in %.1f s, %.0f MiB, stopped in %.1f s\n",
			r.Crowd.Groups, r.Crowd.Consumers, r.Crowd.Start, r.Crowd.Peak, r.Crowd.Stop)
	}
	for _, warning := range r.warnings() {
		fmt.Fprintf(out, "warning: %s\n", warning)
	}
}

// warnings say what makes figures worth less.
func (r *result) warnings() (list []string) {
	for _, s := range r.Deliveries {
		if s.Contender == theLimit && s.ServerBusy.Median < busyLimit {
			list = append(list, fmt.Sprintf(
				"%d groups: redis-server was busy for %.0f %% only while the limit ran: the machine had other work, or the run was too short",
				s.Groups, 100*s.ServerBusy.Median))
		}
	}
	return list
}

func (s spread) whole() string { return known(s.Median, "%.0f", s.Min, s.Max) }
func (s spread) fine() string  { return known(s.Median, "%.2f", s.Min, s.Max) }
func (s spread) percent() string {
	return spread{100 * s.Median, 100 * s.Min, 100 * s.Max}.whole()
}

// known formats a figure and the ends of its spread; what was not measured is
// a dash.
func known(median float64, format string, ends ...float64) string {
	if median == 0 {
		return "-"
	}
	text := fmt.Sprintf(format, median)
	if len(ends) == 2 && ends[0] != ends[1] {
		text += fmt.Sprintf(" ("+format+"-"+format+")", ends[0], ends[1])
	}
	return text
}
