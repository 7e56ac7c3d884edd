-- Replaces the letter of a replay that has failed again, and takes the replay
-- out of its stream, all or nothing.
-- KEYS: dead letters, replay stream, replaying   ARGV: 1 group, 2 consumer,
-- 3 ID, 4 letters at most (0: no limit), 5 "1" to drop the oldest when there are
-- as many, then the fields of the new letter
-- Returns what bury.lua does.
local id, most = ARGV[3], tonumber(ARGV[4])
local p = redis.call('XPENDING', replays, group, id, id, 1)[1]
if not p then return 1 end
if p[2] ~= ARGV[2] then return 2 end
local letter = letterOf(id)
if letter and #redis.call('XRANGE', letters, letter, letter) > 0 then most = 0 end -- takes its place
local dropped = write(letters, most, ARGV[5] == '1', {unpack(ARGV, 6)})
if not dropped then return 3 end
if letter then delete(letter, id) end
settle(id)
return -dropped
