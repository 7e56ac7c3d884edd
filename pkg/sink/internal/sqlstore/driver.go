package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"

	"modernc.org/sqlite"
)

// connector opens connections of the driver "sqlite" whose statements also take
// all their variables as one [list]. database/sql looks at each variable by
// itself and makes a slice of 40 bytes for each at every call: a sixth of the
// time that a batch of rows takes, and nobody else can write meanwhile.
type connector struct{ driver.Connector }

// syncData has commits wait with fdatasync, as the SQLite of every Linux
// distribution does. What fsync writes besides are the file's times; a commit is
// as safe without them. Where there is no fdatasync it stays with fsync.
var syncData = sync.OnceFunc(func() { _, _ = sqlite.Fdatasync(true) })

func openDB(name string) (*sql.DB, error) {
	syncData()
	inner, err := sqlite.NewConnector(name)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector{inner}), nil
}

// Connect implements [driver.Connector].
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := inner.(wholeConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("open connection: %T lacks what database/sql makes use of", inner), inner.Close())
	}
	return &conn{wholeConn: whole}, nil
}

// wholeConn is all of the driver's connection that database/sql makes use of.
type wholeConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// conn is used by one goroutine at a time, as every [driver.Conn].
type conn struct {
	wholeConn
	named []driver.NamedValue // kept from call to call, without the values
}

// PrepareContext implements [driver.ConnPrepareContext].
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	inner, err := c.wholeConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	whole, ok := inner.(wholeStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("prepare statement: %T lacks what database/sql makes use of", inner), inner.Close())
	}
	return stmt{whole, c}, nil
}

type wholeStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// list is all variables of a statement. It is its only argument where it is given.
type list []any

type stmt struct {
	wholeStmt
	conn *conn
}

// CheckNamedValue implements [driver.NamedValueChecker].
func (stmt) CheckNamedValue(v *driver.NamedValue) error {
	if _, ok := v.Value.(*list); ok {
		return nil
	}
	return driver.ErrSkip // to what database/sql does with others
}

// ExecContext implements [driver.StmtExecContext].
func (s stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	values, ok := unfold(args)
	if !ok {
		return s.wholeStmt.ExecContext(ctx, args)
	}
	defer s.conn.forget(len(values))
	args, err := s.conn.name(values)
	if err != nil {
		return nil, err
	}
	return s.wholeStmt.ExecContext(ctx, args)
}

// QueryContext implements [driver.StmtQueryContext].
func (s stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	values, ok := unfold(args)
	if !ok {
		return s.wholeStmt.QueryContext(ctx, args)
	}
	defer s.conn.forget(len(values)) // the rows have values of their own
	args, err := s.conn.name(values)
	if err != nil {
		return nil, err
	}
	return s.wholeStmt.QueryContext(ctx, args)
}

func unfold(args []driver.NamedValue) (list, bool) {
	if len(args) != 1 {
		return nil, false
	}
	values, ok := args[0].Value.(*list)
	if !ok {
		return nil, false
	}
	return *values, true
}

// name gives the values the form that the driver takes. It is good until the
// values are forgotten.
func (c *conn) name(values list) ([]driver.NamedValue, error) {
	for i := len(c.named); i < len(values); i++ {
		c.named = append(c.named, driver.NamedValue{Ordinal: i + 1})
	}
	for i, v := range values {
		switch v.(type) {
		case nil, int64, string, float64:
		default:
			var err error
			if v, err = driver.DefaultParameterConverter.ConvertValue(v); err != nil {
				return nil, fmt.Errorf("convert variable %d: %w", i+1, err)
			}
		}
		c.named[i].Value = v
	}
	return c.named[:len(values)], nil
}

// forget lets go of the first n values, which may be large.
func (c *conn) forget(n int) {
	for i := range c.named[:n] {
		c.named[i].Value = nil
	}
}
