-- Lists dead letters with the first field alone.
-- KEYS: dead letters, replay stream, replaying   ARGV: 1 group, 2 first ID,
-- 3 last ID, 4 count, 5 bytes to look at, 6 the longest value that is a letter's
-- Returns {done, {{ID, replaying, bytes, name, value}, …}}; name and
-- value are "" where they are no letter's.
local from, left, room = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local size, step, out = room, 1, {} -- size of an entry
while left > 0 and room > 0 do
  local n = math.max(1, math.min(step, left, math.floor(room / math.max(1, size))))
  local list, bytes = redis.call('XRANGE', letters, from, ARGV[3], 'COUNT', n), 0
  for _, e in ipairs(list) do
    local own = 0
    for _, text in ipairs(e[2]) do own = own + #text end
    local name, value = e[2][1], e[2][2]
    if name ~= 'letter' or #value > tonumber(ARGV[6]) then name, value = '', '' end
    out[#out + 1] = {e[1], replaying(e[1]) and 1 or 0, own, name, value}
    bytes = bytes + own
    from = '(' .. e[1]
  end
  if #list < n then return {1, out} end
  left, room, size, step = left - #list, room - bytes, bytes / #list, math.min(2 * step, 64)
end
return {0, out}
