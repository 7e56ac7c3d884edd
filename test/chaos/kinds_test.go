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
	{"redis killed", redisLane, always, (*round).killRedis},
	{"redis loses tail", redisLane, onlyHasty, (*round).loseTail},
	{"redis set back", redisLane, onlyHasty, (*round).loseSeen},
	{"flush", redisLane, onlyHasty, (*round).flush},
	{"flush, same IDs", redisLane, onlyHasty, (*round).flushSameIDs},
	{"delete stream", redisLane, onlyHasty, (*round).deleteStream},
	{"destroy group", redisLane, always, (*round).destroyGroup},
	{"trim", redisLane, always, (*round).trim},
	{"delete entries", redisLane, always, (*round).deleteEntries},
	{"hook down", redisLane, always, (*round).hookDown},
	{"disk full", redisLane, onlyPatient, (*round).diskFull},
	{"store locked", redisLane, onlyPatient, (*round).lockStore},

	{"kill", processLane, always, alone((*round).kill)},
	{"kill again", processLane, always, alone((*round).kill)},
	{"kill all", processLane, onlyPatient, alone((*round).killAll)},
	{"stop", processLane, always, alone((*round).stop)},
	{"steal from stopped", processLane, onlyHasty, (*round).steal},
	{"restart storm", processLane, always, alone((*round).restartStorm)},
	{"reload storm", processLane, always, alone((*round).reloadStorm)},
	{"broken reloads", processLane, onlyPatient, alone((*round).brokenReloads)},
	{"scale", processLane, always, alone((*round).scale)},
	{"third process", processLane, always, alone((*round).thirdProcess)},

	{"torn entries", dataLane, always, (*round).tornEntries},
	{"keyless entries", dataLane, always, (*round).keylessEntries},
	{"huge entries", dataLane, always, (*round).hugeEntries},
	{"killers", dataLane, always, (*round).killers},

	// After it nothing may happen by which a group begins anew, and finds what it
	// has lost track of.
	{"cuts everywhere", lastLane, onlyPatient, (*round).cutEverywhere},
}
