-- Delivers new replays, one by one so that large ones do not add up. The group
-- of a stream that has none is made.
-- KEYS: dead letters, replay stream, replaying   ARGV: 1 group, 2 consumer,
-- 3 count, 4 bytes
-- Returns {{}, {{ID, 1, fields}, …}}
if redis.call('EXISTS', replays) == 0 then return {{}, {}} end
if not find(replays, group) then redis.call('XGROUP', 'CREATE', replays, group, '0') end
local left, room, entries = tonumber(ARGV[3]), tonumber(ARGV[4]), {}
while left > 0 and room > 0 do
  local r = redis.call('XREADGROUP', 'GROUP', group, ARGV[2], 'COUNT', 1, 'STREAMS', replays, '>')
  local e = r and r[1] and r[1][2][1]
  if not e then break end
  for _, text in ipairs(e[2]) do room = room - #text end
  left = left - 1
  entries[#entries + 1] = {e[1], 1, e[2]}
end
return {{}, entries}
