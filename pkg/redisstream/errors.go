package redisstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
)

// reply is an error that the server answered.
type reply string

func (r reply) Error() string { return string(r) }

// RedisError marks r as the server's own answer for the library's error type.
func (r reply) RedisError() {}

// wrap names the operation; an answer that means "no such group" wraps
// [stream.ErrNoGroup].
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	var answer redis.Error
	if errors.As(err, &answer) {
		err = clean(answer.Error())
	}
	return fmt.Errorf("%s: %w", op, err)
}

// clean drops what Redis says of our scripts and finds the missing group.
func clean(text string) error {
	text, _, _ = strings.Cut(text, " script: ")
	// In miniredis the error of a script stands behind its own words.
	if i := strings.Index(text, "NOGROUP "); i > 0 {
		text = text[i:]
	}
	for _, missing := range []string{"NOGROUP ", "ERR no such key", "UNBLOCKED the stream key no longer exists"} {
		if strings.HasPrefix(text, missing) {
			return fmt.Errorf("%w (%w)", stream.ErrNoGroup, reply(text))
		}
	}
	return reply(text)
}

// answers are what a server may say, and what mends it.
var answers = []struct{ prefix, mend string }{
	{"WRONGTYPE", "a key holds something other than what fanout keeps there (fanout doctor says which): rename the stream or move the key away"},
	{"NOPERM", "the Redis user may not do this: grant the command and the keys (ACL SETUSER)"},
	{"ERR The user executing the script can't", "the Redis user lacks a command or key that a script of fanout uses: grant +@stream +@read +@write +@scripting and the keys (ACL SETUSER)"},
	{"NOAUTH", "Redis asks for a password: set redis.password or redis.password_file"},
	{"WRONGPASS", "Redis refuses user or password: check redis.username and redis.password"},
	{"READONLY", "this server is a replica: let redis.url name the primary"},
	{"LOADING", "Redis is loading its data after a start: it comes back by itself"},
	{"OOM", "Redis is out of memory: raise maxmemory or trim streams"},
	{"MASTERDOWN", "this replica has lost its primary: mend the replication or name the primary in redis.url"},
	{"CLUSTERDOWN", "the Redis cluster is down: see CLUSTER INFO"},
	{"MOVED", "this server is part of a cluster, which needs a cluster's address"},
	{"CROSSSLOT", "keys of one group are in different slots: give the dead-letter stream the stream's hash tag"},
	{"MISCONF", "Redis refuses writes because it cannot save: mend its disk or stop-writes-on-bgsave-error"},
	{"NOREPLICAS", "Redis refuses writes because too few replicas are connected: see min-replicas-to-write"},
	{"BUSY ", "Redis runs a script that takes too long: see its slow log"},
	{"DENIED", "Redis is in protected mode: set a password for it, or bind and protected-mode"},
	{"ERR max number of clients", "Redis has no connections left: raise maxclients"},
	{"ERR DB index", "the database in redis.url does not exist: see the server's setting databases"},
	{"ERR invalid DB index", "the database in redis.url does not exist: see the server's setting databases"},
}

// Describe says in one line what is wrong and what mends it. It shows no
// secret. An error that it does not know is its own text; nil is "".
func Describe(err error) string {
	var (
		answer   redis.Error
		dns      *net.DNSError
		verify   *tls.CertificateVerificationError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		record   tls.RecordHeaderError
		op       *net.OpError
		timeout  net.Error
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &answer):
		text := answer.Error()
		for _, a := range answers {
			if strings.HasPrefix(text, a.prefix) {
				return a.mend + " (" + text + ")"
			}
		}
		if errors.Is(err, stream.ErrNoGroup) {
			return "the consumer group is missing in Redis: it is created again (" + text + ")"
		}
	case errors.As(err, &dns):
		return fmt.Sprintf("the host name %s does not resolve: check redis.url", dns.Name)
	case errors.As(err, &unknown):
		return "the server's certificate is not trusted: set redis.tls.ca_file"
	case errors.As(err, &hostname):
		return "the server's certificate is for another name: set redis.tls.server_name"
	case errors.As(err, &verify):
		return "the server's certificate is not valid: " + verify.Err.Error()
	case errors.As(err, &record):
		return "the server does not speak TLS on this port: use redis:// or its TLS port"
	case errors.As(err, &op) && op.Op == "remote error": // how crypto/tls marks the other side's alert
		return "the server refuses the TLS handshake, perhaps for want of a client certificate: set redis.tls (" + op.Err.Error() + ")"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at the address in redis.url: start Redis or correct it"
	case errors.Is(err, os.ErrNotExist):
		return "a file or socket is missing: " + err.Error()
	case errors.Is(err, os.ErrPermission):
		return "a file or socket may not be opened: " + err.Error()
	case errors.Is(err, redis.ErrPoolTimeout):
		return "all connections are busy: Redis is slow or overloaded"
	case errors.Is(err, redis.ErrClosed):
		return "the connection was closed by this process"
	case errors.Is(err, context.Canceled):
		return "stopped"
	case errors.Is(err, errHandshake) && errors.Is(err, context.DeadlineExceeded):
		return "the server does not answer the TLS handshake: perhaps it does not speak TLS on this port (redis://)"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "Redis does not answer in time: check that it runs and that the network lets it through"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return "Redis closed the connection: it was restarted, has reached maxclients, wants a client certificate, or speaks TLS on this port (rediss://)"
	}
	return err.Error()
}

// unusable reports whether a server that answers err should be dialed anew: its
// address may lead to another one by now.
func unusable(err error) bool {
	for _, prefix := range []string{"READONLY", "MASTERDOWN", "LOADING", "NOAUTH"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// answered reports whether the server itself has answered err.
func answered(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}
