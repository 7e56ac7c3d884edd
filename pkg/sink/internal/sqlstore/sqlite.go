package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// sqliteOptions are those of every connection.
//
//   - page_size, of files that are new: rows come side by side, and a commit makes
//     two calls of the system for each page that it writes. Twice SQLite's own
//     size takes a fifth off the work of a batch; a lone row writes 8 KiB more.
//   - WAL: others can read while we write. The driver runs what is named _pragma
//     in alphabetical order and this one after it: the size is fixed from here on.
//   - synchronous=FULL: a commit waits until the disk has it. An entry is
//     acknowledged after the commit, so NORMAL would lose acknowledged entries
//     in a power cut.
//   - busy_timeout: how long we wait for writers of other processes before the
//     store counts as unavailable.
//   - txlock=immediate: a transaction takes the write lock when it begins. One
//     that takes it later can be refused half way.
//   - dqs=0: a quoted name that is not a column is an error, not a text.
const sqliteOptions = "_pragma=busy_timeout(5000)" +
	"&_pragma=page_size(8192)" +
	"&_pragma=synchronous(FULL)" +
	"&_pragma=temp_store(MEMORY)" +
	"&_pragma=foreign_keys(ON)" +
	"&_journal_mode=WAL&_txlock=immediate&_dqs=0"

func checkSQLite(rest string) error {
	path := sqlitePath(rest)
	switch {
	case path == "":
		return errors.New("sqlite: needs a path; for example sqlite:data/events.db")
	case strings.HasPrefix(path, "//"):
		return errors.New("write sqlite:relative/path or sqlite:/absolute/path")
	case strings.Contains(path, ":memory:"):
		return errors.New("a store in memory keeps nothing; name a file")
	case strings.Contains(path, "?"):
		return errors.New("sqlite: takes no options; leave out what begins with ?")
	case strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("the path holds a control character")
	case strings.HasSuffix(path, "/"):
		return errors.New("the path is a folder; name a file in it")
	}
	return nil
}

// sqlitePath turns what follows "sqlite:" into a path: /absolute may be
// written as ///absolute.
func sqlitePath(rest string) string {
	if abs, ok := strings.CutPrefix(rest, "///"); ok {
		return "/" + abs
	}
	return rest
}

func openSQLite(rest string) (*Store, error) {
	path, err := resolve(sqlitePath(rest))
	if err != nil {
		return nil, err
	}
	opened.mu.Lock()
	defer opened.mu.Unlock()
	if f, ok := opened.files[path]; ok {
		if f.present() == nil {
			f.users++
			return &Store{file: f}, nil
		}
		// Its users can do nothing with it any more, and its connection must
		// not share the side files (-wal, -shm) with the new one.
		f.superseded.Store(true)
		f.db.Close()
	}
	f, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, hint(err))
	}
	opened.files[path] = f
	return &Store{file: f}, nil
}

// resolve creates the folder of the file and returns the file's one true path.
func resolve(path string) (string, error) {
	dir, name := filepath.Split(path)
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find folder of %s: %w", path, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("create folder of %s: %w", path, err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", fmt.Errorf("find folder of %s: %w", path, err)
	}
	path = filepath.Join(dir, name)
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target, nil // the file itself is a link
	}
	return path, nil
}

func openFile(path string) (_ *file, err error) {
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: sqliteOptions}
	db, err := openDB(name.String())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(context.Background(), "SELECT count(*) FROM sqlite_schema"); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &file{path: path, db: db, info: info, users: 1}, nil
}
