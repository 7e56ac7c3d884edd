package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"
)

const (
	maxNesting  = 8        // of ${A:-${B:-…}}
	maxExpanded = 16 << 20 // bytes of all expanded values
)

var (
	errOpen     = errors.New(`"${" without a matching "}"; write $$ for a dollar sign`)
	errForm     = errors.New("write ${NAME}, ${NAME:-default}, ${NAME:?message} or ${file:/path}; $$ is a dollar sign")
	errDollar   = errors.New("a variable is written ${NAME}; write $$ for a dollar sign")
	errNesting  = fmt.Errorf("variables are nested deeper than %d", maxNesting)
	errExpanded = fmt.Errorf("the expanded values exceed %s", Size(maxExpanded))
)

// expander fills in variables and files. It works on one scalar after the
// other, so that no value can add keys to the file.
type expander struct {
	getenv   func(string) (string, bool)
	readFile func(string) ([]byte, error)
	expanded int               // bytes so far
	files    map[string]string // contents by path
}

// expand returns the text with everything filled in; fromFile tells that a
// file is part of it.
func (x *expander) expand(text string) (out string, fromFile bool, err error) {
	if !strings.Contains(text, "$") {
		return text, false, nil
	}
	out, fromFile, err = x.fill(text, 0)
	x.expanded += len(out)
	if err == nil && x.expanded > maxExpanded {
		err = errExpanded
	}
	return out, fromFile, err
}

func (x *expander) fill(text string, depth int) (out string, fromFile bool, err error) {
	if depth > maxNesting {
		return "", false, errNesting
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		b.WriteString(before)
		switch {
		case !found:
			return b.String(), fromFile, nil
		case strings.HasPrefix(rest, "$"):
			b.WriteByte('$')
			text = rest[1:]
		case strings.HasPrefix(rest, "{"):
			end := closing(rest)
			if end < 0 {
				return "", fromFile, errOpen
			}
			value, isFile, err := x.reference(rest[1:end], depth)
			fromFile = fromFile || isFile
			if err != nil {
				return "", fromFile, err
			}
			if b.Len()+len(value) > maxExpanded {
				return "", fromFile, errExpanded
			}
			b.WriteString(value)
			text = rest[end+1:]
		case rest != "" && nameLength(rest) > 0:
			return "", fromFile, errDollar
		default:
			b.WriteByte('$')
			text = rest
		}
	}
}

// closing is the index of the brace that closes the one that s begins with.
func closing(s string) int {
	open := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			open++
		case '}':
			if open--; open == 0 {
				return i
			}
		}
	}
	return -1
}

// reference gives the value of what stands in ${…}.
func (x *expander) reference(body string, depth int) (value string, fromFile bool, err error) {
	if path, ok := strings.CutPrefix(body, "file:"); ok {
		value, err := x.file(path, depth)
		return value, true, err
	}
	n := nameLength(body)
	name, rest := body[:n], body[n:]
	if name == "" || rest != "" && !strings.HasPrefix(rest, ":-") && !strings.HasPrefix(rest, ":?") {
		return "", false, errForm
	}
	value, set := x.getenv(name)
	if !utf8.ValidString(value) {
		return "", false, fmt.Errorf("the value of ${%s} is not UTF-8", name)
	}
	switch {
	case rest == "" && set, rest != "" && value != "":
		return value, false, nil
	case rest == "":
		return "", false, fmt.Errorf("${%s} is not set; set it, or write ${%s:-default}", name, name)
	case strings.HasPrefix(rest, ":-"):
		return x.fill(rest[2:], depth+1)
	case rest == ":?":
		return "", false, fmt.Errorf("${%s} is not set", name)
	}
	return "", false, fmt.Errorf("${%s}: %s", name, rest[2:])
}

// file gives the content of a file without its last line break.
func (x *expander) file(written string, depth int) (string, error) {
	path, _, err := x.fill(written, depth+1)
	if err != nil {
		return "", err
	}
	if path == "" {
		return "", errForm
	}
	if content, ok := x.files[path]; ok {
		return content, nil
	}
	data, err := x.readFile(path)
	if err != nil {
		return "", fmt.Errorf("read ${file:%s}: %w", written, cause(err))
	}
	content := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if !utf8.ValidString(content) || strings.Contains(content, "\x00") {
		return "", fmt.Errorf("read ${file:%s}: not a text in UTF-8", written)
	}
	if x.files == nil {
		x.files = map[string]string{}
	}
	x.files[path] = content
	return content, nil
}

// cause leaves out the path that the file system puts before its errors.
func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// nameLength is the length of the variable name that s begins with.
func nameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}
