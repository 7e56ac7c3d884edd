package redisstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrLeaseLost: another process holds the instance name now. Consumer names of
// this instance must not be used any more.
var ErrLeaseLost = errors.New("instance lease is lost")

// ErrInstanceHeld: a process that is alive, or cannot be told to be gone, holds
// the instance name.
var ErrInstanceHeld = errors.New("instance is in use")

// InstanceConfig says which instance name to lease.
type InstanceConfig struct {
	Name string

	// Given says that somebody has chosen Name: it is that or nothing. Otherwise
	// Name.2, Name.3 and so on will do as well.
	Given bool

	// LeaseTime is how long the lease outlives a process that ends without
	// releasing it, and how long to wait for another machine's. 0 means 30 s.
	LeaseTime time.Duration
}

const (
	defaultLeaseTime = 30 * time.Second
	maxInstances     = 256 // of one name
	leasePoll        = 100 * time.Millisecond
	leasePrefix      = "fanout:instance:" // of its key
	noKey            = time.Duration(-2)  // what PTTL says of one that is not there
)

// Lease is the sole right to an instance name, and so to its consumer names.
type Lease struct {
	client   *Client
	name     string
	key      string
	value    string
	duration time.Duration
}

// AcquireInstance leases an instance name.
//
// A lease whose process is known to be gone (it was on this host) is taken over
// at once, so that a crash costs no wait. One whose process is alive on this
// host sends us to the next name at once. For any other it waits up to the lease
// time, and goes to the next name then. With a name that was given there is no
// next name: the error wraps [ErrInstanceHeld] and names the holder.
//
// A lease that this Client holds already is taken over: the reply of an earlier
// call may have been lost.
func (c *Client) AcquireInstance(ctx context.Context, cfg InstanceConfig) (*Lease, error) {
	return c.acquire(ctx, cfg, "/proc")
}

func (c *Client) acquire(ctx context.Context, cfg InstanceConfig, proc string) (*Lease, error) {
	if cfg.LeaseTime <= 0 {
		cfg.LeaseTime = defaultLeaseTime
	}
	self := thisProcess(proc)
	self.Token = c.token
	self.Since = time.Now().UTC().Format(time.RFC3339)
	value, err := json.Marshal(self)
	if err != nil {
		return nil, fmt.Errorf("encode instance lease: %w", err)
	}
	for n := 1; n <= maxInstances; n++ {
		name := cfg.Name
		if n > 1 {
			name = fmt.Sprintf("%s.%d", cfg.Name, n)
		}
		l := &Lease{client: c, name: name, key: leasePrefix + name, value: string(value), duration: cfg.LeaseTime}
		err := l.take(ctx, self, proc)
		if err == nil {
			return l, nil
		}
		if cfg.Given || !errors.Is(err, ErrInstanceHeld) {
			return nil, fmt.Errorf("lease instance %s: %w", name, err)
		}
	}
	return nil, fmt.Errorf("lease instance %s: %w (%d times over)", cfg.Name, ErrInstanceHeld, maxInstances)
}

// take takes the lease when it is free, has been left or runs out in time.
func (l *Lease) take(ctx context.Context, self holder, proc string) error {
	rdb := l.client.rdb
	deadline := time.Now().Add(l.duration + leasePoll)
	left := time.Duration(-1) // of the held lease, at the last look
	for {
		ok, err := rdb.SetNX(ctx, l.key, l.value, l.duration).Result()
		if err != nil {
			return wrap("set lease", err)
		}
		if ok {
			return nil
		}
		held, err := rdb.Get(ctx, l.key).Result()
		if errors.Is(err, redis.Nil) {
			continue // it ran out between the two commands
		}
		if err != nil {
			return wrap("read lease", err)
		}
		var other holder
		_ = json.Unmarshal([]byte(held), &other) // what is not ours is somebody's anyhow
		ours := other.Token == self.Token
		if ours || self.sees(other) {
			if !ours && other.alive(proc) {
				return other.inUse()
			}
			if taken, err := l.takeOver(ctx, held); taken || err != nil {
				return err
			}
			continue
		}
		ttl, err := rdb.PTTL(ctx, l.key).Result()
		if err != nil {
			return wrap("read lease", err)
		}
		if ttl == noKey {
			continue // it ran out just now
		}
		// More left than before: its holder has just renewed it and is alive.
		if left >= 0 && ttl > left || ttl < 0 || time.Now().After(deadline) {
			return other.inUse()
		}
		left = ttl
		timer := time.NewTimer(min(max(ttl, time.Millisecond), leasePoll))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func (l *Lease) takeOver(ctx context.Context, held string) (bool, error) {
	n, err := l.client.runInt(ctx, "take over lease", takeOverScript, []string{l.key}, held, l.value, l.duration.Milliseconds())
	return n == 1, err
}

func (h holder) inUse() error {
	if h.Token == "" {
		return fmt.Errorf("%w: by something that is not fanout", ErrInstanceHeld)
	}
	return fmt.Errorf("%w: by process %d on host %s since %s", ErrInstanceHeld, h.PID, h.Host, h.Since)
}

// Name is the leased instance name.
func (l *Lease) Name() string { return l.name }

// Serve renews the lease until ctx is done, and returns nil then. While Redis is
// away it keeps trying, however long; a lease that has run out meanwhile is
// taken again when nobody else has it, and [ErrLeaseLost] is returned when
// somebody has. tried is told what came of each try.
func (l *Lease) Serve(ctx context.Context, tried func(error)) error {
	ticker := time.NewTicker(l.duration / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		n, err := l.client.runInt(ctx, "renew lease", renewScript, []string{l.key}, l.value, l.duration.Milliseconds())
		if err == nil && n == 0 {
			return fmt.Errorf("renew lease of %s: %w", l.name, ErrLeaseLost)
		}
		if ctx.Err() == nil {
			tried(err)
		}
	}
}

// Release gives the name back; a lease that is no longer ours stays as it is.
func (l *Lease) Release(ctx context.Context) error {
	_, err := l.client.runInt(ctx, "release lease of "+l.name, releaseScript, []string{l.key}, l.value)
	return err
}
