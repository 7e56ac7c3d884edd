package telemetry

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// collector turns the numbers of all groups into series when it is asked. It
// emits every series of its closed sets, so that a rate over one does not
// begin at its first event.
type collector struct{ m *Metrics }

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descs {
		ch <- d
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	for i, op := range opNames {
		ch <- counter(redisErrors, &c.m.redisErrors[i], op)
	}
	ch <- gauge(reloadSuccessful, float64(c.m.reloadOK.Load()))
	ch <- gauge(reloadedAt, c.m.reloadedAt.seconds())
	c.m.collectRetention(ch)
	c.collectRedis(ch)
	for _, r := range c.registrations() {
		r.collect(ch)
	}
}

// registrations is a copy, so that a slow scrape does not hold up Group and
// Remove.
func (c collector) registrations() []*registration {
	c.m.mu.RLock()
	defer c.m.mu.RUnlock()
	return slices.Collect(maps.Values(c.m.groups))
}

var descs []*prometheus.Desc

func describe(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("fanout_"+name, help, labels, nil)
	descs = append(descs, d)
	return d
}

var (
	redisErrors      = describe("redis_errors_total", "Operations on Redis that failed.", "op")
	reloadSuccessful = describe("config_last_reload_successful", "Whether the latest attempt to read the manifest succeeded.")
	reloadedAt       = describe("config_last_reload_success_timestamp_seconds", "When the manifest was last read with success, 0 for never.")

	groupInfo     = describe("group_info", "Always 1; the labels tell the stream and the handler of the group.", "group", "stream", "handler")
	groupState    = describe("group_state", "1 for the state that the group is in, 0 for the others.", "group", "state")
	groupVerdict  = describe("group_verdict", "1 for the verdict on the group, 0 for the others.", "group", "verdict")
	sinkDown      = describe("sink_down", "1 while the sink of the group is unavailable.", "group")
	groupRestarts = describe("group_restarts_total", "Restarts of the group.", "group", "cause")
	lastSuccess   = describe("group_last_success_timestamp_seconds", "When a call of the handler last succeeded, 0 for never.", "group")
	running       = describe("consumers_running", "Consumers of the group that run in this process.", "group")

	entriesRead     = describe("entries_read_total", "Deliveries that the group began.", "group", "source")
	entriesClaimed  = describe("claimed_entries_total", "Deliveries that were taken over from another consumer.", "group")
	entriesSettled  = describe("entries_settled_total", "Deliveries that ended.", "group", "outcome")
	leaseLost       = describe("lease_lost_total", "Deliveries that another consumer took over.", "group")
	entriesFiltered = describe("entries_filtered_total", "Deliveries that were acknowledged without being handled, for where did not match.", "group")
	entriesLost     = describe("entries_lost_total", "Entries that Redis lost before the group had settled them.", "group", "reason")
	inFlight        = describe("in_flight_entries", "Deliveries that this process holds.", "group")
	retrying        = describe("retrying_entries", "Deliveries that wait for their next attempt.", "group")
	pending         = describe("pending_entries", "Pending entries of the group in Redis, those of other processes included.", "group")
	oldestPending   = describe("oldest_pending_seconds", "Age of the oldest pending entry, 0 for none; absent while unknown.", "group")
	lag             = describe("lag_entries", "Entries that were not yet delivered to the group; absent while unknown.", "group")
	lagKnown        = describe("lag_known", "Whether lag_entries is known.", "group")
	drainSeconds    = describe("drain_seconds", "Time until nothing waits for the group if all goes on as in the last minute, 0 for nothing; absent while it does not come nearer.", "group")
	lagSeconds      = describe("lag_seconds", "Age of the oldest entry that was not yet delivered to the group, 0 for none; absent while unknown.", "group")
	streamLength    = describe("stream_length", "Entries in the stream of the group.", "group", "stream")

	handleDuration = describe("handle_duration_seconds", "Duration of a call of the handler.", "group")
	handleErrors   = describe("handle_errors_total", "Calls of the handler that failed.", "group", "reason")
	entryAge       = describe("entry_age_seconds", "Time between an entry's ID and its handling.", "group")
	batchEntries   = describe("batch_entries", "Entries in a batch.", "group")
	retries        = describe("retries_total", "Deliveries that were handed to the handler again.", "group")
	deadLetters    = describe("dead_letters_total", "Dead letters written.", "group", "reason")
	lettersDropped = describe("dead_letters_dropped_total", "Dead letters that were dropped to make room for new ones.", "group")
	lettersKept    = describe("dead_letter_entries", "Dead letters of the group in Redis; absent while unknown.", "group")
	lettersMax     = describe("dead_letter_entries_max", "As many dead letters as the group may have.", "group")
	acks           = describe("acks_total", "Ack commands.", "group", "result")
	stuckCalls     = describe("stuck_calls", "Calls of the handler that run past their deadline.", "group")
	abandonedCalls = describe("abandoned_calls", "Calls of the handler that outlived a restart of the group.", "group")
)

