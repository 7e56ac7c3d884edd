-- Deletes consumers that have nothing pending and are idle for too long. Look
-- and deletion are one: DELCONSUMER would drop what has become pending between.
-- KEYS: stream   ARGV: 1 group, 2 idle ms, names to keep …
-- Returns the deleted names.
local keep = {}
for i = 3, #ARGV do keep[ARGV[i]] = true end
local out = {}
for _, list in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local c = map(list)
  if c['pending'] == 0 and c['idle'] > tonumber(ARGV[2]) and not keep[c['name']] then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], c['name'])
    out[#out + 1] = c['name']
  end
end
return out
