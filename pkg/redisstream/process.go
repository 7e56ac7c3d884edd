package redisstream

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// holder identifies the process that holds a lease. Boot, PIDNamespace and
// Started are empty on systems without /proc: nobody can be told to be gone
// there.
type holder struct {
	Token        string `json:"token"` // of the Client that holds it
	Host         string `json:"host"`
	Boot         string `json:"boot,omitempty"`
	PIDNamespace string `json:"pid_namespace,omitempty"`
	PID          int    `json:"pid"`
	Started      string `json:"started,omitempty"` // clock ticks since boot; a PID may be given again
	Since        string `json:"since"`
}

func thisProcess(proc string) holder {
	host, _ := os.Hostname()
	boot, _ := os.ReadFile(proc + "/sys/kernel/random/boot_id")
	namespace, _ := os.Readlink(proc + "/self/ns/pid")
	pid := os.Getpid()
	started, _ := startTime(proc, pid)
	return holder{
		Host:         host,
		Boot:         strings.TrimSpace(string(boot)),
		PIDNamespace: namespace,
		PID:          pid,
		Started:      started,
	}
}

// sees reports whether h, this process, can tell whether other is alive: both
// are in the same boot and PID namespace of one machine.
func (h holder) sees(other holder) bool {
	return h.Boot != "" && h.Boot == other.Boot &&
		h.PIDNamespace != "" && h.PIDNamespace == other.PIDNamespace &&
		other.PID > 0 && other.Started != ""
}

// alive reports whether the process that h names still runs, as far as can be
// told: one that may not be looked at counts as alive.
func (h holder) alive(proc string) bool {
	started, ok := startTime(proc, h.PID)
	return ok && (started == "" || started == h.Started)
}

// startTime reads when a process began: "" where that may not be read, false
// when there is no such process, or one that has ended.
func startTime(proc string, pid int) (string, bool) {
	stat, err := os.ReadFile(proc + "/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		// Other users' processes may be hidden; signal 0 finds them.
		return "", !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	}
	// The second field is the program's name in parentheses, which may hold
	// anything; the state is the third field, the start time the 22nd.
	rest := stat[bytes.LastIndexByte(stat, ')')+1:]
	fields := strings.Fields(string(rest))
	const state, start = 0, 19
	if len(fields) <= start || fields[state] == "Z" || fields[state] == "X" {
		return "", false
	}
	return fields[start], true
}