func (r *registration) collect(ch chan<- prometheus.Metric) {
	g, name := r.group, r.name
	counters := func(d *prometheus.Desc, values []Counter, label func(i int) string) {
		for i := range values {
			ch <- counter(d, &values[i], name, label(i))
		}
	}
	known := func(d *prometheus.Desc, m *Maybe) bool {
		v, ok := m.Load()
		if ok {
			ch <- gauge(d, v, name)
		}
		return ok
	}

	ch <- gauge(groupInfo, 1, name, r.stream, r.handler)
	state := g.State()
	for _, s := range stateNames {
		ch <- gauge(groupState, truth(s == state), name, s)
	}
	verdict := g.Verdict()
	for _, v := range verdictNames {
		ch <- gauge(groupVerdict, truth(v == verdict), name, v)
	}
	ch <- gauge(sinkDown, float64(g.SinkDown.Load()), name)
	counters(groupRestarts, g.restarts[:], func(i int) string { return causeNames[i] })
	ch <- gauge(lastSuccess, g.LastSuccess.seconds(), name)
	ch <- gauge(running, float64(g.ConsumersRunning.Load()), name)

	counters(entriesRead, g.Read[:], func(i int) string { return sourceNames[i] })
	ch <- counter(entriesClaimed, &g.Read[claimed], name)
	counters(entriesSettled, g.Settled[:], func(i int) string { return outcomeNames[i] })
	ch <- counter(leaseLost, &g.Settled[LeaseLost], name)
	ch <- counter(entriesFiltered, &g.Filtered, name)
	counters(entriesLost, g.Lost[:], func(i int) string { return lossNames[i] })
	ch <- gauge(inFlight, float64(g.InFlight.Load()), name)
	ch <- gauge(retrying, float64(g.Retrying.Load()), name)
	known(pending, &g.Pending)
	known(oldestPending, &g.OldestPending)
	ch <- gauge(lagKnown, truth(known(lag, &g.Lag)), name)
	known(lagSeconds, &g.LagSeconds)
	known(drainSeconds, &g.Drain)
	if n, ok := g.StreamLength.Load(); ok {
		ch <- gauge(streamLength, n, name, r.stream)
	}

	ch <- histogram(handleDuration, &g.HandleDuration, name)
	counters(handleErrors, g.HandleErrors[:], func(i int) string { return reasonNames[i] })
	ch <- histogram(entryAge, &g.EntryAge, name)
	ch <- histogram(batchEntries, &g.BatchEntries, name)
	ch <- counter(retries, &g.Retries, name)
	counters(deadLetters, g.DeadLetters[:], func(i int) string { return stageNames[i] })
	ch <- counter(lettersDropped, &g.LettersDropped, name)
	known(lettersKept, &g.LettersKept)
	ch <- gauge(lettersMax, float64(g.LettersMax.Load()), name)
	ch <- counter(acks, &g.AcksOK, name, "ok")
	ch <- counter(acks, &g.AcksFailed, name, "failed")
	ch <- gauge(stuckCalls, float64(g.StuckCalls.Load()), name)
	ch <- gauge(abandonedCalls, float64(g.AbandonedCalls.Load()), name)
}

func counter(d *prometheus.Desc, c *Counter, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(c.Load()), labels...)
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func histogram(d *prometheus.Desc, h *Histogram, labels ...string) prometheus.Metric {
	total, sum, buckets := h.read()
	return prometheus.MustNewConstHistogram(d, total, sum, buckets, labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
