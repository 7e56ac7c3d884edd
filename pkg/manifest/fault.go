package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Fault is one thing that is wrong in a manifest, or with Warning set one that
// is worth saying. No fault holds the value of a secret, nor a value that was
// read from a file.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`   // from 1; 0 when the file could not be read
	Column  int    `json:"column,omitempty"` // from 1, in characters
	Path    string `json:"path,omitempty"`   // as groups.analytics.batch.size
	Message string `json:"message"`
	Warning bool   `json:"warning,omitempty"`
}

// String gives one line: groups.yaml:12:5: groups.analytics.consumer: unknown key.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": ")
	if f.Warning {
		b.WriteString("warning: ")
	}
	if f.Path != "" {
		b.WriteString(f.Path)
		b.WriteString(": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Faults are all faults of one manifest in the order of its lines, each once.
// A Faults that is not nil may hold nothing but warnings: ask [Faults.Err].
type Faults []Fault

// Error gives one line a fault, warnings too.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "\n")
}

// Err is nil when no fault is more than a warning, else the errors among them.
func (f Faults) Err() error {
	if errs := f.Errors(); len(errs) > 0 {
		return errs
	}
	return nil
}

// Errors are the faults that keep the manifest from being used.
func (f Faults) Errors() Faults { return f.pick(false) }

// Warnings are the remarks that do not.
func (f Faults) Warnings() Faults { return f.pick(true) }

func (f Faults) pick(warning bool) Faults {
	var out Faults
	for _, fault := range f {
		if fault.Warning == warning {
			out = append(out, fault)
		}
	}
	return out
}

// mark is a place in the file.
type mark struct{ line, col int }

// maxFaults bounds the list for files that are not manifests at all.
const maxFaults = 1000

// faultList collects faults. It knows what could not be read, so that one
// mistake does not lead to a second message about its consequences.
type faultList struct {
	file    string
	lines   int // of the file; an empty value at its end has no line of its own
	list    Faults
	left    int             // beyond maxFaults
	at      map[string]bool // paths that could not be read
	secrets []string        // texts that must not be shown
}

func (l *faultList) full() bool { return len(l.list) >= maxFaults }

// errorf reports that the value at the path cannot be read; checks of what it
// means are left out then.
func (l *faultList) errorf(m mark, path, format string, args ...any) {
	if !l.full() {
		if l.at == nil {
			l.at = map[string]bool{}
		}
		l.at[path] = true
	}
	l.add(Fault{Line: m.line, Column: m.col, Path: path, Message: fmt.Sprintf(format, args...)})
}

func (l *faultList) add(f Fault) {
	if l.full() {
		l.left++
		return
	}
	f.File = l.file
	l.list = append(l.list, f)
}

// touches reports whether something could not be read at the path, below it,
// or at a mapping that it lies in. When the list is full everything is in doubt.
func (l *faultList) touches(path string) bool {
	if l.full() {
		return true
	}
	for at := range l.at {
		if within(at, path) || within(path, at) {
			return true
		}
	}
	return false
}

func within(path, parent string) bool {
	rest, ok := strings.CutPrefix(path, parent)
	return ok && (parent == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// done gives the list in order, without repetitions and without secrets.
func (l *faultList) done() Faults {
	for i := range l.list {
		f := &l.list[i]
		f.Line = min(f.Line, max(l.lines, 1))
		f.Path = oneLine(f.Path, 256)
		f.Message = oneLine(l.scrub(f.Message), 1024)
	}
	slices.SortStableFunc(l.list, func(a, b Fault) int {
		return cmp.Or(
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	l.list = slices.Compact(l.list)
	if l.left > 0 {
		last := l.list[len(l.list)-1]
		l.list = append(l.list, Fault{File: l.file, Line: last.Line, Column: last.Column,
			Message: fmt.Sprintf("%d more faults are not listed", l.left)})
	}
	return l.list
}

// scrub is the second line of defence: messages are made without secrets, but
// those of a handler's own check or of an expression compiler are not ours.
// Very short texts are left alone, they would garble every message.
func (l *faultList) scrub(message string) string {
	for _, secret := range l.secrets {
		if len(secret) < 4 {
			continue
		}
		message = strings.ReplaceAll(message, secret, "***")
		if quoted := fmt.Sprintf("%q", secret); quoted != `"`+secret+`"` {
			message = strings.ReplaceAll(message, quoted[1:len(quoted)-1], "***")
		}
	}
	return message
}

// oneLine makes s safe to print in one line of a terminal.
func oneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) && r != ' ' {
			return ' '
		}
		return r
	}, s)
	return clip(s, limit)
}

// clip cuts s to at most limit characters.
func clip(s string, limit int) string {
	n := 0
	for i := range s {
		if n == limit {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
