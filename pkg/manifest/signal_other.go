//go:build !unix

package manifest

// Numbers that no signal has, so that a manifest can be read here too.
const (
	usr1 Signal = -1
	usr2 Signal = -2
)
