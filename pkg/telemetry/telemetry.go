// Package telemetry holds what all parts need to be observable: the set-up of
// slog and its attribute keys, the Prometheus metrics, and a Secret type that
// masks itself.
//
// The parts of the program count in plain atomic numbers ([Group]); only a
// scrape turns them into Prometheus series. So counting costs a few
// nanoseconds, never blocks, and does not depend on the metrics library.
package telemetry
