package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// dialect is one kind of SQL store, named by the part of a DSN before its
// first colon.
type dialect struct {
	names []string
	check func(rest string) error
	open  func(rest string) (*Store, error)
}

var dialects = []dialect{
	{names: []string{"sqlite"}, check: checkSQLite, open: openSQLite},
	{names: []string{"postgres", "postgresql"}, check: func(string) error {
		return errors.New("postgres is not supported yet; use sqlite:PATH")
	}},
}

// CheckDSN reports what is wrong with a DSN, without I/O. Its errors never
// hold the DSN, which may hold a password.
func CheckDSN(dsn string) error {
	_, _, err := parse(dsn)
	return err
}

func parse(dsn string) (d dialect, rest string, err error) {
	if dsn == "" {
		return dialect{}, "", errors.New("is required; for example sqlite:data/events.db")
	}
	name, rest, found := strings.Cut(dsn, ":")
	if !found {
		return dialect{}, "", errors.New("must begin with the kind of the store; for example sqlite:data/events.db")
	}
	for _, d := range dialects {
		if slices.Contains(d.names, strings.ToLower(name)) {
			return d, rest, d.check(rest)
		}
	}
	return dialect{}, "", fmt.Errorf("%.20q is not a kind of store; use sqlite:PATH", name)
}

// Path returns the path in a SQLite DSN, false for every other DSN.
func Path(dsn string) (string, bool) {
	d, rest, err := parse(dsn)
	if err != nil || d.names[0] != "sqlite" {
		return "", false
	}
	return sqlitePath(rest), true
}
