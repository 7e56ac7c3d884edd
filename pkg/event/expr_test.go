package event_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"example.com/fanout/pkg/event"
)

const bet = `{"trade_id": 812, "market_id": "m-17", "market-id": "M", "odds": {"ticks": 245, "price": 2.45}, "stake": {"value": 50000},
	"live": true, "vip": null, "in": "word", "big": 9007199254740993, "max": 9223372036854775807, "huge": 1e999, "beyond": 9223372036854775808,
	"legs": [{"price": 300, "on": true}, {"price": 120}, {"on": false}], "tags": ["a", "b\u00e9"], "mixed": [1, "x"], "none": [],
	"digits": "812", "text": "  Grand National\n", "a.b": {"c d": 5}}`

func TestMatch(t *testing.T) {
	t.Parallel()
	ev := mustParse(t, bet)
	for _, tc := range []struct {
		src  string
		want bool
	}{
		// Comparison.
		{`stake.value >= 50000`, true},
		{`stake.value > 50000`, false},
		{`stake.value < 50000 || stake.value <= 50000`, true},
		{`market_id == "m-17"`, true},
		{`market_id != 'm-17'`, false},
		{`market_id < "m-2"`, true},
		{`live`, true},
		{`live == true`, true},
		{`live != true`, false},
		{`!live`, false},
		{`200 <= odds.ticks < 300`, true},
		{`200 <= odds.ticks < 245`, false},
		{`odds["ticks"] == 245`, true},
		{`odds?.ticks == 245`, true},

		// Numbers.
		{`big == 9007199254740993`, true},
		{`big == 9007199254740992`, false},
		{`big > 9007199254740992.0`, true},
		{`big == 9007199254740992.0`, false},
		{`max > 9223372036854775806`, true},
		{`max < 9223372036854775808.0`, true},
		{`beyond > max`, true},
		{`-max - 1 < -max`, true},
		{`odds.price == 2.45`, true},
		{`odds.price > 2`, true},
		{`odds.price < 3`, true},
		{`2 < odds.price`, true},
		{`-odds.price == -2.45`, true},
		{`+odds.price == 2.45`, true},
		{`stake.value * odds.ticks == 12_250_000`, true},
		{`stake.value / 3 > 16666.6`, true},
		{`stake.value % 1000 == 0 and stake.value + 1 == 50001 and stake.value - 1 == 49999`, true},
		{`odds.price * 2 == 4.9`, true},
		{`stake.value - 0 == 50000 and stake.value + 0 == 50000 and stake.value * 0 == 0`, true},

		// Membership.
		{`market_id in ["m-1", "m-17"]`, true},
		{`market_id in ["m-1", "m-2"]`, false},
		{`market_id not in ["m-1", "m-2"]`, true},
		{`market_id in []`, false},
		{`trade_id in [811, 812.0]`, true},
		{`trade_id in [812, "812"]`, true},
		{`digits in [812, "812"]`, true},
		{`live in [true]`, true},
		{`market_id in [absent, "m-17"]`, true},
		{`market_id in [absent, "m-1"]`, false},
		{`not (market_id in [absent, "m-1"])`, false},
		{`odds.ticks in 200..245`, true},
		{`odds.ticks in 246..300`, false},
		{`odds.ticks in absent..300`, false},
		{`"a" in tags`, true},
		{`"bé" in tags`, true},
		{`"c" in tags`, false},
		{`"x" in mixed`, true},
		{`2 in mixed`, false},
		{`"a" in none`, false},
		{`"a" in absent`, false},
		{`not ("a" in absent)`, false},

		// Text.
		{`market_id startsWith "m-"`, true},
		{`market_id endsWith "7"`, true},
		{`market_id contains "x"`, false},
		{`market_id not contains "x"`, true},
		{`text contains "National\n"`, true},
		{`market_id matches "^m-[0-9]+$"`, true},
		{`market_id matches "^[0-9]+$"`, false},
		{`lower(trim(text)) == "grand national"`, true},
		{`upper(market_id) == "M-17"`, true},
		{`len(tags[1]) == 2 and len(tags) == 2 and len(none) == 0`, true},

		// Conversion.
		{`int(digits) == trade_id`, true},
		{`int(odds.price) == 2 and int("-2.9") == -2`, true},
		{`float(digits) == 812 and float(trade_id) == 812.0`, true},
		{`string(trade_id) == digits`, true},
		{`string(live) == "true" and string(odds.price) == "2.45" and string(digits) == "812"`, true},
		{`abs(-3) == 3 and abs(-2.5) == 2.5 and abs(3) == 3`, true},

		// Missing: unknown is not true, and not(unknown) is not either.
		{`absent`, false},
		{`vip`, false},
		{`not vip`, false},
		{`vip == true`, false},
		{`vip != true`, false},
		{`not (vip == true)`, false},
		{`not (vip != true)`, false},
		{`vip == true or stake.value >= 5`, true},
		{`stake.value >= 5 or vip == true`, true},
		{`vip == true or stake.value < 5`, false},
		{`not (vip == true or stake.value < 5)`, false},
		{`not (vip == true or stake.value >= 5)`, false},
		{`vip == true and stake.value >= 5`, false},
		{`not (vip == true and stake.value >= 5)`, false},
		{`not (vip == true and stake.value < 5)`, true},
		{`not (stake.value < 5 and vip == true)`, true},
		{`not not (vip == true)`, false},
		{`not (not (vip == true) and live)`, false},
		{`absent.deeper[3].still > 1`, false},
		{`odds.ticks.deeper > 1`, false},
		{`legs[7].price > 1`, false},
		{`legs.price > 1`, false},
		{`absent + 1 > 0`, false},
		{`1 + absent > 0`, false},
		{`-absent < 0`, false},
		{`lower(absent) == "x"`, false},
		{`absent contains "x"`, false},
		{`"x" contains absent`, false},
		{`absent matches "x"`, false},
		{`absent in ["x"]`, false},
		{`absent not in ["x"]`, false},
		{`absent ? true : true`, false},

		// Presence.
		{`vip == nil`, true},
		{`vip != nil`, false},
		{`nil == absent`, true},
		{`stake.value != nil`, true},
		{`(absent + 1) == nil`, true},
		{`has(stake.value)`, true},
		{`has("stake.value")`, true},
		{`has("legs[1].price")`, true},
		{`has("[\"a.b\"][\"c d\"]")`, true},
		{`has(vip)`, false},
		{`not has(vip)`, true},
		{`has("absent.deeper")`, false},
		{`vip ?? false`, false},
		{`vip ?? true`, true},
		{`not (vip ?? false)`, true},
		{`(stake.value ?? 0) >= 50000`, true},
		{`(absent ?? stake.value) >= 50000`, true},
		{`(absent ?? vip ?? 1) == 1`, true},
		{`(absent ?? vip) == 1`, false},
		{`((absent + 1) ?? 7) == 7`, true},
		{`vip == nil ? stake.value > 1 : vip`, true},

		// Choice.
		{`live ? stake.value > 1 : absent > 1`, true},
		{`live ? absent > 1 : stake.value > 1`, false},
		{`(stake.value > 1 ? "big" : "small") == "big"`, true},
		{`if live { true } else { false }`, true},

		// Names.
		{`$env["market-id"] == "M"`, true},
		{`$env["in"] == "word"`, true},
		{`$env.trade_id == 812`, true},
		{`$env["a.b"]["c d"] == 5`, true},

		// Arrays.
		{`legs[0].price == 300`, true},
		{`any(legs, .price > 200)`, true},
		{`any(legs, .price > 300)`, false},
		{`not any(legs, .price > 300)`, false},
		{`all(legs, .price > 100)`, false},
		{`all(legs, .price > 200)`, false},
		{`not all(legs, .price > 200)`, true},
		{`none(legs, .price > 200)`, false},
		{`none(legs, .price > 300)`, false},
		{`none(legs, (.price ?? 0) > 300)`, true},
		{`one(legs, .price > 200)`, true},
		{`one(legs, .price > 100)`, false},
		{`count(legs, .price > 100) == 2`, true},
		{`count(legs, .price > odds.ticks) == 1`, true},
		{`any(legs, #.on)`, true},
		{`any(legs, {.on == false})`, true},
		{`any(tags, # == "a")`, true},
		{`legs | any(.price > 200)`, true},
		{`any(legs, any(tags, # == "a") and .price == 120)`, true},
		{`any(none, true)`, false},
		{`all(none, false)`, true},
		{`any(absent, true)`, false},
		{`not any(absent, true)`, false},
		{`all(absent, true)`, false},
		{`len(absent) == 0`, false},
	} {
		x, err := event.Compile(tc.src)
		if err != nil {
			t.Errorf("%s: %v", tc.src, err)
			continue
		}
		if x.String() != tc.src {
			t.Errorf("%s is written %s", tc.src, x)
		}
		if got, err := x.Match(ev); err != nil || got != tc.want {
			t.Errorf("%s is %v, %v, want %v", tc.src, got, err, tc.want)
		}
	}
}

