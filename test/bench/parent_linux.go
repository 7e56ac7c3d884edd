package main

import "syscall"

// endWithParent kills a process when the thread that started it ends, so that
// a killed benchmark leaves none behind.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
