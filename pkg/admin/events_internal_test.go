package admin

import (
	"bufio"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/fanout/pkg/telemetry"
)

// A client that reads is followed for longer than an answer may take.
func TestFollowOutlivesWriteTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 200 * time.Millisecond
	feed := &telemetry.Feed{}
	server := httptest.NewUnstartedServer(New(Config{Feed: feed}).handler)
	server.Config.WriteTimeout = timeout
	server.Start()
	t.Cleanup(server.Close)
	began := time.Now()
	resp, err := server.Client().Get(server.URL + "/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for n := 0; time.Since(began) < 3*timeout; n++ {
		want := fmt.Sprintf("event %d.", n)
		feed.Say("", telemetry.EventReload, "%s", want)
		for !strings.Contains(lines.Text(), want) {
			if !lines.Scan() {
				t.Fatalf("the stream ends after %v: %v", time.Since(began), lines.Err())
			}
		}
	}
}
