-- KEYS: stream   ARGV: 1 group
-- Returns {name, pending, idle ms, …}
local out = {}
for _, list in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local c = {}
  for i = 1, #list, 2 do c[list[i]] = list[i + 1] end
  out[#out + 1] = c['name']
  out[#out + 1] = c['pending']
  out[#out + 1] = c['idle']
end
return out
