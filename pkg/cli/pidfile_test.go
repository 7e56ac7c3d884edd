package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestPIDFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fanout.pid")
	want := strconv.Itoa(os.Getpid()) + "\n"
	// A file that a crash has left behind, with a longer number.
	if err := os.WriteFile(path, []byte("99999999999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := writePID(path)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != want {
		t.Errorf("the file holds %q, want %q", text, want)
	}
	_, err = writePID(path)
	if err == nil {
		t.Fatal("a second process takes the file over")
	}
	contains(t, err.Error(), fmt.Sprintf("%s belongs to process %d, which runs", path, os.Getpid()))
	if text, _ := os.ReadFile(path); string(text) != want {
		t.Errorf("the refused one has written %q", text)
	}
	first.remove()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	second, err := writePID(path)
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	second.remove()
}

// What another process has put at the path is not ours to remove.
func TestPIDFileOfAnother(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fanout.pid")
	ours, err := writePID(path)
	if err != nil {
		t.Fatal(err)
	}
	other := path + ".new"
	if err := os.WriteFile(other, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	ours.remove()
	if text, err := os.ReadFile(path); string(text) != "1\n" {
		t.Errorf("the other's file holds %q, %v", text, err)
	}
}

func TestPIDFileFails(t *testing.T) {
	t.Parallel()
	_, err := writePID(filepath.Join(t.TempDir(), "missing", "fanout.pid"))
	if err == nil {
		t.Fatal("no error")
	}
	contains(t, err.Error(), "write pid file: ", "no such file or directory")
}
