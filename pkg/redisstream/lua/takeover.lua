-- KEYS: lease   ARGV: 1 the value to replace, 2 our value, 3 ms
-- Returns 1 taken, 0 the lease has changed.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
