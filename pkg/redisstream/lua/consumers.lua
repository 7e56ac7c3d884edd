-- KEYS: stream   ARGV: 1 group
-- Returns {name, pending, idle ms, …}
local out = {}
for _, list in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local c = map(list)
  out[#out + 1] = c['name']
  out[#out + 1] = c['pending']
  out[#out + 1] = c['idle']
end
return out
