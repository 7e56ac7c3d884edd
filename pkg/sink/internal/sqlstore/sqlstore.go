// Package sqlstore is what the handlers that keep their effects in SQL share:
// opening a store by its DSN, transactions, multi-row statements, names, and
// what an error of the store means to the engine.
//
//   - A transaction that [Store.Update] has reported as committed survives a
//     power cut.
//   - One process holds one connection to a SQLite file, however many groups
//     use it: they wait for each other in turn and never see it as busy. Other
//     processes may read the file at any time and write to it between our
//     transactions.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"example.com/fanout/pkg/handler"
)

// Store is one user's hold on an open store. It is safe for concurrent use.
type Store struct {
	file  *file
	close sync.Once
	err   error
}

// Open opens the store that dsn names and creates it, with its folder, if it
// is not there.
func Open(dsn string) (*Store, error) {
	d, rest, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	return d.open(rest)
}

// Close gives the store back. The last user's Close closes it.
func (s *Store) Close() error {
	s.close.Do(func() { s.err = s.file.release() })
	return s.err
}

// Update runs fn in a transaction that no other writer can come into, and
// commits it when fn returns nil. After an error nothing of it remains.
//
// It waits for other transactions for as long as ctx allows. Its errors carry
// the mark that the engine needs, see [Mark].
func (s *Store) Update(ctx context.Context, fn func(*sql.Tx) error) error {
	if err := s.file.present(); err != nil {
		return handler.Unavailable(err)
	}
	tx, err := s.file.db.BeginTx(ctx, nil)
	if err != nil {
		err = fmt.Errorf("begin transaction: %w", err)
		if ctx.Err() == nil {
			return handler.Unavailable(hint(err)) // no delivery has been looked at
		}
		return Mark(ctx, err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	if err := fn(tx); err != nil {
		return Mark(ctx, err)
	}
	if err := tx.Commit(); err != nil {
		return Mark(ctx, fmt.Errorf("commit: %w", err))
	}
	return nil
}

// PrepareOne prepares a statement for the life of the store; the caller closes it.
func (s *Store) PrepareOne(query string) (*sql.Stmt, error) {
	return s.file.db.PrepareContext(context.Background(), query)
}

// file is one SQLite file that this process has open.
type file struct {
	path string
	db   *sql.DB // never more than one connection
	info fs.FileInfo

	// superseded is set when another file at the path is open instead. With
	// our connection closed the file system may give that one our identity.
	superseded atomic.Bool

	users int // guarded by opened.mu
}

// opened holds the files that are open in this process by their paths. Two
// connections to one file would only keep each other waiting.
var opened = struct {
	mu    sync.Mutex
	files map[string]*file
}{files: map[string]*file{}}

// present reports an error when the path no longer leads to the file that is
// open: what would be written then is lost when the process ends.
func (f *file) present() error {
	info, err := os.Stat(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at the database file: %w", err)
	}
	if err != nil || f.superseded.Load() || !os.SameFile(info, f.info) {
		return fmt.Errorf("database file %s was removed or replaced while in use; restart the group to use what is there now", f.path)
	}
	return nil
}

func (f *file) release() error {
	opened.mu.Lock()
	defer opened.mu.Unlock()
	if f.users--; f.users > 0 {
		return nil
	}
	if opened.files[f.path] == f {
		delete(opened.files, f.path)
	}
	if err := f.db.Close(); err != nil {
		return fmt.Errorf("close %s: %w", f.path, err)
	}
	return nil
}
