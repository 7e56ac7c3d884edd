package app

import (
	"strconv"
	"strings"
	"time"

	"example.com/fanout/pkg/redisstream"
	"example.com/fanout/pkg/telemetry"
)

// server judges what the server tells of itself.
func (d *doctor) server() []Finding {
	f := d.facts
	findings := versionFindings(f.Name, f.Version)
	return append(findings, role(f), cluster(f), eviction(f), persistence(f), replicas(f), d.connections(), clock(f))
}

func role(f redisstream.Facts) Finding {
	const check = "role"
	switch role, known := f.Info("role"); {
	case !known:
		return unknown(check, "", "the server does not tell whether it is a primary")
	case role != "master":
		return failure(check, "let redis.url name the primary", "the server is a replica: it takes no acknowledgements")
	}
	return ok(check, "the server is a primary")
}

// cluster judges a cluster mode. That the keys of a group share a slot has been
// seen to by the manifest.
func cluster(f redisstream.Facts) Finding {
	const check = "cluster"
	switch enabled, known := f.Info("cluster_enabled"); {
	case !known:
		return unknown(check, "", "the server does not tell whether it is part of a cluster")
	case enabled != "0":
		return warn(check, "use a server that is not part of a cluster, or the endpoint of a proxy for it",
			"the server is part of a cluster: fanout speaks with this node alone, and fails with keys that are on others")
	}
	return ok(check, "not a cluster; the keys of each group share a hash slot all the same")
}

// eviction judges what the server does when memory runs out.
func eviction(f redisstream.Facts) Finding {
	const (
		check = "eviction"
		mend  = "CONFIG SET maxmemory-policy noeviction, and in redis.conf"
	)
	policy, known := f.Info("maxmemory_policy")
	if !known {
		policy, known = f.Setting("maxmemory-policy")
	}
	if !known {
		return unknown(check, "make sure that maxmemory-policy is noeviction", "the server does not tell what it does when memory runs out")
	}
	limit, limited := f.Info("maxmemory")
	unlimited := limited && limit == "0"
	switch {
	case strings.HasPrefix(policy, "allkeys-") && unlimited:
		return warn(check, mend, "maxmemory-policy is %s: as soon as maxmemory is set, whole streams are evicted with their groups", policy)
	case strings.HasPrefix(policy, "allkeys-"):
		return failure(check, mend, "maxmemory-policy is %s: when memory runs out whole streams are evicted with their groups", policy)
	case strings.HasPrefix(policy, "volatile-") && !unlimited:
		return warn(check, mend, "maxmemory-policy is %s: leases of instance names may be evicted, and two processes then share one", policy)
	case unlimited:
		return ok(check, "maxmemory-policy is %s, without a maxmemory", policy)
	}
	return ok(check, "maxmemory-policy is %s", policy)
}

// persistence judges what a crash of the server loses.
func persistence(f redisstream.Facts) Finding {
	const (
		check = "persistence"
		mend  = "CONFIG SET appendonly yes, and in redis.conf"
	)
	if status, _ := f.Info("aof_last_write_status"); status == "err" {
		return failure(check, "mend the server's disk", "the server cannot write its append-only file: it refuses writes, or loses them in a crash")
	}
	saves, savesKnown := f.Setting("save")
	if status, _ := f.Info("rdb_last_bgsave_status"); status == "err" {
		if stops, _ := f.Setting("stop-writes-on-bgsave-error"); stops != "no" {
			return failure(check, "mend the server's disk", "the last snapshot of the server failed: it refuses writes")
		}
		return warn(check, "mend the server's disk", "the last snapshot of the server failed")
	}
	aof, aofKnown := f.Info("aof_enabled")
	fsync, fsyncKnown := f.Setting("appendfsync")
	switch {
	case !aofKnown:
		return unknown(check, mend, "the server does not tell whether it keeps its data")
	case aof == "1" && !fsyncKnown:
		return unknown(check, "make sure that appendfsync is everysec or always", "the server writes an append-only file, and does not tell how often to disk")
	case aof == "1" && fsync == "always":
		return ok(check, "append-only file, written to disk at once: a crash loses nothing")
	case aof == "1" && fsync == "everysec":
		return ok(check, "append-only file, written to disk each second: a crash loses up to a second, acknowledgements among it")
	case aof == "1":
		return warn(check, "CONFIG SET appendfsync everysec, and in redis.conf", "append-only file with appendfsync %s: a power cut loses what the system has not written, half a minute perhaps", fsync)
	case !savesKnown:
		return unknown(check, mend, "no append-only file; the server does not tell whether it takes snapshots")
	case saves == "":
		return warn(check, mend, "neither append-only file nor snapshots: a restart of the server loses streams, groups and dead letters")
	}
	return warn(check, mend, "snapshots alone (save %s): a crash loses what came after the last one, which also brings settled entries back", saves)
}

