package window

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// cursor is a place between two windows.
type cursor struct {
	set   bool
	start int64
	key   any
}

// String is for parseCursor alone, and short enough for a URL.
func (c cursor) String() string {
	text := fmt.Sprintf("%d.t%s", c.start, c.key)
	switch k := c.key.(type) {
	case int64:
		text = fmt.Sprintf("%d.n%d", c.start, k)
	case string:
		if len(k) > maxKey { // of before keys were bounded: behind all that begin like it
			text = fmt.Sprintf("%d.t%s\xff", c.start, k[:maxKey])
		}
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

func parseCursor(text string) (cursor, error) {
	c := cursor{set: true}
	plain, err := base64.RawURLEncoding.DecodeString(text)
	ms, k, _ := strings.Cut(string(plain), ".")
	if err == nil {
		c.start, err = strconv.ParseInt(ms, 10, 64)
	}
	if err == nil && k != "" {
		switch k[0] {
		case 't':
			c.key = k[1:]
			return c, nil
		case 'n':
			var n int64
			if n, err = strconv.ParseInt(k[1:], 10, 64); err == nil {
				c.key = n
				return c, nil
			}
		}
	}
	return cursor{}, fmt.Errorf("%w: after %.60q: want what next was of the page before", ErrQuery, text)
}
