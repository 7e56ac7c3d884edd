//go:build unix

package cli

import (
	"os"
	"runtime"
	"syscall"
)

// watched are the signals that run listens to. All that may be a
// restart_signal are among them, so that one without a group does not end the
// process.
func watched() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}
	if runtime.GOOS == "linux" {
		for n := 35; n <= 64; n++ {
			signals = append(signals, syscall.Signal(n))
		}
	}
	return signals
}
