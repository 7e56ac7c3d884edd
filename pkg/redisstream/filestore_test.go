package redisstream_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/stream"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func checkpoint(n uint64) redisstream.Checkpoint {
	return redisstream.Checkpoint{
		ID:            stream.ID{Ms: n, Seq: 1<<64 - 1},
		Epoch:         "e",
		LastGenerated: stream.ID{Ms: n + 5},
		EntriesAdded:  1 << 60,
		FirstEntry:    stream.ID{Ms: 1},
	}
}

func TestFileStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b", "state.json")
	s := redisstream.NewFileStore(path)
	if c, ok, err := s.Load("k"); ok || err != nil {
		t.Fatalf("no file: %v, %v, %v", c, ok, err)
	}
	for i, key := range []string{"k", "l", "k"} {
		if err := s.Save(key, checkpoint(uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	other := redisstream.NewFileStore(path)
	if c, ok, err := other.Load("k"); !ok || err != nil || c != checkpoint(2) {
		t.Fatalf("k: %+v, %v, %v", c, ok, err)
	}
	if c, ok, err := other.Load("l"); !ok || err != nil || c != checkpoint(1) {
		t.Fatalf("l: %+v, %v, %v", c, ok, err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v, want the store and its lock", files, err)
	}
}

func TestFileStoreDamaged(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "torn": `{"version":1,"checkpoints":{"k":{"id":"1-`, "another version": `{"version":2}`,
		"bad ID": `{"version":1,"checkpoints":{"k":{"id":"x"}}}`, "not an object": `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "state.json")
			write(t, path, text)
			s := redisstream.NewFileStore(path)
			if _, ok, err := s.Load("k"); ok || err == nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("%v, %v, want nothing and an error that names the file", ok, err)
			}
			if err := s.Save("k", checkpoint(1)); err != nil {
				t.Fatal(err)
			}
			if c, ok, err := s.Load("k"); !ok || err != nil || c != checkpoint(1) {
				t.Fatalf("after Save: %+v, %v, %v", c, ok, err)
			}
		})
	}
}

// Several processes that save to one file at once lose nothing of each other.
// Each is this test binary.
func TestFileStoreProcesses(t *testing.T) {
	const keys = 15
	if path := os.Getenv("FANOUT_TEST_STORE"); path != "" {
		s := redisstream.NewFileStore(path)
		for i := range keys {
			if err := s.Save(fmt.Sprint(os.Getpid(), "/", i), checkpoint(uint64(i))); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.json")
	var all errgroup.Group
	const processes = 3
	pids := make([]int, processes)
	for i := range processes {
		all.Go(func() error {
			cmd := exec.Command(os.Args[0], "-test.run", "^TestFileStoreProcesses$")
			cmd.Env = append(os.Environ(), "FANOUT_TEST_STORE="+path)
			out, err := cmd.CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w\n%s", err, out)
			}
			pids[i] = cmd.Process.Pid
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	s := redisstream.NewFileStore(path)
	for _, pid := range pids {
		for i := range keys {
			c, ok, err := s.Load(fmt.Sprint(pid, "/", i))
			if !ok || err != nil || c != checkpoint(uint64(i)) {
				t.Fatalf("process %d, key %d: %+v, %v, %v", pid, i, c, ok, err)
			}
		}
	}
}

// Whatever the file holds: what is read of it survives a save beside it, and a
// save is read again.
func FuzzFileStore(f *testing.F) {
	for _, seed := range []string{
		"", "null", "[]", `{"version":1}`, `{"version":2}`, `{"version":1,"checkpoints":null}`,
		`{"version":1,"checkpoints":{"k":{"id":"1-2","epoch":"e","last_generated":"5-0","entries_added":7,"first_entry":"0-0"}}}`,
		`{"version":1,"checkpoints":{"k":{"id":"18446744073709551616-0"}}}`, `{"version":1,"checkpoints":{"k":{"entries_added":1e30}}}`,
		`{"version":1,"checkpoints":{"k":{"id":"1-`, `{"VERSION":1,"checkpoints":{"k":{"id":"3"},"k":{"epoch":"\ud800"}}}{}`,
	} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), fmt.Sprintf("state.%d.json", os.Getpid())) // a fuzzing worker is a process
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s := redisstream.NewFileStore(path)
		before, known, err := s.Load("k")
		if known && err != nil {
			t.Fatalf("%+v beside the error %v", before, err)
		}
		if err := s.Save("other", checkpoint(1)); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := s.Load("other"); !ok || err != nil || got != checkpoint(1) {
			t.Fatalf("saved and read: %+v, %v, %v", got, ok, err)
		}
		if after, ok, err := s.Load("k"); ok != known || err != nil || after != before {
			t.Fatalf("k: %+v, %v, %v after a save, %+v, %v before", after, ok, err, before, known)
		}
	})
}

// What many save at once is written together, and is there when Save returns.
func TestFileStoreManyAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.json")
	s := redisstream.NewFileStore(path)
	var all errgroup.Group
	for i := range 50 {
		all.Go(func() error {
			key := fmt.Sprint("k", i)
			for n := range uint64(5) {
				if err := s.Save(key, checkpoint(n)); err != nil {
					return err
				}
				if c, ok, err := redisstream.NewFileStore(path).Load(key); !ok || err != nil || c != checkpoint(n) {
					return fmt.Errorf("%s: %+v, %v, %w, want the %dth", key, c, ok, err, n)
				}
				if c, ok, err := s.Load(key); !ok || err != nil || c != checkpoint(n) {
					return fmt.Errorf("%s by the same store: %+v, %v, %w, want the %dth", key, c, ok, err, n)
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
}
