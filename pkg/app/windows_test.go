package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/app"
	"example.com/fanout/test/redistest"
)

// served starts the rig with an admin server, and returns its URL.
func (r *rig) served() string {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.start(func(c *app.Config) { c.Admin = l })
	return "http://" + l.Addr().String()
}

// get asks for JSON; what is no JSON object fails the test.
func get(t *testing.T, url string) (status int, answer map[string]any) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || json.Unmarshal(body, &answer) != nil {
		t.Fatalf("%s: %v %s", url, err, body)
	}
	return resp.StatusCode, answer
}

const (
	summed = "  sums: {handler: {window: {key: k, size: 1m, measures: {n: count()}, dsn: \"sqlite:%s\", table: w}}}\n"
	taped  = "  tape: {handler: {live: {}}}\n"
)

func TestWindows(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	r := newRig(t)
	store := filepath.Join(r.dir, "w.db")
	url := r.manifest(redis.URL(), fmt.Sprintf(summed, store)+taped).served()
	r.runs("sums tape")
	pipe := redis.Client().Pipeline()
	for _, k := range []string{`"5"`, `5`, `9007199254740993`, `9007199254740992`, `-9007199254740993`} {
		pipe.Do(t.Context(), "XADD", "events_stream", "*", "event", `{"k":`+k+`}`)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = `-9007199254740993 string, 5 float64, 5 string, 9.007199254740992e+15 float64, 9007199254740993 string`
	keysOf := func(path, list string) string {
		_, answer := get(t, url+path)
		all := []string{}
		for _, k := range answer[list].([]any) {
			key := k.(map[string]any)["key"]
			all = append(all, fmt.Sprintf("%v %T", key, key))
		}
		return strings.Join(slices.Sorted(slices.Values(all)), ", ")
	}
	r.eventually("windows of all keys", func() bool { return keysOf("/v1/groups/sums/windows", "windows") == want })
	r.eventually("a ranking of all keys", func() bool { return keysOf("/v1/groups/sums/windows/keys", "keys") == want }) // one of before is kept for a while

	for _, test := range []struct {
		path   string
		status int
		hint   string
	}{
		{"/v1/groups/sum/windows", 404, "sums"},
		{"/v1/groups/tape/windows", 409, "whose handler is window"},
		{"/v1/groups/tape/windows/keys", 409, "whose handler is window"},
		{"/v1/groups/sums/windows?after=x", 400, "after="},
		{"/v1/groups/sums/windows/keys?by=x", 400, "by="},
		{"/live/tap", 404, "tape"},
		{"/live/sums", 409, "handler: live"},
	} {
		status, answer := get(t, url+test.path)
		if hint, _ := answer["hint"].(string); status != test.status || !strings.Contains(hint, test.hint) {
			t.Errorf("%s: %d %v", test.path, status, answer)
		}
	}

	if err := os.Rename(store, store+".away"); err != nil {
		t.Fatal(err)
	}
	r.eventually("word of the store that is not there", func() bool {
		status, answer := get(t, url+"/v1/groups/sums/windows/keys")
		return status == 503 && strings.Contains(fmt.Sprint(answer["error"]), "the store is not there")
	})
	if status, answer := get(t, url+"/v1/groups/sums/windows"); status != 503 || !strings.Contains(fmt.Sprint(answer["hint"]), "put it back") {
		t.Errorf("without the store: %d %v", status, answer)
	}
}

// Before a group has run there are no windows, and that is no fault.
func TestWindowsBeforeTheStart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	url := r.manifest("redis://"+closedPort(t), fmt.Sprintf(summed, filepath.Join(r.dir, "w.db"))).served()
	for _, path := range []string{"windows", "windows/keys"} {
		if status, answer := get(t, url+"/v1/groups/sums/"+path); status != 200 || answer["table"] != "w" {
			t.Errorf("%s: %d %v", path, status, answer)
		}
	}
}

// What a live group has kept goes with it: whoever follows it is told, and a group
// of its name begins anew.
func TestLiveLeaves(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	r := newRig(t)
	url := r.manifest(redis.URL(), groups("a")+taped).served()
	r.runs("a tape")
	add(t, redis, 3)
	follow := func() (next func(part string) string) {
		resp, err := http.Get(url + "/live/tape?recent=10")
		if err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(20*time.Second, func() { resp.Body.Close() })
		t.Cleanup(func() { timer.Stop(); resp.Body.Close() })
		in := bufio.NewScanner(resp.Body)
		return func(part string) string {
			t.Helper()
			for in.Scan() {
				if strings.Contains(in.Text(), part) {
					return in.Text()
				}
			}
			t.Fatalf("the stream ends without %q: %v", part, in.Err())
			return ""
		}
	}
	next := follow()
	for range 3 {
		next(`data: {"a":1}`)
	}
	reload := func(text string) {
		t.Helper()
		if _, err := r.manifest(redis.URL(), text).app.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	reload(groups("a"))
	next("event: gone")
	reload(groups("a") + taped)
	r.runs("a tape")
	next = follow()
	next(": events follow")
	if _, err := redis.Client().Do(t.Context(), "XADD", "events_stream", "*", "event", `{"a":2}`).Result(); err != nil {
		t.Fatal(err)
	}
	if first := next("data: "); first != `data: {"a":2}` {
		t.Errorf("the first event is %s, of before", first)
	}
}
