package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"

	"example.com/fanout/test/chaos/wire"
)

func (r *round) cutRequests(f fault) error { return r.cuts(f, 0.5, wire.Requests) }
func (r *round) cutReplies(f fault) error  { return r.cuts(f, 0.5, wire.Replies) }

// cutEverywhere leaves hardly a connection whole. Then it cuts what is told to
// Redis alone, and no read: nothing gives a consumer cause to look through its
// pending list.
func (r *round) cutEverywhere(f fault) error {
	if err := r.cuts(f, 0.7, wire.Requests, wire.Replies); err != nil {
		return err
	}
	time.Sleep(f.hold)
	for range 2 * f.n {
		r.proxy.CutWord("evalsha")
		time.Sleep(150 * time.Millisecond)
	}
	return nil
}

func (r *round) cuts(f fault, share float64, directions ...wire.Direction) error {
	random := randomOf(f)
	for range f.n {
		for _, d := range directions {
			r.proxy.Cut(d, share, random)
		}
		time.Sleep(200 * time.Millisecond)
	}
	return nil
}

func (r *round) latency(f fault) error {
	r.proxy.Latency(time.Duration(f.n) * 20 * time.Millisecond)
	defer r.proxy.Latency(0)
	time.Sleep(f.hold)
	return nil
}

// blackhole lasts longer than the wait for a reply.
func (r *round) blackhole(f fault) error {
	return r.outages.during(func() error {
		r.proxy.Blackhole(true)
		defer r.proxy.Blackhole(false)
		time.Sleep(f.hold + 5*time.Second)
		return nil
	})
}

func (r *round) hookDown(f fault) error {
	r.hook.down()
	time.Sleep(f.hold)
	return eventually(patience, r.hook.up)
}

// diskFull fills the file system of the stores and of the state file.
func (r *round) diskFull(f fault) error {
	if r.noSmall != nil {
		return fmt.Errorf("no file system can be made to fill it (%w): allow user namespaces, or run as root; CHAOS_WITHOUT=\"disk full\" does without", r.noSmall)
	}
	name := filepath.Join(r.dir, "data", "filler")
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer os.Remove(name)
	defer file.Close()
	for size := 1 << 20; size >= 512; {
		if _, err := file.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil && !errors.Is(err, io.ErrShortWrite) {
			return err
		}
	}
	time.Sleep(f.hold)
	return nil
}

// lockStore holds the write lock of the trades' store.
func (r *round) lockStore(f fault) error {
	ctx := context.Background()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(r.dir, "data", "trades.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	time.Sleep(f.hold)
	_, err = db.ExecContext(ctx, "ROLLBACK")
	return err
}

// strand lets replies go astray without any error that would tell: new entries are
// given to consumers that are at work, and the replies come to us. Nothing but the
// audit can find them then.
func (r *round) strand() error {
	audited := calm
	audited.audit = usualAudit
	if err := r.writeManifest(audited); err != nil {
		return err
	}
	began := time.Now()
	r.reload()
	left := r.slots[0]
	if err := eventually(patience, func() error {
		reloaded := false
		err := eachRecord(left.log, func(line record) {
			reloaded = reloaded || line.Message == "reloaded" && !line.Time.Before(began)
		})
		if err == nil && !reloaded {
			err = fmt.Errorf("%s has not reloaded", left.name)
		}
		return err
	}); err != nil {
		return err
	}
	time.Sleep(2 * time.Second) // consumers that have begun look through their pending lists first
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	const entries = 20
	ctx := context.Background()
	_, err := r.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for range entries {
			e := r.pub.entry()
			p.XAdd(ctx, e.command())
		}
		for _, g := range groups {
			p.XReadGroup(ctx, &redis.XReadGroupArgs{Group: g, Consumer: "left-0", Count: entries, Block: -1, Streams: []string{streamKey, ">"}})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("let replies go astray: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done["replies astray"]++
	return nil
}
