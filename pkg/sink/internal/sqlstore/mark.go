package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"example.com/fanout/pkg/handler"
)

// Mark gives an error of the store the mark that says whom it is about:
//
//   - no mark when ctx was ended by a stop: the store is well;
//   - [handler.Unavailable] when it ran out of time: no row makes a statement
//     hang, a lock or a disk does;
//   - no mark for what a row may have caused, see [IsRowFault], and for
//     statements that the store cannot run: the engine finds the delivery;
//   - [handler.Unavailable] for everything else (busy, full, read-only, gone,
//     damaged): it says nothing about the deliveries.
//
// A mark that err has already stays.
func Mark(ctx context.Context, err error) error {
	switch {
	case err == nil || handler.MarkOf(err) != handler.Unmarked:
		return err
	case errors.Is(context.Cause(ctx), handler.ErrTimeout):
		return handler.Unavailable(fmt.Errorf("%w (%w)", err, context.Cause(ctx)))
	case ctx.Err() != nil:
		return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
	case isOutage(err):
		return handler.Unavailable(hint(err))
	}
	return err
}

// IsRowFault reports whether the store refused a row for what is in it:
// a constraint, a type, a size. Trying the same row again is of no use.
func IsRowFault(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return true
	}
	return false
}

// isRefused reports whether the store could not run a statement at all: a
// table or column is missing, or an expression of the table's own has failed.
func isRefused(err error) bool { return code(err) == sqlite3.SQLITE_ERROR }

func isOutage(err error) bool {
	if c := code(err); c != sqlite3.SQLITE_OK {
		return !IsRowFault(err) && !isRefused(err)
	}
	var path *fs.PathError
	return errors.As(err, &path) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone)
}

// hint adds what the operator can do to errors that do not heal by themselves.
func hint(err error) error {
	switch code(err) {
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("database file is damaged; stop, move it away or restore a backup: %w", err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("file is not a SQLite database; name another: %w", err)
	}
	return err
}

// code is SQLite's primary result code, SQLITE_OK when err is not of SQLite.
func code(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return sqlite3.SQLITE_OK
	}
	return e.Code() & 0xff
}
