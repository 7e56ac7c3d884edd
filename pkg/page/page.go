// Package page is the page that people keep open: every group and the market,
// live, in a browser. It is a few files, embedded in the binary, that ask the
// admin server for everything they show; there is no build step.
//
// A browser lets the page load and reach nothing but the server that it came
// from (Content-Security-Policy), and asks at each visit whether it has changed
// (ETag).
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"time"
)

//go:embed files
var files embed.FS

// policy forbids everything that the page does not do. Texts of others are never
// taken for markup: the browser refuses that too.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// types are those of the files; a system's own table may say something else.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Files returns what answers for each path of the page: "/" and the files that
// it is made of, below "/page/".
func Files() map[string]http.Handler {
	all := map[string]http.Handler{}
	err := fs.WalkDir(files, "files", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		at := "/page/" + path.Base(name)
		if path.Base(name) == "index.html" {
			at = "/"
		}
		all[at] = newFile(path.Ext(name), content)
		return nil
	})
	if err != nil {
		panic("page: " + err.Error()) // the files are part of the program
	}
	return all
}

// file is one file of the page.
type file struct {
	content []byte
	tag     string
	kind    string
}

func newFile(ext string, content []byte) *file {
	sum := sha256.Sum256(content)
	kind := types[ext]
	if kind == "" {
		kind = mime.TypeByExtension(ext)
	}
	return &file{content: content, tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, kind: kind}
}

// ServeHTTP answers GET and HEAD, also those that ask whether the file has changed.
func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-cache") // kept, and asked for whether it has changed
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("ETag", f.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}
