-- Looks for a letter of an entry.
-- KEYS: dead letters, replay stream, replaying   ARGV: 1 group, 2 first ID,
-- 3 letters to look at, 4 bytes to look at, 5 what the letter's object holds
-- Returns {next ID to look at or "" for the end, how many were looked at} and,
-- where one was found, its ID, replaying, name and value of its first field.
local from, left, room = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local seen, step = 0, 16
while left > 0 and room > 0 do
  local n = math.min(step, left)
  local list = redis.call('XRANGE', letters, from, '+', 'COUNT', n)
  for _, e in ipairs(list) do
    seen = seen + 1
    if e[2][1] == 'letter' and string.find(e[2][2], ARGV[5], 1, true) then
      return {'(' .. e[1], seen, e[1], replaying(e[1]) and 1 or 0, e[2][1], e[2][2]}
    end
    for _, text in ipairs(e[2]) do room = room - #text end
    from = '(' .. e[1]
  end
  if #list < n then return {'', seen} end
  left, step = left - #list, math.min(2 * step, 256)
end
return {from, seen}
