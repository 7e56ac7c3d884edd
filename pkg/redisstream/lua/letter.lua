-- Gets one entry of the dead letters.
-- KEYS: dead letters, replay stream, replaying   ARGV: 1 group, 2 ID
-- Returns {} or {replaying, {name, value, …}}
local e = redis.call('XRANGE', letters, ARGV[2], ARGV[2])[1]
if not e then return {} end
return {replaying(ARGV[2]) and 1 or 0, e[2]}
