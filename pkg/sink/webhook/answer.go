package webhook

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"example.com/fanout/pkg/handler"
)

const (
	maxExcerpt = 200  // bytes of an answer in an error
	maxMasked  = 4096 // bytes that are searched for secrets before they are cut

	// drainTime bounds the reading of an answer's body: the verdict is known
	// without it, it is read only so that the connection can be used again.
	drainTime = 500 * time.Millisecond

	// maxRetryAfter keeps a nonsensical Retry-After from overflowing.
	maxRetryAfter = 24 * time.Hour
)

// verdict is what a status says about the entries of a call.
type verdict uint8

const (
	accepted verdict = iota
	refused          // the event's fault
	away             // the endpoint's fault
	doubtful         // either's: see doubts
	failed           // an attempt that counts
)

func verdictOf(status int) verdict {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return refused
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusGone, http.StatusTooEarly,
		http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return away
	}
	switch {
	case status < 200, isRedirect(status):
		return away
	case status < 300:
		return accepted
	case status < 500:
		return failed
	}
	return doubtful
}

func isRedirect(status int) bool { return 300 <= status && status < 400 }

// judge turns an answer into the result for the message's entries. abort ends
// the request; the body is read, within bounds, before judge returns.
func (s *sender) judge(m message, resp *http.Response, abort func()) result {
	v := verdictOf(resp.StatusCode)
	excerpt := s.drain(resp, v != accepted, abort)
	if v == accepted {
		s.doubts.settled(m.ids, true)
		return result{}
	}
	text := strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode))
	if isRedirect(resp.StatusCode) {
		text += moved(resp)
	}
	if excerpt != "" {
		text += ": " + excerpt
	}
	r := result{err: s.failure("%s", text)}
	switch v {
	case refused:
		// Among many it may be one event that is refused, or their sum that is
		// too large: unmarked, so that they are tried apart.
		if len(m.ids) == 1 {
			s.doubts.settled(m.ids, false)
			r.err = handler.Permanent(r.err)
		}
	case away:
		r = result{err: handler.Unavailable(r.err), all: true}
	case doubtful:
		r = s.doubt(m, r.err)
	}
	r.err = handler.RetryAfter(r.err, retryAfter(resp.Header, time.Now()))
	return r
}

// doubt marks a failure that may be the fault of an event or of the endpoint.
// A call of many stays unmarked, which splits it and counts no attempt.
func (s *sender) doubt(m message, err error) result {
	theirs := s.doubts.failed(m.ids)
	if !theirs && len(m.ids) == 1 {
		err = handler.Unavailable(err)
	}
	return result{err: err}
}

// moved tells where a redirect leads, as far as that may be shown.
func moved(resp *http.Response) string {
	const hint = "; redirects are not followed, set url to the new address"
	to, err := resp.Location()
	if err != nil {
		return hint
	}
	return " to " + shown(&url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path, RawQuery: to.RawQuery}) + hint
}

// drain reads the body so that its connection can be used again, unless that
// would be too much or take too long. It returns the beginning of it if wanted.
func (s *sender) drain(resp *http.Response, wanted bool, abort func()) string {
	defer resp.Body.Close()
	if resp.ContentLength == 0 || !wanted && resp.ContentLength > s.maxResponse {
		return ""
	}
	timer := time.AfterFunc(drainTime, abort)
	defer timer.Stop()
	body := io.LimitReader(resp.Body, s.maxResponse)
	var head bytes.Buffer
	if wanted {
		_, _ = io.CopyN(&head, body, maxMasked)
	}
	_, _ = io.Copy(io.Discard, body)
	return s.clean(head.String(), maxExcerpt)
}

// clean makes foreign text fit for a log line: secrets are masked, control
// characters and runs of blanks become one blank, the end is cut off.
func (s *sender) clean(text string, limit int) string {
	text = strings.ToValidUTF8(s.mask.Replace(text), "\uFFFD")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return r == ' ' || !unicode.IsPrint(r)
	}), " ")
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// retryAfter reads the header Retry-After, 0 for none. A date is taken relative
// to the answer's own Date, so that a clock that differs from ours is no harm.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
