package sqlstore

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
)

// Record is a row as a preview shows it: a JSON object in the order of the
// columns.
type Record []Field

// Field is one column of a Record.
type Field struct {
	Name  string
	Value any
}

// MarshalJSON gives the object.
func (r Record) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range r {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(f.Value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Redirect returns the DSN of a SQLite file in dir that stands for dsn: of the
// same name, or named after the table when dsn is not a SQLite file's.
func Redirect(dsn, table, dir string) string {
	name, ok := Path(dsn)
	if ok {
		name = filepath.Base(name)
	} else {
		name = fileName(table) + ".db"
	}
	return "sqlite:" + filepath.Join(dir, name)
}

func fileName(table string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, table)
}
