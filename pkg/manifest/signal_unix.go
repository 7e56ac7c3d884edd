//go:build unix

package manifest

import "syscall"

const (
	usr1 = Signal(syscall.SIGUSR1)
	usr2 = Signal(syscall.SIGUSR2)
)
