-- Writes a letter and acknowledges its entry, both or nothing: an error of XADD
-- ends the script before XACK.
-- KEYS: stream, dead letters   ARGV: 1 group, 2 consumer, 3 ID, 4 letters at
-- most (0: no limit), then the fields of the letter
-- Returns 0 buried, 1 not pending, 2 not ours, 3 no room
local p = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not p then return 1 end
if p[2] ~= ARGV[2] then return 2 end
local most = tonumber(ARGV[4])
if redis.call('XLEN', KEYS[2]) >= most and most > 0 then return 3 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 5))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return 0
