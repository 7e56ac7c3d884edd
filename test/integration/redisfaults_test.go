package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/fanout/test/redistest"
)

// What Redis refuses is named in the status with what mends it, is tried again
// at a pace, makes no noise in the log, and is over by itself.
func TestRedisRefuses(t *testing.T) {
	t.Parallel()
	// A replica of nothing: its own data stays.
	replica := func(t *testing.T, r *redistest.Server) { r.Do(t, "REPLICAOF", "127.0.0.1", "1") }
	primary := func(t *testing.T, r *redistest.Server) { r.Do(t, "REPLICAOF", "NO", "ONE") }
	tests := map[string]struct {
		options []redistest.Option
		atStart bool // before the process is there
		begin   func(*testing.T, *redistest.Server)
		end     func(*testing.T, *redistest.Server)
		want    []string
	}{
		"WRONGTYPE": {
			begin: func(t *testing.T, r *redistest.Server) {
				r.Do(t, "DEL", eventsStream)
				r.Do(t, "SET", eventsStream, "text")
			},
			end:  func(t *testing.T, r *redistest.Server) { r.Do(t, "DEL", eventsStream) },
			want: []string{"WRONGTYPE", "rename the stream or move the key away"},
		},
		"NOPERM to read": {
			begin: func(t *testing.T, r *redistest.Server) { r.Do(t, "ACL", "SETUSER", "default", "-xreadgroup") },
			end:   func(t *testing.T, r *redistest.Server) { r.Do(t, "ACL", "SETUSER", "default", "+@all") },
			want:  []string{"NOPERM", "ACL SETUSER"},
		},
		"NOPERM to acknowledge": {
			atStart: true,
			begin:   func(t *testing.T, r *redistest.Server) { r.Do(t, "ACL", "SETUSER", "default", "-xack") },
			end:     func(t *testing.T, r *redistest.Server) { r.Do(t, "ACL", "SETUSER", "default", "+@all") },
			want:    []string{"lacks a command or key that a script of fanout uses", "ACL SETUSER"},
		},
		"READONLY": {
			begin: replica, end: primary,
			want: []string{"READONLY", "let redis.url name the primary"},
		},
		"MASTERDOWN": {
			begin: func(t *testing.T, r *redistest.Server) {
				r.Do(t, "CONFIG", "SET", "replica-serve-stale-data", "no")
				replica(t, r)
			},
			end:  primary,
			want: []string{"MASTERDOWN", "name the primary in redis.url"},
		},
		"LOADING": {
			options: []redistest.Option{redistest.WithArgs("--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024")},
			begin: func(t *testing.T, r *redistest.Server) {
				for i := range 8 {
					pipe := r.Client().Pipeline()
					for j := range 1000 {
						pipe.Do(t.Context(), "SET", fmt.Sprintf("filler:%d:%d", i, j), "text that takes up some room")
					}
					if _, err := pipe.Exec(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				r.Do(t, "CONFIG", "SET", "key-load-delay", "1000") // microseconds a key
				reloading := r.Client().Conn()
				t.Cleanup(func() { _ = reloading.Close() })
				go reloading.Do(t.Context(), "DEBUG", "RELOAD") // answers when all is loaded
			},
			end:  func(*testing.T, *redistest.Server) {},
			want: []string{"LOADING", "comes back by itself"},
		},
		"OOM": {
			atStart: true,
			begin: func(t *testing.T, r *redistest.Server) {
				r.Do(t, "CONFIG", "SET", "maxmemory-policy", "noeviction")
				r.Do(t, "CONFIG", "SET", "maxmemory", "1")
			},
			end:  func(t *testing.T, r *redistest.Server) { r.Do(t, "CONFIG", "SET", "maxmemory", "0") },
			want: []string{"OOM", "raise maxmemory or trim streams"},
		},
		"CLUSTERDOWN": {
			options: []redistest.Option{redistest.WithArgs("--cluster-enabled", "yes")},
			atStart: true,
			begin:   func(*testing.T, *redistest.Server) {},
			end:     func(t *testing.T, r *redistest.Server) { r.Do(t, "CLUSTER", "ADDSLOTSRANGE", "0", "16383") },
			want:    []string{"CLUSTERDOWN", "see CLUSTER INFO"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, test.options...).manifest(faultyGroup("probe"))
			var p *process
			if test.atStart {
				test.begin(t, s.redis)
				p = s.run()
			} else {
				p = s.run().ready()
				s.publish(events(trades(25, 50))...)
				s.settled(10*time.Second, "probe")
				test.begin(t, s.redis)
			}
			eventually(t, 10*time.Second, "name the fault", func() error {
				g, err := p.groupStatus("probe")
				reasons := strings.Join(g.NotReady(), "\n")
				for _, want := range test.want {
					if err == nil && !strings.Contains(reasons, want) {
						err = fmt.Errorf("reasons %q, want %q", reasons, want)
					}
				}
				return err
			})
			before, mark := s.errorReplies(), p.log.len()
			<-time.After(3 * time.Second) // the pace itself is what is tested
			// Two consumers, one of replays, the watch, the sweep and the lease.
			if n := s.errorReplies() - before; n > 90 {
				t.Errorf("%d errors of Redis in 3 s: a hot loop", n)
			}
			if n := p.log.len() - mark; n > 20 {
				t.Errorf("%d lines of log in 3 s:\n%s", n, p.log.tail(n))
			}
			p.alive()
			test.end(t, s.redis)
			eventually(t, 30*time.Second, "go on by itself", func() error {
				g, err := p.groupStatus("probe")
				for _, reason := range g.NotReady() {
					if err == nil && !strings.Contains(reason, "lost (") { // that it was lost is told for longer
						err = fmt.Errorf("reasons %q", g.NotReady())
					}
				}
				return err
			})
			ids := s.publish(events(trades(26, 50))...)
			s.settled(20*time.Second, "probe")
			s.all("probe", ids)
			p.stop()
		})
	}
}
