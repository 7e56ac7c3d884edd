-- Sets idle time and delivery count of those entries that are pending under our
-- name. An entry whose data is gone stays as it is: XCLAIM would drop it, though
-- the consumer may still have the data.
-- KEYS: stream   ARGV: 1 group, 2 consumer, 3 idle ms of what is given free,
-- 4 "ID count free " for each; count -1 leaves it, free is 0 or 1
-- Returns the IDs that are not ours.
local key, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local lost = {}
for id, count, free in string.gmatch(ARGV[4], '(%S+) (%S+) (%S+) ') do
  local p = redis.call('XPENDING', key, group, id, id, 1, consumer)[1]
  if not p then
    lost[#lost + 1] = id
  elseif #redis.call('XRANGE', key, id, id) > 0 then
    if count == '-1' then count = p[4] end -- said again: miniredis counts JUSTID
    local idle = free == '1' and ARGV[3] or 0
    redis.call('XCLAIM', key, group, consumer, 0, id, 'IDLE', idle, 'RETRYCOUNT', count, 'JUSTID')
  end
end
return lost
