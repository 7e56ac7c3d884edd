package page_test

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"example.com/fanout/pkg/page"
)

func get(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	file := page.Files()[path]
	if file == nil {
		t.Fatalf("there is no %s", path)
	}
	req := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	file.ServeHTTP(rec, req)
	return rec
}

func text(t *testing.T, path string) string {
	t.Helper()
	body, err := io.ReadAll(get(t, path).Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// Every file has its type, a policy, and a tag by which a browser asks whether it
// has changed.
func TestHeaders(t *testing.T) {
	t.Parallel()
	types := map[string]string{"/": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
	tags := map[string]string{}
	for path := range page.Files() {
		r := get(t, path)
		if r.Code != http.StatusOK || r.Body.Len() == 0 {
			t.Errorf("%s: %d, %d bytes", path, r.Code, r.Body.Len())
		}
		kind := types[path]
		if dot := strings.LastIndexByte(path, '.'); dot > 0 {
			kind = types[path[dot:]]
		}
		h := r.Header()
		if kind == "" || !strings.HasPrefix(h.Get("Content-Type"), kind) {
			t.Errorf("%s is of type %q, want %q", path, h.Get("Content-Type"), kind)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';", "X-Content-Type-Options": "nosniff",
			"Cache-Control": "no-cache", "Referrer-Policy": "no-referrer",
		} {
			if !strings.HasPrefix(h.Get(name), want) {
				t.Errorf("%s: %s is %q, want %q", path, name, h.Get(name), want)
			}
		}
		for _, never := range []string{"unsafe", "http:", "https:", "*"} {
			if strings.Contains(h.Get("Content-Security-Policy"), never) {
				t.Errorf("%s: the policy allows %s", path, never)
			}
		}
		tag := h.Get("ETag")
		if other, taken := tags[tag]; taken || len(tag) < 10 {
			t.Errorf("%s has the tag %s, as %s", path, tag, other)
		}
		tags[tag] = path
		if again := get(t, path, "If-None-Match", tag); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s, asked for again: %d with %d bytes", path, again.Code, again.Body.Len())
		}
		if again := get(t, path, "If-None-Match", `"other"`); again.Code != http.StatusOK {
			t.Errorf("%s, changed: %d", path, again.Code)
		}
	}
}

var (
	imports = regexp.MustCompile(`(?m)^import .* from "\./([^"]+)";$`)
	links   = regexp.MustCompile(`(?:href|src)="(/page/[^"]+)"`)
)

// What a file names is there, nothing is there that no file names, and nothing
// comes from elsewhere.
func TestFilesReferToEachOther(t *testing.T) {
	t.Parallel()
	files := page.Files()
	named := map[string]bool{"/": true}
	for path := range files {
		content := text(t, path)
		for _, m := range links.FindAllStringSubmatch(content, -1) {
			named[m[1]] = true
		}
		if strings.HasSuffix(path, ".js") {
			for _, m := range imports.FindAllStringSubmatch(content, -1) {
				named["/page/"+m[1]] = true
			}
		}
		if outside := regexp.MustCompile(`https?://[a-zA-Z0-9.]+`).FindAllString(content, -1); len(outside) > 0 {
			for _, o := range outside {
				if o != "http://www.w3.org" { // the name of SVG
					t.Errorf("%s names %s", path, o)
				}
			}
		}
		for _, never := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", " style=\""} {
			if strings.Contains(content, never) {
				t.Errorf("%s uses %s", path, never)
			}
		}
		if n := strings.Count(content, "\n"); n > 400 {
			t.Errorf("%s has %d lines", path, n)
		}
	}
	for path := range named {
		if files[path] == nil {
			t.Errorf("%s is named and not there", path)
		}
	}
	for path := range files {
		if !named[path] {
			t.Errorf("nothing names %s", path)
		}
	}
}

var colour = regexp.MustCompile(`--([a-z-]+):\s*#([0-9a-f]{6});`)

// themes are the colours of the light theme and of the dark one.
func themes(t *testing.T) map[string]map[string]string {
	t.Helper()
	light, dark, ok := strings.Cut(text(t, "/page/base.css"), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("there is no dark theme")
	}
	all := map[string]map[string]string{}
	for name, css := range map[string]string{"light": light, "dark": dark} {
		all[name] = map[string]string{}
		for _, m := range colour.FindAllStringSubmatch(css, -1) {
			all[name][m[1]] = m[2]
		}
	}
	return all
}

// luminance is that of WCAG 2.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	part := func(i int) float64 {
		n, err := strconv.ParseUint(hex[i:i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(0) + 0.7152*part(2) + 0.0722*part(4)
}

// Texts have a contrast of 4.5 to what they stand on, and lines that mean
// something 3, in both themes (WCAG 2, AA).
func TestContrast(t *testing.T) {
	t.Parallel()
	pairs := []struct {
		ink     string
		grounds []string
		least   float64
	}{
		{"ink", []string{"ground", "surface", "raised", "tint", "bad-tint", "warn-tint"}, 4.5},
		{"quiet", []string{"ground", "surface", "raised", "tint"}, 4.5},
		{"accent", []string{"ground", "surface", "tint", "raised"}, 4.5},
		{"on-accent", []string{"accent"}, 4.5},
		{"good", []string{"ground", "surface", "good-tint"}, 4.5},
		{"warn", []string{"ground", "surface", "warn-tint"}, 4.5},
		{"bad", []string{"ground", "surface", "raised", "bad-tint"}, 4.5},
		{"on-bad", []string{"bad"}, 4.5},
		{"ground", []string{"ink"}, 4.5},            // what is said for a moment
		{"edge", []string{"ground", "surface"}, 3},  // of buttons and fields
		{"spark", []string{"ground", "surface"}, 3}, // lines of trends
	}
	for theme, colours := range themes(t) {
		for _, p := range pairs {
			for _, ground := range p.grounds {
				if colours[p.ink] == "" || colours[ground] == "" {
					t.Fatalf("%s lacks %s or %s", theme, p.ink, ground)
				}
				a, b := luminance(t, colours[p.ink]), luminance(t, colours[ground])
				if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < p.least {
					t.Errorf("%s: %s on %s has %.2f, want %.1f", theme, p.ink, ground, ratio, p.least)
				}
			}
		}
	}
}

// Every colour has a name, so that the test of contrasts sees it.
func TestColoursAreNamed(t *testing.T) {
	t.Parallel()
	themes := themes(t)
	for name := range themes["light"] {
		if themes["dark"][name] == "" {
			t.Errorf("the dark theme lacks %s", name)
		}
	}
	for path := range page.Files() {
		if !strings.HasSuffix(path, ".css") {
			continue
		}
		content := text(t, path)
		for _, m := range regexp.MustCompile(`var\(--([a-z-]+)\)`).FindAllStringSubmatch(content, -1) {
			if name := m[1]; themes["light"][name] == "" && name != "mono" && name != "scrim" {
				t.Errorf("%s uses %s, which is no colour", path, name)
			}
		}
		for line := range strings.Lines(content) {
			if strings.Contains(line, "#") && !colour.MatchString(line) && regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b`).MatchString(line) {
				t.Errorf("%s: a colour without a name: %s", path, line)
			}
		}
	}
}
