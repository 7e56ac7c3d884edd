// Package manifest reads groups.yaml: strictly, with every fault and its line,
// interpolation, defaults, and the difference between two manifests. It is the
// only package that imports a YAML library.
package manifest

import (
	"net"
	"time"

	"example.com/fanout/pkg/telemetry"
)

// Manifest is a checked groups.yaml: defaults are merged into the groups, all
// values are within their bounds.
type Manifest struct {
	Version int     `yaml:"version" doc:"version of this format" enum:"1" required:"true"`
	Redis   Redis   `yaml:"redis" doc:"the Redis server that holds the streams"`
	Admin   Admin   `yaml:"admin" doc:"the HTTP server for health, metrics and the command line"`
	State   string  `yaml:"state" default:"data/fanout.state.json" doc:"file that keeps the checkpoints of the groups beside Redis"`
	Memory  Size    `yaml:"max_in_flight" default:"256MiB" min:"1MiB" max:"1024GiB" doc:"bytes of entries that the whole process holds at most; each group gets an equal part"`
	Groups  []Group `yaml:"-"` // in the order of the file, those with enabled: false among them

	// Elsewhere are the groups of the file that are not in Groups, for other
	// processes run them.
	Elsewhere []Group `yaml:"-"`

	Retention []Retention `yaml:"retention" doc:"streams whose old entries are trimmed, by name"`
}

// Redis says how to reach the server.
type Redis struct {
	URL          telemetry.Secret `yaml:"url" default:"redis://127.0.0.1:6379/0" doc:"redis://, rediss:// or unix:// URL"`
	Username     string           `yaml:"username" doc:"ACL user; wins over the URL's"`
	Password     telemetry.Secret `yaml:"password" doc:"password; wins over the URL's"`
	PasswordFile string           `yaml:"password_file" doc:"file that holds the password, read at each connection"`
	TLS          TLS              `yaml:"tls" doc:"for rediss:// URLs"`
}

// TLS is used with rediss:// URLs.
type TLS struct {
	CAFile     string `yaml:"ca_file" doc:"PEM file with the certificates to trust instead of the system's"`
	CertFile   string `yaml:"cert_file" doc:"PEM file with the client certificate"`
	KeyFile    string `yaml:"key_file" doc:"PEM file with the key of the client certificate"`
	ServerName string `yaml:"server_name" doc:"name to expect in the server's certificate instead of the URL's host"`
}

// Admin is the HTTP server.
type Admin struct {
	Listen      string           `yaml:"listen" default:"127.0.0.1:7600" doc:"address to listen on; off loopback it needs a token; \"off\" for none"`
	Hosts       []string         `yaml:"hosts" doc:"names by which clients may call the server, beside localhost and its addresses"`
	Token       telemetry.Secret `yaml:"token" doc:"what clients must show as a bearer token, at least 16 characters"`
	TokenFile   string           `yaml:"token_file" doc:"file that holds the token, read at each request"`
	MetricsOpen bool             `yaml:"metrics_open" doc:"true answers /metrics without the token"`
	ReadOnly    bool             `yaml:"read_only" doc:"true refuses every request that changes something"`
	Pprof       bool             `yaml:"pprof" doc:"true serves Go profiles under /debug/pprof"`
}

// OffLoopback reports whether others than this machine can reach the server.
func (a Admin) OffLoopback() bool {
	host, _, err := net.SplitHostPort(a.Listen)
	if err != nil || host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}

// Group is one consumer group with everything resolved.
type Group struct {
	Name          string        `yaml:"-"`
	Line          int           `yaml:"-"` // of its name in the file
	Group         string        `yaml:"group" scope:"group" doc:"name of the consumer group in Redis; default: the name in this file"`
	Enabled       bool          `yaml:"enabled" default:"true" scope:"group" doc:"false keeps the group declared but not run"`
	Stream        string        `yaml:"stream" default:"events_stream" doc:"the stream to read"`
	Payload       Payload       `yaml:"payload" doc:"how an entry becomes an event"`
	Start         Start         `yaml:"start" default:"earliest" doc:"where a group begins that is not in Redis yet: earliest, latest, an entry ID (after it) or an RFC 3339 time (from it on)"`
	OnMissing     string        `yaml:"on_missing_group" default:"recreate" enum:"recreate,fail" doc:"what becomes of a group that Redis has lost: recreate creates it where it stood, fail leaves it until somebody creates it"`
	NoCheckpoint  string        `yaml:"without_checkpoint" enum:"start,earliest,latest,fail" doc:"where a lost group begins of which no checkpoint is left; default: as start says, and fail with start: latest"`
	Where         string        `yaml:"where" scope:"group" doc:"expression over the event; entries that do not match are acknowledged and not handled"`
	Consumers     int           `yaml:"consumers" default:"2" min:"1" max:"256" doc:"consumers of the group in this process"`
	Concurrency   int           `yaml:"concurrency" default:"1" min:"1" max:"1024" doc:"batches in flight per consumer"`
	Batch         Batch         `yaml:"batch" doc:"how many entries one call of the handler gets"`
	MaxInFlight   Size          `yaml:"max_in_flight" default:"64MiB" min:"1KiB" max:"64GiB" doc:"bytes of entries that the group holds at most; its consumers share them, and each may hold one entry that is larger"`
	Timeout       time.Duration `yaml:"timeout" default:"30s" min:"10ms" max:"24h" doc:"of one call of the handler"`
	Retry         Retry         `yaml:"retry" doc:"of entries whose handling failed"`
	MaxDeliveries int64         `yaml:"max_deliveries" default:"10" min:"2" max:"1000" doc:"an entry whose deliveries ended with the process this often is buried"`
	DeadLetter    DeadLetter    `yaml:"dead_letter" doc:"where entries go that cannot be handled"`
	Claim         Claim         `yaml:"claim" doc:"taking over entries of consumers that are gone"`
	AuditInterval time.Duration `yaml:"audit_interval" default:"1m" min:"1s" max:"24h" doc:"how often a consumer compares what is pending under its name with what it holds"`
	Restart       Restart       `yaml:"restart" doc:"restarts of the group after its own failure"`
	DrainTimeout  time.Duration `yaml:"drain_timeout" default:"20s" min:"0s" max:"1h" doc:"how long a stop waits for handler calls"`
	Dedupe        time.Duration `yaml:"dedupe" default:"168h" min:"1m" max:"8760h" doc:"how long built-in stores remember the identities of settled entries"`
	RestartSignal Signal        `yaml:"restart_signal" scope:"group" doc:"signal that restarts this group alone: 35-64, RTMIN+1 to RTMIN+30, USR1 or USR2"`
	Handler       Handler       `yaml:"-"`

	// Hash changes when anything changes that the running group depends on.
	Hash string `yaml:"-"`
}

