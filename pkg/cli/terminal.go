package cli

import (
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalSize is that of a terminal in characters, 0 where it cannot be told.
func terminalSize(w io.Writer) (width, height int) {
	if f, ok := w.(*os.File); ok {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil {
			return width, height
		}
	}
	return 0, 0
}

// colours reports whether w is a terminal on which they are welcome.
func (e *env) colours(w io.Writer) bool {
	return e.terminal(w) && e.getenv("NO_COLOR") == "" && e.getenv("TERM") != "dumb"
}

// printable is text that cannot steer a terminal, in one line of at most limit
// bytes: what cannot be printed is escaped.
func printable(text string, limit int) string {
	var b strings.Builder
	for i, r := range text {
		if b.Len() >= limit {
			b.WriteString("…")
			break
		}
		if unicode.IsPrint(r) && r != utf8.RuneError {
			b.WriteRune(r)
			continue
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		quoted := strconv.QuoteToASCII(text[i : i+size])
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// cell is one field of a line.
type cell struct {
	text   string
	colour string // an escape sequence; "" for none
}

const (
	plain  = "\x1b[0m"
	faint  = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
)

// columns lays out lines of cells. A column only grows, so that lines which are
// printed one after the other stand below each other.
type columns struct {
	right  []bool // aligned to the right, by column
	widths []int
}

// fit makes room for the cells.
func (c *columns) fit(cells []cell) {
	for i, cell := range cells {
		if i == len(c.widths) {
			c.widths = append(c.widths, 0)
		}
		c.widths[i] = max(c.widths[i], utf8.RuneCountInString(cell.text))
	}
}

// line gives the cells as one line, without spaces at its end.
func (c *columns) line(cells []cell) string {
	c.fit(cells)
	var b strings.Builder
	for i, cell := range cells {
		if i > 0 {
			b.WriteString("  ")
		}
		pad := strings.Repeat(" ", c.widths[i]-utf8.RuneCountInString(cell.text))
		right := i < len(c.right) && c.right[i]
		if right {
			b.WriteString(pad)
		}
		if cell.colour != "" {
			b.WriteString(cell.colour + cell.text + plain)
		} else {
			b.WriteString(cell.text)
		}
		if !right && i < len(cells)-1 {
			b.WriteString(pad)
		}
	}
	return strings.TrimRight(b.String(), " ")
}
