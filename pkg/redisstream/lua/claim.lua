-- Takes over what has been pending for long, with its data. XAUTOCLAIM looks at
-- ten times as many entries as it may return; with a small count, doubled from
-- call to call, entries of many bytes do not add up.
-- What has lost its data is noted in the book of losses.
-- KEYS: stream, book and untaken (none for replays)
-- ARGV: 1 group, 2 consumer, 3 cursor, 4 min idle ms, 5 count, 6 bytes, 7 "1"
-- where a claim raises the delivery count all the same (miniredis), 8 name of this
-- process
-- Returns {cursor, {IDs without data}, {{ID, count, fields}, …}}
local key, group, cursor = KEYS[1], ARGV[1], ARGV[3]
local left, room = tonumber(ARGV[5]), tonumber(ARGV[6])
local size, look = room, left -- size of an entry; how often ten entries may be looked at
local step, gone, entries = 1, {}, {}
repeat
  local n = math.max(1, math.min(step, left, math.floor(room / math.max(1, size))))
  local r = redis.call('XAUTOCLAIM', key, group, ARGV[2], ARGV[4], cursor, 'COUNT', n, 'JUSTID')
  cursor = r[1]
  if #r[2] > 0 and KEYS[3] then redis.call('DEL', KEYS[3]) end
  look = look - n
  for _, id in ipairs(r[3] or {}) do
    gone[#gone + 1] = id
    left = left - 1
  end
  local bytes = 0
  for _, id in ipairs(r[2]) do
    left = left - 1
    local e = redis.call('XRANGE', key, id, id)[1]
    if e then
      local p = redis.call('XPENDING', key, group, id, id, 1)[1]
      if ARGV[7] == '1' then
        p[4] = p[4] - 1
        redis.call('XCLAIM', key, group, ARGV[2], 0, id, 'RETRYCOUNT', p[4], 'JUSTID')
      end
      for _, text in ipairs(e[2]) do bytes = bytes + #text end
      entries[#entries + 1] = {id, p[4], e[2]}
    else -- miniredis does not tell these
      redis.call('XACK', key, group, id)
      gone[#gone + 1] = id
    end
  end
  room = room - bytes
  size = #r[2] > 0 and bytes / #r[2] or 0
  step = math.min(step * 2, 16)
until cursor == '0-0' or left <= 0 or look <= 0 or room <= 0
vanished(key, KEYS[2], ARGV[8], gone)
return {cursor, gone, entries}
