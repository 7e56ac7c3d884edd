package manifest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxFile bounds the size of a manifest.
const maxFile Size = 1 << 20

// parseYAML gives the one document in data, or nil and a fault.
func parseYAML(data []byte, faults *faultList) *yaml.Node {
	if len(data) > int(maxFile) {
		faults.errorf(mark{1, 1}, "", "the file is larger than %s", maxFile)
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	faults.lines = bytes.Count(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) + 1
	if at, what := badText(data); what != "" {
		faults.errorf(at, "", "%s", what)
		return nil
	}
	doc, second, err := decodeYAML(data)
	switch {
	case err != nil:
		at, message := syntaxFault(data, err)
		faults.errorf(at, "", "%s", message)
	case doc == nil || len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" && doc.Content[0].Value == "":
		faults.errorf(mark{1, 1}, "", "the file is empty")
	case second != nil:
		faults.errorf(mark{second.Line, second.Column}, "", "a second document begins here; a manifest is one")
	default:
		return doc.Content[0]
	}
	return nil
}

// badText finds the first thing that no text in UTF-8 holds.
func badText(data []byte) (mark, string) {
	at := mark{1, 1}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return at, "the file is not UTF-8"
		case r == '\n':
			at = mark{at.line + 1, 0}
		case r == '\t' || r == '\r' && i+1 < len(data) && data[i+1] == '\n':
		case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\uFEFF':
			return at, fmt.Sprintf("the file holds the control character %U", r)
		}
		at.col++
		i += n
	}
	return mark{}, ""
}

// decodeYAML reads at most two documents. The parser of the library panics on
// some broken inputs ("internal error, please report"); to us each of them is
// a file that is not YAML.
func decodeYAML(data []byte) (first, second *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("not valid YAML")
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	first = new(yaml.Node)
	if err := decoder.Decode(first); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil, nil
		}
		return nil, nil, err
	}
	second = new(yaml.Node)
	switch err := decoder.Decode(second); {
	case errors.Is(err, io.EOF):
		return first, nil, nil
	case err != nil:
		return nil, nil, err
	}
	return first, second, nil
}

var (
	lineInError   = regexp.MustCompile(`^yaml: (?:line \d+: )?`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// syntaxFault says where the YAML breaks. The library tells the line where the
// block began that it could not finish, or none; the line that a reader looks
// for is the one with which the file stops being readable.
func syntaxFault(data []byte, err error) (mark, string) {
	message := problem(err)
	lines := bytes.SplitAfter(data, []byte("\n"))
	if n := len(lines); n > 1 && len(lines[n-1]) == 0 {
		lines = lines[:n-1]
	}
	good, bad := 0, len(lines) // with so many lines
	for bad-good > 1 {
		middle := (good + bad) / 2
		if _, _, err := decodeYAML(bytes.Join(lines[:middle], nil)); problem(err) == message {
			bad = middle
		} else {
			good = middle
		}
	}
	text := strings.TrimRight(string(lines[bad-1]), "\r\n")
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	col := utf8.RuneCountInString(indent) + 1
	if m := unknownAnchor.FindStringSubmatch(message); m != nil {
		message = fmt.Sprintf("no anchor &%s stands above", m[1])
		if i := strings.Index(text, "*"+m[1]); i >= 0 {
			col = utf8.RuneCountInString(text[:i]) + 1
		}
	}
	switch {
	case strings.Contains(indent, "\t"):
		message = "a tab cannot indent YAML; use spaces"
	case unclosed[message] && strings.Contains(text, "${"):
		message = "a value with ${…} inside { } or [ ] needs quotes"
	default:
		message = cmp.Or(plainWords[message], message)
	}
	return mark{bad, col}, message
}

// plainWords has the faults of YAML that people make, in their words.
var plainWords = map[string]string{
	"did not find expected key":                      "the indentation of this line fits none above it",
	"did not find expected '-' indicator":            "the indentation of this line fits none above it",
	"did not find expected ',' or '}'":               "a { is not closed, or a comma is missing",
	"did not find expected ',' or ']'":               "a [ is not closed, or a comma is missing",
	"found unexpected end of stream":                 "a quote is not closed",
	"mapping values are not allowed in this context": `the indentation does not fit, or a value with ": " in it needs quotes`,
	"found character that cannot start any token":    "a value that begins with @ or ` needs quotes",
}

var unclosed = map[string]bool{
	"did not find expected ',' or '}'":   true,
	"did not find expected ',' or ']'":   true,
	"did not find expected node content": true,
}

// problem is what the library says is wrong, without its line.
func problem(err error) string {
	if err == nil {
		return ""
	}
	return lineInError.ReplaceAllString(err.Error(), "")
}
