package manifest

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// Signal is the number of a signal; 0 is none.
type Signal int

// Real-time signals as glibc and Go number them on Linux. The C library keeps
// the first two for itself, so RTMIN is 34, and 35 is the first of ours.
const (
	rtMin      = 34
	firstRT    = 35
	lastRT     = 64
	rtSystem   = "linux"
	signalWant = "want 35 to 64, RTMIN+1 to RTMIN+30, USR1 or USR2"
)

// String gives USR1, USR2 or the number, and nothing for none.
func (s Signal) String() string {
	switch {
	case s == 0:
		return ""
	case s == usr1:
		return "USR1"
	case s == usr2:
		return "USR2"
	}
	return strconv.Itoa(int(s))
}

// MarshalText is [Signal.String].
func (s Signal) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads 35 to 64, RTMIN+1 to RTMIN+30, USR1 or USR2, the names
// with or without SIG. RTMIN+n is 34+n, whatever the C library says.
func (s *Signal) UnmarshalText(text []byte) error {
	name := strings.TrimPrefix(strings.ToUpper(string(text)), "SIG")
	switch name {
	case "USR1":
		*s = usr1
		return nil
	case "USR2":
		*s = usr2
		return nil
	case "TERM", "INT", "HUP", "QUIT", "KILL", "STOP":
		return fmt.Errorf("%s has a meaning of its own, %s", name, signalWant)
	}
	offset, isRT := strings.CutPrefix(name, "RTMIN+")
	n, err := parseDecimal(offset)
	if isRT {
		n += rtMin
	}
	if err != nil || n < firstRT || n > lastRT {
		return errors.New(signalWant)
	}
	*s = Signal(n)
	return nil
}

// missingSignal says why a process on this system cannot get the signal, or
// nothing when it can.
func missingSignal(system string, s Signal) string {
	switch {
	case s < 0:
		return fmt.Sprintf("%s has no such signals; restart the group by name", system)
	case s >= firstRT && system != rtSystem:
		return fmt.Sprintf("%s has no real-time signals; use USR1 or USR2, or restart the group by name", system)
	}
	return ""
}

func missingHere(s Signal) string { return missingSignal(runtime.GOOS, s) }
