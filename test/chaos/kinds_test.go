package chaos

var (
	always      = []temper{patient, hasty}
	onlyPatient = []temper{patient}
	onlyHasty   = []temper{hasty}
)

// kinds are all faults.
var kinds = []kind{
	{"cut requests", redisLane, always, (*round).cutRequests},
	{"cut replies", redisLane, always, (*round).cutReplies},
	{"latency", redisLane, onlyPatient, (*round).latency},
	{"blackhole", redisLane, onlyPatient, (*round).blackhole},
	{"redis stopped", redisLane, always, (*round).stopRedis},
	{"redis killed", redisLane, onlyPatient, (*round).killRedis},
	{"redis loses tail", redisLane, onlyHasty, (*round).loseTail},
	{"flush", redisLane, onlyHasty, (*round).flush},
	{"flush, same IDs", redisLane, onlyHasty, (*round).flushSameIDs},
	{"delete stream", redisLane, onlyHasty, (*round).deleteStream},
	{"destroy group", redisLane, always, (*round).destroyGroup},
	{"trim", redisLane, always, (*round).trim},
	{"hook down", redisLane, always, (*round).hookDown},
	{"disk full", redisLane, onlyPatient, (*round).diskFull},
	{"store locked", redisLane, onlyPatient, (*round).lockStore},

	{"kill", processLane, always, (*round).kill},
	{"kill again", processLane, always, (*round).kill},
	{"kill all", processLane, onlyPatient, (*round).killAll},
	{"stop", processLane, always, (*round).stop},
	{"steal from stopped", processLane, onlyHasty, (*round).steal},
	{"restart storm", processLane, always, (*round).restartStorm},
	{"reload storm", processLane, always, (*round).reloadStorm},
	{"broken reloads", processLane, onlyPatient, (*round).brokenReloads},
	{"scale", processLane, always, (*round).scale},
	{"third process", processLane, always, (*round).thirdProcess},

	{"torn entries", dataLane, always, (*round).tornEntries},
	{"keyless entries", dataLane, always, (*round).keylessEntries},
	{"huge entries", dataLane, always, (*round).hugeEntries},
	{"killers", dataLane, always, (*round).killers},

	// After it nothing may happen by which a group begins anew, and finds what it
	// has lost track of.
	{"cuts everywhere", lastLane, onlyPatient, (*round).cutEverywhere},
}