// replicas judges what a failover loses.
func replicas(f redisstream.Facts) Finding {
	const check = "replicas"
	text, known := f.Info("connected_slaves")
	connected, err := strconv.Atoi(text)
	if !known || err != nil {
		return unknown(check, "", "the server does not tell how many replicas it has")
	}
	wanted, settingKnown := f.Setting("min-replicas-to-write")
	least, err := strconv.Atoi(wanted)
	settingKnown = settingKnown && err == nil
	good := connected
	if n, err := strconv.Atoi(fieldOf(f, "min_slaves_good_slaves")); err == nil {
		good = n
	}
	have := telemetry.Plural(connected, "replica")
	switch {
	case settingKnown && least > good:
		return failure(check, "mend the replicas, or lower min-replicas-to-write", "min-replicas-to-write is %d and %d of %s follow: the server refuses writes", least, good, have)
	case connected == 0:
		return ok(check, "none: what the server's disk has is all there is")
	case !settingKnown:
		return unknown(check, "make sure that min-replicas-to-write is 1 or more", "%s; the server does not tell whether it writes without them", have)
	case least == 0:
		return warn(check, "CONFIG SET min-replicas-to-write 1, and in redis.conf",
			"%s, and min-replicas-to-write is 0: what a primary that is cut off takes is lost in a failover", have)
	}
	return ok(check, "%s, min-replicas-to-write %d; a failover may still lose the last acknowledgements, and their entries come again", have, least)
}

func fieldOf(f redisstream.Facts, name string) string {
	value, _ := f.Info(name)
	return value
}

// connections compares what the manifest needs with what the server gives.
func (d *doctor) connections() Finding {
	const check = "connections"
	readers := 0
	for _, g := range d.groups {
		readers += g.Consumers
	}
	need := int64(redisstream.Connections(readers))
	if d.facts.MaxClients <= 0 {
		return unknown(check, "", "a process needs %d; the server does not tell how many it gives", need)
	}
	most := d.facts.MaxClients
	used, err := strconv.ParseInt(fieldOf(d.facts, "connected_clients"), 10, 64)
	switch {
	case need > most:
		return failure(check, "raise maxclients, or lower consumers", "a process needs %d, and the server gives %d (maxclients)", need, most)
	case err == nil && need > most-used:
		return warn(check, "raise maxclients, or lower consumers", "a process needs %d, and %d of %d (maxclients) are in use, by a fanout that runs perhaps", need, used, most)
	}
	return ok(check, "a process needs %d of %d (maxclients)", need, most)
}

// clock judges how far the clocks are apart.
func clock(f redisstream.Facts) Finding {
	const (
		check = "clock"
		much  = 2 * time.Second
	)
	if !f.SkewKnown {
		return unknown(check, "", "the server does not tell its time")
	}
	apart, ahead := f.Skew, "ahead"
	if apart < 0 {
		apart, ahead = -apart, "behind"
	}
	if apart-f.SkewError <= much {
		return ok(check, "the server's is ours, give or take %s", (apart + f.SkewError).Round(time.Millisecond))
	}
	return warn(check, "let both hosts keep time by NTP",
		"the server's is %s %s of ours: ages, lag in seconds and starts by time are wrong by as much", apart.Round(100*time.Millisecond), ahead)
}
