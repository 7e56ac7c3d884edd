package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// viewOptions are those of a connection that only reads. query_only refuses
// whatever would write; rw and not ro, because a reader of a file in WAL mode
// may have to make its side files.
const viewOptions = "mode=rw" +
	"&_pragma=busy_timeout(2000)" +
	"&_pragma=query_only(1)" +
	"&_pragma=temp_store(MEMORY)" +
	"&_dqs=0"

// View lets fn read the store that dsn names, as it was at one moment, over a
// connection of its own: whoever writes to the store does not wait for it, and
// it does not wait for them. A store that is not there is fs.ErrNotExist; View
// creates nothing.
func View(ctx context.Context, dsn string, fn func(*sql.Tx) error) error {
	if _, _, err := parse(dsn); err != nil {
		return fmt.Errorf("read dsn: %w", err)
	}
	path, _ := Path(dsn) // there is no other kind of store
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("find store: %w", err)
	}
	switch info, err := os.Stat(path); {
	case err != nil:
		return fmt.Errorf("find store: %w", err)
	case info.Size() == 0: // nobody has written to it yet
		return fmt.Errorf("find store: %s is empty: %w", path, fs.ErrNotExist)
	}
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: viewOptions}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin reading: %w", hint(err))
	}
	defer func() { _ = tx.Rollback() }()
	return hint(fn(tx))
}

// HasTable reports whether there is a table of that name.
func HasTable(ctx context.Context, tx *sql.Tx, table string) (bool, error) {
	have, err := columns(ctx, tx, table)
	return len(have) > 0, err
}
