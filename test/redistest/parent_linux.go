package redistest

import "syscall"

// endWithParent kills the server when the thread that started it ends, so that
// a killed test binary leaves none behind.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
