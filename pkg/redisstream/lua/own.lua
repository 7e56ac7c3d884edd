-- Lists what is pending under one name, with its data.
-- What has lost its data is acknowledged, and noted in the book of losses.
-- KEYS: stream, book and untaken (none for replays)
-- ARGV: 1 group, 2 consumer, 3 first ID, 4 count, 5 bytes, 6 name of this process
-- Returns {last ID listed or "", done, {IDs without data}, {{ID, count, fields}, …}}
local key, group = KEYS[1], ARGV[1]
local count, room = tonumber(ARGV[4]), tonumber(ARGV[5])
local list = redis.call('XPENDING', key, group, ARGV[3], '+', count, ARGV[2])
local last, done, gone, entries = '', #list < count, {}, {}
for _, p in ipairs(list) do
  if room <= 0 then
    done = false
    break
  end
  last = p[1]
  local e = redis.call('XRANGE', key, last, last)[1]
  if e then
    for _, text in ipairs(e[2]) do room = room - #text end
    entries[#entries + 1] = {last, p[4], e[2]}
  else
    gone[#gone + 1] = last
  end
end
if not vanished(key, KEYS[2], ARGV[6], gone) then gone = {} end -- they are found again
if #gone > 0 then redis.call('XACK', key, group, unpack(gone)) end
return {last, done and 1 or 0, gone, entries}
