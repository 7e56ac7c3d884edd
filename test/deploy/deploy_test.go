// Package deploy checks the examples of scripts/deploy: that they are well
// formed, agree with the program and with each other, and that each alert fires
// when it should.
package deploy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"gopkg.in/yaml.v3"
)

const folder = "../../scripts/deploy"

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// documents reads all documents of a YAML file into v's, strictly.
func documents[V any](t *testing.T, name string, strict bool) []V {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader([]byte(read(t, name))))
	d.KnownFields(strict)
	var all []V
	for {
		var v V
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, v)
	}
}
