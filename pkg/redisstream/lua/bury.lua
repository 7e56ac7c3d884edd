-- Writes a letter and acknowledges its entry, both or nothing: an error of XADD
-- ends the script before XACK.
-- KEYS: stream, dead letters   ARGV: 1 group, 2 consumer, 3 ID, 4 letters at
-- most (0: no limit), 5 "1" to drop the oldest when there are as many, then the
-- fields of the letter
-- Returns 1 not pending, 2 not ours, 3 no room; 0 buried, and less than 0 as
-- many letters were dropped for it.
local p = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not p then return 1 end
if p[2] ~= ARGV[2] then return 2 end
local dropped = write(KEYS[2], tonumber(ARGV[4]), ARGV[5] == '1', {unpack(ARGV, 6)})
if not dropped then return 3 end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return -dropped
