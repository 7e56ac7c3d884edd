package chaos

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// mountSmall makes dir a file system of so many bytes.
func mountSmall(dir, size string) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)
}

func unmount(dir string) { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }

// endWithParent kills a process when the thread that has started it ends.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

const inNamespace = "CHAOS_IN_NAMESPACE"

// inside runs the tests once more where whatever is mounted ends with them, and
// where a user who is not root may mount, too. It reports whether it could, and
// with which exit code they ended.
func inside() (code int, done bool) {
	if os.Getenv(inNamespace) != "" {
		return 0, false
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = endWithParent()
	cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	if uid := os.Geteuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	runtime.LockOSThread() // it ends with this thread
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return 0, false // the fault that mounts will say what is missing
	}
	return cmd.ProcessState.ExitCode(), true
}