func TestMatchErrors(t *testing.T) {
	t.Parallel()
	ev := mustParse(t, bet)
	for _, tc := range []struct{ src, want string }{
		{`market_id > 5`, "column 11: > cannot compare a string with a number"},
		{`market_id == 5`, "column 11: == cannot compare a string with a number"},
		{`market_id != 5`, "cannot compare a string with a number"},
		{`trade_id == "812"`, "cannot compare a number with a string"},
		{`stake > 5`, "cannot compare an object with a number"},
		{`legs == legs`, "cannot compare an array with an array"},
		{`live > live`, "cannot compare true or false with true or false"},
		{`live == 1`, "cannot compare true or false with a number"},
		{`market_id`, "it is a string, not true or false"},
		{`market_id and live`, "column 1: and needs true or false, this is a string"},
		{`absent or market_id`, "column 11: or needs true or false, this is a string"},
		{`absent and market_id`, "and needs true or false, this is a string"},
		{`not market_id`, "column 5: not needs true or false, this is a string"},
		{`market_id + 1 > 2`, "+ needs a number, this is a string"},
		{`-market_id > 2`, "- needs a number, this is a string"},
		{`trade_id contains "8"`, "contains needs a string, this is a number"},
		{`trade_id matches "8"`, "matches needs a string, this is a number"},
		{`trade_id in ["811", "812"]`, "in looks for a number and finds only a string"},
		{`trade_id in tags`, "in looks for a number and finds only a string"},
		{`1 in stake`, "in needs an array, this is an object"},
		{`stake in [1]`, "in needs true or false or a number or a string, this is an object"},
		{`market_id in 1..3`, "a range needs a number, this is a string"},
		{`live ? market_id : false`, "it is a string"},
		{`trade_id ? true : false`, "a condition needs true or false, this is a number"},
		{`any(stake, true)`, "any needs an array, this is an object"},
		{`any(legs, .price)`, "any needs true or false, this is a number"},
		{`len(trade_id) == 1`, "len needs a string or an array, this is a number"},
		{`int(market_id) == 1`, "a string of 4 bytes is not a number"},
		{`int(1e300) == 1`, "the result does not fit in 64 bits"},
		{`max + 1 > 0`, "column 5: the result does not fit in 64 bits"},
		{`max * 2 > 0`, "does not fit in 64 bits"},
		{`-max - 2 < 0`, "does not fit in 64 bits"},
		{`-(-max - 1) > 0`, "does not fit in 64 bits"},
		{`abs(-max - 1) > 0`, "does not fit in 64 bits"},
		{`(-max - 1) * -1 > 0`, "does not fit in 64 bits"},
		{`1e308 * 10 > 0`, "does not fit in a float"},
		{`stake.value / 0 > 1`, "division by zero"},
		{`stake.value / 0.0 > 1`, "division by zero"},
		{`stake.value % 0 == 1`, "division by zero"},
		{`stake.value % 2.5 == 1`, "% needs integers"},
		{`huge > 1`, "does not fit in a float"},
		{`has(huge)`, "does not fit in a float"},
	} {
		x, err := event.Compile(tc.src)
		if err != nil {
			t.Errorf("%s: %v", tc.src, err)
			continue
		}
		got, err := x.Match(ev)
		if err == nil || !strings.HasPrefix(err.Error(), "evaluate expression: ") || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s is %v, %v, want the error %s", tc.src, got, err, tc.want)
		}
		if got {
			t.Errorf("%s matches beside an error", tc.src)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		src    string
		column int
		want   string
	}{
		{``, 1, "unexpected token EOF"},
		{`stake.value >=`, 14, "unexpected token EOF"},
		{`stake.value >= 5)`, 17, "unexpected token"},
		{`é == "a`, 8, "literal not terminated"},
		{`stake.value + 1`, 13, "the expression is a number, it must be true or false"},
		{`"x"`, 1, "the expression is a string"},
		{`live ? 1 : 2`, 12, "the expression is a number"},
		{`"a" > 5`, 5, "> cannot compare a string with a number"},
		{`stake.value + 1 == "x"`, 17, "== cannot compare a number with a string"},
		{`true < false`, 6, "< cannot compare"},
		{`live > false`, 6, "> cannot compare any value with true or false"},
		{`not 5`, 5, "not needs true or false, this is a number"},
		{`live and 5`, 10, "and needs true or false, this is a number"},
		{`x + "a" == 1`, 5, "+ needs a number, this is a string"},
		{`nil`, 1, "nil can only be compared"},
		{`nil == nil`, 5, "nil is compared with nil"},
		{`x > nil`, 5, "nil can only be compared"},
		{`(x ?? nil) == 1`, 7, "nil can only be compared"},
		{`["a"] == x`, 1, "a list can only stand behind in"},
		{`{"a": 1} == x`, 1, "not supported"},
		{`let y = 1; y > 0`, 5, "not supported"},
		{`1; true`, 1, "not supported"},
		{`b"x" == y`, 1, "not supported"},
		{`x[1:2] == y`, 2, "not supported"},
		{`x ** 2 > 1`, 3, "the operator ** is not supported"},
		{`now() > x`, 1, `there is no function "now"`},
		{`nosuch(x)`, 1, `there is no function "nosuch"`},
		{`x.lower() == "a"`, 3, "no functions of their own"},
		{`lower(x).y == 1`, 1, "only paths have members"},
		{`lower() == "a"`, 1, "lower takes one argument"},
		{`lower(x, y) == "a"`, 1, "lower takes one argument"},
		{`lower(5) == "a"`, 7, "lower needs a string, this is a number"},
		{`x[y] == 1`, 3, "a constant name or an index from 0"},
		{`x[-1] == 1`, 3, "a constant name or an index from 0"},
		{`$env`, 1, "$env needs a member"},
		{`has()`, 1, "has takes one path"},
		{`has("a..b")`, 5, "a member name is expected"},
		{`has(5)`, 5, "only paths have members"},
		{`x matches y`, 11, "a constant regular expression"},
		{`x matches "("`, 11, "missing closing )"},
		{`any(x, 5)`, 8, "any needs true or false"},
		{`any(5, true)`, 5, "any needs an array, this is a number"},
		{`count(x) > 1`, 1, "count takes an array and a condition"},
		{`any(x, #index > 1)`, 8, "#index is not supported"},
		{`filter(x, true)`, 1, `there is no function "filter"`},
		{`x == 99999999999999999999`, 0, "invalid integer literal"},
		{"x == \"\xff\"", 1, "not UTF-8"},
		{strings.Repeat("(", 8<<10) + "x", 1, "longer than 8192 bytes"},
	} {
		_, err := event.Compile(tc.src)
		var bad *event.SyntaxError
		if !errors.As(err, &bad) || tc.column != 0 && bad.Column != tc.column || !strings.Contains(bad.Message, tc.want) {
			t.Errorf("%.40s: error is %v, want column %d: %s", tc.src, err, tc.column, tc.want)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	x, err := event.Compile(`odds.ticks > 2 and market_id in ["a"] and odds.ticks < 9 and has("legs[0].price") and $env["a.b"].c == 1 and any(legs, .price > limit)`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"odds.ticks", "market_id", "legs[0].price", `["a.b"].c`, "legs", "limit"}
	if got := x.Paths(); !slices.Equal(got, want) {
		t.Errorf("paths are %q, want %q", got, want)
	}
	for _, p := range want {
		mustPath(t, p)
	}
}

func TestMatchFields(t *testing.T) {
	t.Parallel()
	ev, err := event.Decoder{Format: event.Fields}.Decode(entry("market_id", "m-1", "stake", "2500"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := event.Compile(`int(stake) > 2000 and market_id == "m-1"`)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := x.Match(ev); !ok || err != nil {
		t.Errorf("match is %v, %v", ok, err)
	}
}

// One Expr for events after each other remembers nothing of the one before.
func TestMatchForgets(t *testing.T) {
	t.Parallel()
	x, err := event.Compile(`stake.value >= 50000 and any(legs, .price > stake.value)`)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		for doc, want := range map[string]bool{
			`{"stake":{"value":50000},"legs":[{"price":50001}]}`: true,
			`{"stake":{"value":49999},"legs":[{"price":50001}]}`: false,
			`{"stake":{"value":50000}}`:                          false,
			`{"legs":[{"price":50001}]}`:                         false,
		} {
			if got, err := x.Match(mustParse(t, doc)); err != nil || got != want {
				t.Errorf("%s is %v, %v", doc, got, err)
			}
		}
		if _, err := x.Match(mustParse(t, `{"stake":{"value":"x"}}`)); err == nil {
			t.Error("a string was compared")
		}
	}
}

// Work over arrays within arrays is bounded, whatever the event holds.
func TestMatchIsBounded(t *testing.T) {
	t.Parallel()
	ev := mustParse(t, `{"l":[`+strings.Repeat("0,", 20_000)+`0]}`)
	x, err := event.Compile(`any(l, any(l, any(l, # == 1)))`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Match(ev); err == nil || !strings.Contains(err.Error(), "too many elements") {
		t.Errorf("error is %v", err)
	}
	once, err := event.Compile(`any(l, # == 1)`)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := once.Match(ev); ok || err != nil {
		t.Errorf("match is %v, %v", ok, err)
	}
}

func TestMatchConcurrently(t *testing.T) {
	t.Parallel()
	x, err := event.Compile(`any(legs, .price == n) and id == n`)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			ev, err := event.Parse(fmt.Appendf(nil, `{"id":%d,"n":%d,"legs":[{"price":100},{"price":%d}]}`, n, n, n))
			if err != nil {
				t.Error(err)
				return
			}
			for range 500 {
				if ok, err := x.Match(ev); !ok || err != nil {
					t.Errorf("match is %v, %v", ok, err)
					return
				}
			}
		})
	}
	group.Wait()
}

func FuzzMatch(f *testing.F) {
	for _, src := range []string{
		`stake.value >= 50000 and not (vip == true)`, `market_id in ["m-1", 2] or odds.ticks in 1..3`, `any(legs, all(.x, # > 1)) ?? false`,
		`(a + b * c / d % e - -1) != 0.5`, `a matches "^x" ? b contains c : d startsWith "e"`, `has("a[0].b") and len(lower(x)) == int(y)`,
		`$env["in"] == nil`, `count(tags, # == "a") > one(legs, .on)`, `if a { b } else { c }`, `legs | none(.price > 1)`, `let a = 1; a`, `a?.b[0]?.c`,
	} {
		f.Add(src, []byte(bet))
	}
	f.Fuzz(func(t *testing.T, src string, doc []byte) {
		x, err := event.Compile(src)
		if err != nil {
			var bad *event.SyntaxError
			if !errors.As(err, &bad) || bad.Column < 1 {
				t.Errorf("%q: error says no column: %v", src, err)
			}
			return
		}
		for _, p := range x.Paths() {
			if _, err := event.ParsePath(p); err != nil && len(p) <= 1024 {
				t.Errorf("%q reads the path %q: %v", src, p, err)
			}
		}
		ev, err := event.Parse(doc)
		if err != nil {
			ev = new(event.Event)
		}
		first, firstErr := x.Match(ev)
		again, againErr := x.Match(ev)
		if first != again || (firstErr == nil) != (againErr == nil) || first && firstErr != nil {
			t.Errorf("%q is %v, %v, then %v, %v", src, first, firstErr, again, againErr)
		}
	})
}
