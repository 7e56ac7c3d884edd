package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// pidFile is a file that holds the ID of this process. It is locked for as long
// as the process lives, so that a file which a crash has left behind is told
// from one that is in use, whoever has got its number since.
type pidFile struct{ file *os.File }

// writePID writes the process ID. It refuses a file that another living process
// has written so.
func writePID(path string) (*pidFile, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, fmt.Errorf("write pid file: %w", err)
		}
		p := &pidFile{f}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			owner := make([]byte, 20)
			n, _ := f.ReadAt(owner, 0) // "" is as good as it gets
			_ = f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, fmt.Errorf("write pid file: %s belongs to process %s, which runs", path, strings.TrimSpace(string(owner[:n])))
			}
			return nil, fmt.Errorf("lock pid file %s: %w", path, err)
		}
		switch there, err := p.there(); {
		case err != nil:
			_ = f.Close()
			return nil, fmt.Errorf("write pid file: %w", err)
		case !there: // its owner has removed it between our two calls
			_ = f.Close()
			continue
		}
		text := strconv.Itoa(os.Getpid()) + "\n"
		_, err = f.WriteAt([]byte(text), 0)
		if err := errors.Join(err, f.Truncate(int64(len(text)))); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("write pid file: %w", err)
		}
		return p, nil
	}
}

// there reports whether the file still is the one at its path.
func (p *pidFile) there() (bool, error) {
	ours, err := p.file.Stat()
	if err != nil {
		return false, err
	}
	present, err := os.Stat(p.file.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(ours, present), err
}

// remove removes the file, unless it is another one by now.
func (p *pidFile) remove() {
	if there, err := p.there(); err == nil && there {
		_ = os.Remove(p.file.Name()) // it may stay: its lock ends with this process
	}
	_ = p.file.Close()
}
