package redisstream

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/fanout/pkg/stream"
	"example.com/fanout/test/redistest"
)

// FuzzLuaID compares what the scripts make of IDs with [stream.ID], on a real
// server: numbers of Lua are floats, and its IDs are texts.
func FuzzLuaID(f *testing.F) {
	const most = math.MaxUint64
	for _, seed := range [][4]uint64{
		{0, 0, 0, 0}, {1, 0, 0, most}, {9, 9, 10, 1}, {most, most, most, most - 1}, {1 << 53, 0, 1<<53 + 1, 0},
		{1000, 0, 999, most}, {5, 10, 5, 9}, {5, 100, 5, 20}, {10, 0, 100, 0}, {most - 1, 0, 0, most},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	rdb := redistest.Start(f).Client()
	lib, err := luaFiles.ReadFile("lua/lib.lua")
	if err != nil {
		f.Fatal(err)
	}
	script := redis.NewScript(string(lib) + "return {less(ARGV[1], ARGV[2]) and 1 or 0, prev(ARGV[1]), following(ARGV[1])}")
	f.Fuzz(func(t *testing.T, aMs, aSeq, bMs, bSeq uint64) {
		a, b := stream.ID{Ms: aMs, Seq: aSeq}, stream.ID{Ms: bMs, Seq: bSeq}
		got, err := script.Run(t.Context(), rdb, nil, a.String(), b.String()).Slice()
		if err != nil {
			t.Fatal(err)
		}
		less := int64(0)
		if a.Before(b) {
			less = 1
		}
		if want := []any{less, a.Prev().String(), a.Next().String()}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("less(%s, %s), prev(%[1]s) and following(%[1]s) are %[3]v, want %[4]v", a, b, got, want)
		}
	})
}

// XPENDING with IDLE scans a whole pending list while Redis serves nobody else:
// what is idle is found by claiming, in pages.
func TestPendingListsAreNotPolledByIdle(t *testing.T) {
	t.Parallel()
	files, err := luaFiles.ReadDir("lua")
	if err != nil {
		t.Fatal(err)
	}
	polls := regexp.MustCompile(`(?i)'XPENDING'[^)]*'IDLE'`)
	calls := 0
	for _, f := range files {
		text, err := luaFiles.ReadFile("lua/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		calls += strings.Count(string(text), "'XPENDING'")
		if found := polls.Find(text); found != nil {
			t.Errorf("%s: %s", f.Name(), found)
		}
	}
	if calls == 0 {
		t.Error("no script lists what is pending: this test looks in the wrong place")
	}
}
