-- Tells what is known of one entry, and of it in every group of its stream.
-- KEYS: stream   ARGV: 1 ID
-- Returns {there, entries that are gone or -1, first ID, last-generated-id, {group,
-- last-delivered-id, consumer or "", idle ms, delivery count} …}
local key, id = KEYS[1], ARGV[1]
local s = look(key)
if not s then return {0, 0, '', '0-0'} end
local gone = s.added >= 0 and s.added - s.length or -1
local out = {#redis.call('XRANGE', key, id, id), gone, s.first or '', s.last}
for _, list in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local name = map(list)['name']
  local p = redis.call('XPENDING', key, name, id, id, 1)[1] or {id, '', 0, 0}
  out[#out + 1] = {name, find(key, name).last, p[2], p[3], p[4]}
end
return out
