package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"example.com/fanout/pkg/handler"
)

// Names of headers as [http.Header] spells them; on the wire case does not
// matter.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
	headerGroup     = "Fanout-Group"
	headerStream    = "Fanout-Stream"
	headerEntry     = "Fanout-Id"
	headerEvents    = "Fanout-Events" // of a batch only
)

const (
	typeJSON  = "application/json"
	typeBytes = "application/octet-stream"
)

// form is what all requests of a handler have in common. It does not change.
type form struct {
	url    *url.URL
	target string // the URL as it may be shown
	header http.Header
	signer *standardwebhooks.Webhook // nil: unsigned
}

// message is the content of one request.
type message struct {
	id     string
	ids    []string // of its events; for a single event the same as id
	header http.Header
	body   []byte // its own copy: the transport may go on reading it after the call
}

// single is the message of one event.
func (f *form) single(group string, d *handler.Delivery) message {
	raw := d.Event.Raw()
	m := message{id: eventID(group, d), header: maps.Clone(f.header), body: bytes.Clone(raw)}
	m.ids = []string{m.id}
	contentType := typeJSON
	if !isJSON(d) {
		contentType = typeBytes
	}
	m.set(f, headerGroup, escape(group))
	m.set(f, headerStream, escape(d.Stream))
	m.set(f, headerEntry, d.ID.String())
	m.set(f, "Content-Type", contentType)
	return m
}

// all is the message of a batch.
func (f *form) all(group string, deliveries []handler.Delivery) message {
	m := message{header: maps.Clone(f.header), ids: make([]string, len(deliveries))}
	hash := sha256.New()
	b := append([]byte(`{"group":`), quote(group)...)
	b = append(b, `,"events":[`...)
	for i := range deliveries {
		d := &deliveries[i]
		m.ids[i] = eventID(group, d)
		hash.Write([]byte(m.ids[i]))
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":"`...)
		b = append(b, m.ids[i]...)
		b = append(b, `","stream":`...)
		b = append(b, quote(d.Stream)...)
		b = append(b, `,"entry_id":"`...)
		b = d.ID.Append(b)
		if isJSON(d) {
			b = append(b, `","data":`...)
			b = append(b, d.Event.Raw()...)
		} else {
			b = append(b, `","data_base64":"`...)
			b = base64.StdEncoding.AppendEncode(b, d.Event.Raw())
			b = append(b, '"')
		}
		b = append(b, '}')
	}
	m.body = append(b, "]}"...)
	m.id = messageID(hash.Sum(nil))
	m.set(f, headerGroup, escape(group))
	m.set(f, headerEvents, strconv.Itoa(len(deliveries)))
	m.set(f, "Content-Type", typeJSON)
	return m
}

// set adds a header unless the manifest has set it.
func (m *message) set(f *form, name, value string) {
	if _, fixed := f.header[name]; !fixed {
		m.header[name] = []string{value}
	}
}

// request makes the signed request that sends m now.
func (f *form) request(ctx context.Context, m message) (*http.Request, error) {
	now := time.Now()
	m.header[headerID] = []string{m.id}
	m.header[headerTimestamp] = []string{strconv.FormatInt(now.Unix(), 10)}
	if f.signer != nil {
		signature, err := f.signer.Sign(m.id, now, m.body)
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		m.header[headerSignature] = []string{signature}
	}
	r := (&http.Request{
		Method:        http.MethodPost,
		URL:           f.url,
		Header:        m.header,
		Host:          f.url.Host,
		ContentLength: int64(len(m.body)),
		GetBody: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(m.body)), nil
		},
	}).WithContext(ctx)
	r.Body, _ = r.GetBody()
	return r, nil
}

// eventID is the identity of an entry as a group sees it. The parts are
// written with their lengths, so that no two identities run together.
func eventID(group string, d *handler.Delivery) string {
	b := make([]byte, 0, 192)
	for _, part := range [...]string{group, d.Epoch, d.Stream} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	b = binary.BigEndian.AppendUint64(b, d.ID.Ms)
	b = binary.BigEndian.AppendUint64(b, d.ID.Seq)
	sum := sha256.Sum256(b)
	return messageID(sum[:])
}

// messageID writes 144 bits of a hash in the usual form. It holds no dot, which
// Standard Webhooks uses as a separator.
func messageID(sum []byte) string {
	return "msg_" + base64.RawURLEncoding.EncodeToString(sum[:18])
}

// isJSON reports whether the event is a JSON document; decoding has checked it.
func isJSON(d *handler.Delivery) bool {
	_, ok := d.Event.Root()
	return ok
}

func quote(s string) []byte {
	b, _ := json.Marshal(s) // a string always encodes
	return b
}

// escape makes any text fit for a header: what is not visible ASCII, and %, is
// percent-encoded. Ordinary names stay as they are.
func escape(s string) string {
	plain := func(c byte) bool { return c > ' ' && c < 0x7f && c != '%' }
	var b strings.Builder
	for i := range len(s) {
		if plain(s[i]) {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}
