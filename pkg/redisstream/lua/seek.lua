-- Moves a group to another position. One that is missing is created there.
-- What was lost before is expected to have been looked for: the next look for
-- losses starts from the new position.
-- KEYS: stream, epoch, checkpoint, book of losses, untaken
-- ARGV: 1 group, 2 the ID after which it goes on, 3 the position that it is
--       moved from ("" for a group that is missing), 4 entries-read at the new
--       position, -1 for unknown, 5 what begins the names of the consumers that
--       are known to rest, before a number, 6 ms for which all others must have
--       been silent, 7 "1" when nothing that was ever added may be missing,
--       8 an epoch to use where there is none
-- Returns {0}; or, with nothing done, {1, position} when it stands elsewhere,
-- {2, consumer, idle ms} of one that may be at work, {3, entries that are
-- missing or -1}, {4, last ID} when the stream ends before the new position
local key, name, at = KEYS[1], ARGV[1], ARGV[2]
local s = look(key)
local g = s and find(key, name)
if (g and g.last or '') ~= ARGV[3] then return {1, g and g.last or ''} end
if s and less(s.last, at) or not s and at ~= '0-0' then return {4, s and s.last or '0-0'} end
if ARGV[7] == '1' and s and (s.added < 0 or s.added > s.length) then
  return {3, s.added < 0 and -1 or s.added - s.length}
end
if g then
  for _, list in ipairs(redis.call('XINFO', 'CONSUMERS', key, name)) do
    local c = map(list)
    local ours = string.sub(c['name'], 1, #ARGV[5]) == ARGV[5] and string.find(c['name'], '^%d+$', #ARGV[5] + 1)
    if not ours and c['idle'] < tonumber(ARGV[6]) then return {2, c['name'], c['idle']} end
  end
end

-- How many entries the stream ever had up to the position. Behind a hole the
-- number would be of no use to Redis.
local read = -1
if not s then
  read = 0
elseif s.added >= 0 then
  if not s.first or not less(at, s.final) then
    read = s.added
  elseif less(at, s.first) then
    read = s.added - s.length
  elseif not less(at, s.deleted) then
    read = tonumber(ARGV[4])
  end
end

local args = {key, name, at}
if not g then args[#args + 1] = 'MKSTREAM' end
if read >= 0 then
  args[#args + 1] = 'ENTRIESREAD'
  args[#args + 1] = read
end
redis.call('XGROUP', g and 'SETID' or 'CREATE', unpack(args))
known(KEYS[4], s, at, read)

-- A group that is lost from now on begins again here.
local low = at
local pending = redis.call('XPENDING', key, name)
if pending[1] > 0 and pending[2] and less(prev(pending[2]), low) then low = prev(pending[2]) end
local epoch = redis.call('GET', KEYS[2])
if not epoch then
  epoch = ARGV[8]
  redis.call('SET', KEYS[2], epoch)
end
redis.call('DEL', KEYS[3], KEYS[5])
redis.call('HSET', KEYS[3], 'id', low, 'epoch', epoch, 'last', s and s.last or '0-0',
  'added', s and s.added or 0, 'first', s and s.first or '', 'open', -1)
return {0}
