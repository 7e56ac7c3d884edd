// Package telemetry holds what all parts need to be observable: the set-up of
// slog and its attribute keys, the Prometheus metrics, and a Secret type that
// masks itself.
package telemetry
