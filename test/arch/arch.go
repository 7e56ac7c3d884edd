// Package arch keeps the shape of the tree: it reads every file and reports
// what breaks a rule of its tables.
//
//   - A package under pkg imports only those of ours that [Table] names.
//   - A module or package of [Guarded] is imported by its owners alone.
//   - Test support is imported by tests and other test support alone.
//   - Nothing under pkg has an init function or a file beyond [MaxLines].
//   - No file but a test carries a mark of unfinished work.
//
// Tests may import anything of ours: an external test package wires packages
// that do not know each other.
package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Module is the path of our module.
const Module = "example.com/fanout"

// MaxLines bounds a Go file under pkg.
const MaxLines = 800

// marks are words of unfinished work, spelt so that this file has none.
var marks = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b`)

// skipped are the folders that hold nothing of the project's own text.
var skipped = []string{".git", "bin", "data", "node_modules", "testdata", "vendor"}

// Check reads the tree and returns every breach, "file:line: what", in order.
func Check(tree fs.FS) ([]string, error) {
	c := &checker{files: token.NewFileSet()}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(skipped, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		return c.file(name, text)
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	slices.Sort(c.breaches)
	return c.breaches, nil
}

type checker struct {
	files    *token.FileSet
	breaches []string
}

func (c *checker) breach(file string, line int, format string, args ...any) {
	c.breaches = append(c.breaches, fmt.Sprintf("%s:%d: %s", file, line, fmt.Sprintf(format, args...)))
}

func (c *checker) file(name string, text []byte) error {
	isGo, isTest := path.Ext(name) == ".go", strings.HasSuffix(name, "_test.go")
	if !isTest && utf8.Valid(text) {
		for i, line := range bytes.Split(text, []byte("\n")) {
			if mark := marks.Find(line); mark != nil {
				c.breach(name, i+1, "a mark of unfinished work (%s)", mark)
			}
		}
	}
	if !isGo {
		return nil
	}
	parsed, err := parser.ParseFile(c.files, name, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	from := path.Dir(name)
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if why := forbidden(from, imported, isTest); why != "" {
			c.breach(name, c.files.Position(spec.Pos()).Line, "%s", why)
		}
	}
	if !strings.HasPrefix(name, "pkg/") {
		return nil
	}
	if lines := bytes.Count(text, []byte("\n")); lines > MaxLines {
		c.breach(name, lines, "more than %d lines", MaxLines)
	}
	for _, decl := range parsed.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			c.breach(name, c.files.Position(f.Pos()).Line, "an init function: make the value in main and hand it on")
		}
	}
	return nil
}

// forbidden says why a file of the folder from must not import a package, or "".
func forbidden(from, imported string, isTest bool) string {
	if isTest || isSupport(from) {
		return ""
	}
	ours, isOurs := strings.CutPrefix(imported, Module+"/")
	if !isOurs {
		for _, g := range Guarded {
			if within(imported, g.Import) && !slices.ContainsFunc(g.Owners, func(o string) bool { return within(from, "pkg/"+o) }) {
				return fmt.Sprintf("imports %s, which belongs to %s alone", imported, strings.Join(g.Owners, " and "))
			}
		}
		return ""
	}
	if isSupport(ours) {
		return fmt.Sprintf("imports the test support %s outside a test", ours)
	}
	self, isPkg := strings.CutPrefix(from, "pkg/")
	if !isPkg {
		return "" // cmd puts together what pkg offers
	}
	rule, root, ok := ruleOf(self)
	if !ok {
		return fmt.Sprintf("pkg/%s is not in the table: give it a line there", self)
	}
	target := strings.TrimPrefix(ours, "pkg/")
	if target == ours {
		return fmt.Sprintf("pkg/%s imports %s", self, ours)
	}
	if !mayImport(rule, root, target) {
		return fmt.Sprintf("pkg/%s must not import pkg/%s", self, target)
	}
	return ""
}

// isSupport reports whether a folder is there for tests alone.
func isSupport(folder string) bool {
	return within(folder, "test") || slices.ContainsFunc(Support, func(s string) bool { return within(folder, "pkg/"+s) })
}

// within reports whether name is root or something below it.
func within(name, root string) bool {
	return name == root || strings.HasPrefix(name, root+"/")
}
