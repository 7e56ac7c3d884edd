package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// newTransport makes the connections of one handler; no other shares them.
//
// Idle connections are kept for as many calls as may run at once, but not for
// longer than common servers keep them: a request on a connection that the
// server is just closing fails. A proxy is taken from the environment
// (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), never for loopback addresses.
func newTransport(caFile string) (*http.Transport, error) {
	t := &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			proxy, err := http.ProxyFromEnvironment(r)
			if err != nil { // its text may hold the proxy's password
				return nil, errors.New("the proxy named by the environment is not a URL")
			}
			return proxy, nil
		},
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // so that max_response bounds what is held in memory
		MaxIdleConnsPerHost:    1024,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca_file %s: no certificate in it", caFile)
		}
	}
	return t, nil
}
