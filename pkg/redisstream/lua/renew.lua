-- KEYS: lease   ARGV: 1 our value, 2 ms
-- Returns 1 renewed, 0 held by somebody else. A lease that is gone is taken again.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