// Payload says how an entry becomes an event.
type Payload struct {
	Field  string `yaml:"field" default:"event" doc:"field of the entry that holds the event"`
	Format string `yaml:"format" default:"json" enum:"json,fields,raw" doc:"json: a JSON document; fields: the entry's own fields; raw: bytes"`
}

// Batch bounds the batches of a group.
type Batch struct {
	Size   int    `yaml:"size" default:"256" min:"1" max:"100000" doc:"entries in a batch at most"`
	Bytes  Size   `yaml:"bytes" default:"4MiB" min:"1KiB" max:"1GiB" doc:"bytes in a batch at most; a larger entry is a batch of its own"`
	Linger Linger `yaml:"linger" default:"0s" max:"1m" doc:"how long to wait for a batch to fill; auto: under live traffic reads are a millisecond apart"`
}

// Retry is the policy of a group.
type Retry struct {
	Attempts   int           `yaml:"attempts" default:"5" min:"1" max:"1000000" doc:"calls of the handler before an entry is buried"`
	MinBackoff time.Duration `yaml:"min_backoff" default:"100ms" min:"1ms" max:"1h" doc:"wait after the first failure; doubles with each"`
	MaxBackoff time.Duration `yaml:"max_backoff" default:"30s" min:"1ms" max:"24h" doc:"longest wait"`
}

// DeadLetter names the dead-letter stream.
type DeadLetter struct {
	Stream   string `yaml:"stream" scope:"group" doc:"default: {<stream>}:dead:<group>"`
	MaxLen   int64  `yaml:"max_len" default:"100000" min:"1" max:"1000000000" doc:"letters at most; overflow says what happens then"`
	Overflow string `yaml:"overflow" default:"hold" enum:"hold,drop_oldest" doc:"when there are max_len letters: hold takes no new entries until there is room, drop_oldest drops the oldest letters and counts them"`
}

// What Group.OnMissing may be.
const (
	Recreate    = "recreate"
	KeepMissing = "fail"
)

// What Group.WithoutCheckpoint gives.
const (
	AtStart    = "start"
	AtEarliest = "earliest"
	AtLatest   = "latest"
	KeepLost   = "fail"
)

// WithoutCheckpoint says where the group begins when Redis has lost it with
// every checkpoint. A group that starts at the latest entry does not by itself:
// it would skip in silence what came meanwhile.
func (g Group) WithoutCheckpoint() string {
	switch {
	case g.NoCheckpoint != "":
		return g.NoCheckpoint
	case g.Start.Kind == StartLatest:
		return KeepLost
	}
	return AtStart
}

// What DeadLetter.Overflow may be.
const (
	HoldLetters = "hold"
	DropOldest  = "drop_oldest"
)

// Claim says when entries of others are taken over.
type Claim struct {
	MinIdle  time.Duration `yaml:"min_idle" default:"60s" min:"100ms" max:"24h" doc:"how long an entry must have been left alone; greater than timeout"`
	Interval time.Duration `yaml:"interval" default:"15s" min:"50ms" max:"24h" doc:"how often to look"`
}

// Restart is the restart policy, in the words of OTP.
type Restart struct {
	Intensity  int           `yaml:"intensity" default:"5" min:"1" max:"1000" doc:"restarts within period before the group is tripped"`
	Period     time.Duration `yaml:"period" default:"1m" min:"1s" max:"24h" doc:"see intensity"`
	MinBackoff time.Duration `yaml:"min_backoff" default:"1s" min:"1ms" max:"1h" doc:"wait before the first restart; doubles with each"`
	MaxBackoff time.Duration `yaml:"max_backoff" default:"60s" min:"1ms" max:"24h" doc:"longest wait"`
}

// Handler is a group's handler.
type Handler struct {
	Type   string
	Config any // what Handlers.New gave, filled
}
