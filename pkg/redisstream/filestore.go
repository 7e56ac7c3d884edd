package redisstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// FileStore keeps checkpoints in one JSON file. Several processes may use the
// same file; none overwrites what another has saved. Checkpoints that are saved
// at the same time are written together.
type FileStore struct {
	path    string
	writing sync.Mutex // one writer of this process at a time

	mu    sync.Mutex
	next  *commit        // what the next writer takes along; nil: nobody waits
	known checkpointFile // as read last
	as    os.FileInfo    // the file that it was read from; nil: none was
}

// commit is what is written at once.
type commit struct {
	checkpoints map[string]Checkpoint
	err         error
	done        chan struct{} // closed when err is there
}

// NewFileStore returns a store for the file at path, which need not exist; its
// directory is made by the first Save.
func NewFileStore(path string) *FileStore { return &FileStore{path: path} }

type checkpointFile struct {
	Version     int                   `json:"version"`
	Checkpoints map[string]Checkpoint `json:"checkpoints"`
}

// Load implements [CheckpointStore]. A missing file knows nothing and is no
// error. A file that is as it was is not read again.
func (s *FileStore) Load(key string) (Checkpoint, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := os.Stat(s.path)
	same := err == nil && s.as != nil && os.SameFile(s.as, now) && s.as.ModTime().Equal(now.ModTime()) && s.as.Size() == now.Size()
	if !same {
		s.as = nil
		f, readErr := s.read()
		if readErr != nil {
			return Checkpoint{}, false, readErr
		}
		s.known = f
		if err == nil {
			s.as = now // older than what was read, if anything: then it is read again
		}
	}
	c, ok := s.known.Checkpoints[key]
	return c, ok, nil
}

// Save implements [CheckpointStore]. A damaged file is replaced.
func (s *FileStore) Save(key string, c Checkpoint) error {
	s.mu.Lock()
	mine, first := s.next, s.next == nil
	if first {
		mine = &commit{checkpoints: map[string]Checkpoint{}, done: make(chan struct{})}
		s.next = mine
	}
	mine.checkpoints[key] = c
	s.mu.Unlock()
	if !first {
		<-mine.done
		return mine.err
	}
	s.writing.Lock() // others join meanwhile
	defer s.writing.Unlock()
	s.mu.Lock()
	s.next = nil
	s.mu.Unlock()
	mine.err = s.commit(mine.checkpoints)
	close(mine.done)
	return mine.err
}

// commit puts checkpoints into the file.
func (s *FileStore) commit(checkpoints map[string]Checkpoint) error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	unlock, err := lockFile(s.path + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	f, _ := s.read() // the error of a damaged file was Load's
	if f.Checkpoints == nil {
		f.Checkpoints = map[string]Checkpoint{}
	}
	f.Version = 1
	maps.Copy(f.Checkpoints, checkpoints)
	return s.write(f)
}

func (s *FileStore) read() (checkpointFile, error) {
	b, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return checkpointFile{}, nil
	}
	if err != nil {
		return checkpointFile{}, fmt.Errorf("read: %w", err)
	}
	var f checkpointFile
	if err := json.Unmarshal(b, &f); err != nil {
		return checkpointFile{}, fmt.Errorf("read %s: %w", s.path, err)
	}
	if f.Version != 1 {
		return checkpointFile{}, fmt.Errorf("read %s: version %d is not known", s.path, f.Version)
	}
	return f, nil
}

// write replaces the file as a whole: a reader sees the old one or the new one.
func (s *FileStore) write(f checkpointFile) error {
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	_, err = tmp.Write(append(b, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), s.path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// lockPatience bounds the wait for another process's Save: one that is stopped
// in the middle must not stop us.
const lockPatience = 5 * time.Second

// lockFile holds an advisory lock until unlock is called or the process ends.
// The lock file stays: were it removed, two processes could lock two files of
// one name.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	deadline := time.Now().Add(lockPatience)
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		busy := errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR)
		if !busy || time.Now().After(deadline) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
