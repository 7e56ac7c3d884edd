package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"example.com/fanout/pkg/admin"
)

const watchEvery = time.Second

// What a terminal is told to keep its screen and get it back.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearRest   = "\x1b[J"
)

// watch shows the status every second until ctx is done: on a terminal in place,
// on a screen of its own that is given back at the end; elsewhere one after the
// other, JSON in one line each.
func (e *env) watch(ctx context.Context, client runningFanout, args []string, output string) error {
	if _, err := client.ask(ctx, args); err != nil { // before the screen changes
		return client.fail(err)
	}
	live := output != "json" && e.terminal(e.out)
	if live {
		fmt.Fprint(e.out, enterScreen)
		defer fmt.Fprint(e.out, leaveScreen)
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		list, err := client.ask(ctx, args)
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case errors.Is(err, admin.ErrUnknownGroup):
			return client.fail(err)
		case output == "json" && err == nil:
			err = e.jsonLine(list, args)
			if err != nil {
				return fail(err)
			}
		case output == "json":
			fmt.Fprintf(e.err, "fanout: %v\n", err)
		default:
			var lines []string
			if err == nil {
				lines = e.statusLines(list, args, e.width(), time.Now())
			} else {
				lines = []string{printable(err.Error(), longestReason), "trying again"}
			}
			if err := e.frame(lines, live); err != nil {
				return fail(err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (e *env) jsonLine(list admin.GroupList, args []string) error {
	var v any = list
	if len(args) == 1 {
		v = list.Groups[0]
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = e.out.Write(append(text, '\n'))
	return err
}

// frame shows lines: on a terminal over the last ones, cut to what it can show.
func (e *env) frame(lines []string, live bool) error {
	if !live {
		_, err := io.WriteString(e.out, strings.Join(lines, "\n")+"\n\n")
		return err
	}
	width, height := e.size(e.out)
	head := fmt.Sprintf("fanout status  %s  every second, Ctrl-C ends it", time.Now().Format(time.TimeOnly))
	lines = append([]string{head, ""}, lines...)
	if height > 0 && len(lines) > height {
		lines = append(lines[:max(0, height-1)], fmt.Sprintf("… %d more lines", len(lines)-height+1))
	}
	var b strings.Builder
	b.WriteString(home)
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(cut(line, width) + clearLine)
	}
	b.WriteString(clearRest)
	_, err := io.WriteString(e.out, b.String())
	return err
}

// cut shortens a line to width characters; escape sequences take no room.
func cut(line string, width int) string {
	if width <= 0 {
		return line
	}
	var b strings.Builder
	n, end, escape := 0, 0, false // end of the first width-1
	for _, r := range line {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		case n == width:
			return b.String()[:end] + "…" + plain
		default:
			if n == width-1 {
				end = b.Len()
			}
			n++
		}
		b.WriteRune(r)
	}
	return b.String()
}

// width is that of the terminal that gets the output, 0 for none.
func (e *env) width() int {
	if !e.terminal(e.out) {
		return 0
	}
	width, _ := e.size(e.out)
	return width
}
