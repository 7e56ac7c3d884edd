package app

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"example.com/fanout/pkg/admin"
	"example.com/fanout/pkg/page"
	"example.com/fanout/pkg/supervisor"
	"example.com/fanout/pkg/telemetry"
)

// adminRetry is how often a process whose admin address is taken looks whether
// it still is.
const adminRetry = 5 * time.Second

// serveAdmin starts the admin server. stop ends it and waits for it.
func (a *App) serveAdmin(ctx context.Context) (stop func(), err error) {
	listener, taken := a.cfg.Admin, ""
	if listener == nil {
		address := a.manifest.Admin.Listen
		if address == "off" {
			return func() {}, nil
		}
		listener, err = admin.Listen(ctx, address)
		if errors.Is(err, syscall.EADDRINUSE) { // by another process with the same manifest, as likely as not
			taken = address
			a.logger.Warn("admin address is taken, another port is used until it is free", telemetry.KeyAddress, address,
				"hint", "set admin.listen in the manifest to a port for each process")
			host, _, _ := net.SplitHostPort(address) // the manifest has checked it
			listener, err = admin.Listen(ctx, net.JoinHostPort(host, "0"))
		}
		if err != nil {
			return nil, err
		}
	}
	if file := a.manifest.Admin.TokenFile; file != "" { // a fault that nobody could mend from outside
		if _, err := admin.ReadToken(file); err != nil {
			_ = listener.Close()
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var serving sync.WaitGroup
	serve := func(l net.Listener) {
		a.logger.Info("admin server listens", telemetry.KeyAddress, l.Addr().String())
		if err := a.adminServer().Serve(ctx, l); err != nil {
			a.logger.Error("admin server ended, groups go on", telemetry.KeyError, err)
		}
	}
	serving.Go(func() { serve(listener) })
	if taken != "" { // who knows the other port may go on to use it
		serving.Go(func() {
			if l := waitForAddress(ctx, taken); l != nil {
				serve(l)
			}
		})
	}
	return func() { cancel(); serving.Wait() }, nil
}

// waitForAddress listens at an address as soon as it is free; nil when ctx is
// done before.
func waitForAddress(ctx context.Context, address string) net.Listener {
	for supervisor.Pause(ctx, adminRetry) {
		if l, err := admin.Listen(ctx, address); err == nil {
			return l
		}
	}
	return nil
}

func (a *App) adminServer() *admin.Server {
	m := a.cfg.Manifest.Admin
	return admin.New(admin.Config{
		Controller: controller{a}, Process: processControl{a}, Letters: letters{a}, Operator: operator{a}, Feed: a.feed, Metrics: a.metrics.Handler(),
		Windows: windows{a}, Live: live{a}, Page: page.Files(), Version: a.cfg.Version,
		Hosts: m.Hosts, Token: m.Token, TokenFile: m.TokenFile,
		MetricsOpen: m.MetricsOpen, ReadOnly: m.ReadOnly, Pprof: m.Pprof,
		Logger: a.logger,
	})
}
