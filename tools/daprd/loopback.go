package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dapr/dapr/cmd/daprd/options"
)

// The sidecar and its service talk over loopback, which Dapr does in the clear, or over TLS without a look at the
// certificate. Here they know each other's, by files that these variables name.
const (
	appTrust       = "DAPRD_APP_CERTIFICATE" // the certificate that the service shows, in PEM
	apiCertificate = "DAPRD_API_CERTIFICATE" // with these two the HTTP API is served over TLS alone
	apiKey         = "DAPRD_API_KEY"
)

const (
	mostConnections  = 1024
	handshakeTimeout = 10 * time.Second
	dialTimeout      = 10 * time.Second
)

// trustApp lets what is asked of the service over HTTPS (--app-protocol https) be asked of nobody but it. Dapr's client
// is a copy of the default transport, and checks nothing by itself.
func trustApp(opts *options.Options) error {
	file := os.Getenv(appTrust)
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s has no certificate in PEM", file)
	}
	app := net.JoinHostPort(opts.AppChannelAddress, opts.AppPort)
	theApps := &tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: trusted}}
	everybodys := &tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return fmt.Errorf("the default transport is a %T", http.DefaultTransport)
	}
	transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialer := everybodys
		if address == app {
			dialer = theApps
		}
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		return dialer.DialContext(ctx, network, address)
	}
	return nil
}

// serveAPI lets Dapr serve its APIs at sockets in the folder where this process runs, which is its owner's alone, and
// its HTTP API beside that at the port where Dapr would, over TLS. It returns when ctx ends.
func serveAPI(opts *options.Options) (func(context.Context) error, error) {
	file := os.Getenv(apiCertificate)
	if file == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(file, os.Getenv(apiKey))
	if err != nil {
		return nil, err
	}
	opts.UnixDomainSocket = "."
	sockets, err := filepath.Glob("dapr-*.socket")
	if err != nil {
		return nil, err
	}
	for _, left := range sockets { // by one that was killed
		if err := os.Remove(left); err != nil {
			return nil, err
		}
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}}
	return func(ctx context.Context) error {
		at := net.JoinHostPort(opts.DaprAPIListenAddresses, opts.DaprHTTPPort)
		door, err := net.Listen("tcp", at)
		if err != nil {
			return err
		}
		go func() {
			<-ctx.Done()
			door.Close()
		}()
		log.Infof("HTTPS server listening on TCP address: %s", at)
		room := make(chan struct{}, mostConnections)
		for {
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			client, err := door.Accept()
			if err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			go func() {
				defer func() { <-room }()
				join(tls.Server(client, config), fmt.Sprintf("dapr-%s-http.socket", opts.AppID))
			}()
		}
	}, nil
}

// join carries what client and socket send each other until either has ended.
func join(client *tls.Conn, socket string) {
	defer client.Close()
	within, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	if err := client.HandshakeContext(within); err != nil {
		return
	}
	api, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer api.Close()
	var both sync.WaitGroup
	carry := func(to, from net.Conn) {
		defer both.Done()
		io.Copy(to, from) //nolint:errcheck // either end of it ends both
		to.Close()
		from.Close()
	}
	both.Add(2)
	go carry(client, api)
	go carry(api, client)
	both.Wait()
}
