-- Takes, or renews, the right of one host to run a group.
-- KEYS: the right
-- ARGV: 1 this host, 2 lease time in ms
-- Returns {whose it is where that is another host, else "", ms that is left of it}
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return {held, redis.call('PTTL', KEYS[1])} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'', 0}
