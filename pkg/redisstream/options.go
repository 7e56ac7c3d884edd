package redisstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// errURL says nothing of the text itself, which may hold a password.
var errURL = errors.New("url is not of the form redis://user:password@host:port/db " +
	"(special characters in user and password must be percent-encoded)")

// options makes the options of all connections.
func options(cfg Config) (*redis.Options, error) {
	o := base()
	u, err := url.Parse(cfg.URL.Reveal())
	if err != nil {
		return nil, errURL // err quotes parts of the URL
	}
	if err := address(o, u); err != nil {
		return nil, err
	}
	o.Username = u.User.Username()
	o.Password, _ = u.User.Password()
	if cfg.Username != "" {
		o.Username = cfg.Username
	}
	if cfg.Password != "" {
		o.Password = cfg.Password.Reveal()
	}
	if cfg.PasswordFile != "" {
		if _, err := readPassword(cfg.PasswordFile); err != nil {
			return nil, err
		}
		user := o.Username
		o.CredentialsProviderContext = func(context.Context) (string, string, error) {
			password, err := readPassword(cfg.PasswordFile)
			return user, password, err
		}
	}
	if u.Scheme == "rediss" {
		o.TLSConfig, err = tlsConfig(cfg.TLS, u.Hostname())
		if err != nil {
			return nil, err
		}
	} else if cfg.TLS != (TLS{}) {
		return nil, errors.New("tls is set, but only rediss:// URLs use TLS")
	}
	o.Dialer = dialer(o.TLSConfig)
	return o, nil
}

func address(o *redis.Options, u *url.URL) error {
	db := strings.Trim(u.Path, "/")
	query := u.Query()
	switch u.Scheme {
	case "redis", "rediss":
		if u.Opaque != "" {
			return errURL
		}
		host, port := u.Hostname(), u.Port()
		if host == "" {
			host = "127.0.0.1"
		}
		if port == "" {
			port = "6379"
		}
		o.Network, o.Addr = "tcp", net.JoinHostPort(host, port)
	case "unix":
		if u.Path == "" || u.Host != "" {
			return errors.New("a unix:// URL names the socket by its absolute path: unix:///run/redis.sock")
		}
		o.Network, o.Addr = "unix", u.Path
		db = query.Get("db")
		query.Del("db")
	default:
		return errors.New("url must begin with redis://, rediss:// or unix://")
	}
	for key := range query {
		return fmt.Errorf("url has an unknown parameter %q", key)
	}
	if db == "" {
		return nil
	}
	n, err := strconv.Atoi(db)
	if err != nil || n < 0 {
		return errors.New("url names a database that is not a number")
	}
	o.DB = n
	return nil
}

// readPassword takes one line; the newline that editors add is not part of it.
func readPassword(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read password file: %w", err)
	}
	return string(bytes.TrimRight(b, "\r\n")), nil
}

func tlsConfig(t TLS, host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca_file: %s holds no PEM certificate", t.CAFile)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("cert_file and key_file go together")
	}
	if t.CertFile != "" {
		load := func() (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("load client certificate: %w", err)
			}
			return &cert, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return c, nil
}

// errHandshake marks a connection that was made and a TLS handshake that was
// not answered.
var errHandshake = errors.New("TLS handshake")

// dialer ends with its context in the TLS handshake too; the library's own
// does not.
func dialer(config *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: dialTimeout}
	if config == nil {
		return plain.DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := plain.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		secure := tls.Client(conn, config)
		ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("%w: %w", errHandshake, err)
		}
		return secure, nil
	}
}
