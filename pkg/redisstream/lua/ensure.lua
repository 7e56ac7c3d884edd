-- Makes sure that the group exists, and says which stream it stands in.
-- KEYS: stream, epoch, checkpoint
-- ARGV: 1 group, 2 start ("latest" or an ID), 3 an epoch to use where a new one
--       is needed, 4 "1" where XGROUP CREATE knows ENTRIESREAD, then the local
--       checkpoint: 5 ID ("" for none), 6 epoch, 7 last-generated-id,
--       8 entries-added, 9 first ID ("" for none)
-- Returns {created, at, epoch, known before, other stream, checkpoint, reason}
local key, name, fresh = KEYS[1], ARGV[1], ARGV[3]
local s = look(key)
local g = s and find(key, name)
local epoch = redis.call('GET', KEYS[2])

local there
local h = map(redis.call('HGETALL', KEYS[3]))
if h['id'] and h['epoch'] then
  there = {id = h['id'], epoch = h['epoch'], last = h['last'] or '0-0', added = tonumber(h['added'] or -1), first = h['first'] or ''}
end
local here
if ARGV[5] ~= '' then
  here = {id = ARGV[5], epoch = ARGV[6], last = ARGV[7], added = tonumber(ARGV[8]), first = ARGV[9]}
end

-- Which of two checkpoints to go by: the one of this epoch, of two such the
-- later one, and Redis' own otherwise.
local cp = there or here
if there and here then
  if here.epoch == there.epoch then
    if less(there.id, here.id) then cp = here end
  elseif epoch and here.epoch == epoch then
    cp = here
  end
end

-- differs says why the stream cannot be the one that cp was taken of. What it
-- compares only ever grows in one and the same stream. A checkpoint beyond the
-- end needs no look of its own: it was not beyond what the stream then ended at,
-- unless the group began there.
local function differs()
  if not s then return 'the stream is gone' end
  if less(s.last, cp.last) then return 'the stream ends at ' .. s.last .. ', it ended at ' .. cp.last .. ' before' end
  if s.added >= 0 and s.added < cp.added then
    return s.added .. ' entries were ever added, ' .. cp.added .. ' were before'
  end
  if s.first and cp.first ~= '' and less(s.first, cp.first) then
    return 'the stream begins at ' .. s.first .. ', it began at ' .. cp.first .. ' before'
  end
  return nil
end

-- A user who may not acknowledge would write dead letters again and again.
local function mayAck() redis.call('XACK', key, name, '0-0') end

if g then
  if not epoch then -- the key was evicted or deleted
    epoch = fresh
    if cp and not differs() then epoch = cp.epoch end
    redis.call('SET', KEYS[2], epoch)
  end
  mayAck()
  return {0, g.last, epoch, 0, 0, '', ''}
end

-- The group is missing.
local at, other, reason = ARGV[2], false, ''
if not cp then
  if at == 'latest' then at = s and s.last or '0-0' end
  if epoch and not s then
    epoch, other = fresh, true
  end
else
  if epoch and cp.epoch ~= epoch and s then
    other, reason = true, 'another group has found another stream before'
  else
    reason = differs()
    if not reason and not epoch and not there then reason = 'nothing of fanout is left in Redis' end
    if reason then epoch, other = fresh, true end
  end
  at = other and '0-0' or cp.id
  epoch = epoch or cp.epoch
end
epoch = epoch or fresh

-- How many entries the stream ever had up to at, where that can be told.
local read
if not s then
  read = 0
elseif s.added >= 0 then
  if not s.first then
    if not less(s.last, at) then read = s.added end
  elseif less(at, s.first) then
    read = s.added - s.length
  elseif not less(at, s.final) and not less(s.last, at) then
    read = s.added
  end
end

-- First what can fail for want of memory: nothing has changed then.
if read and ARGV[4] == '1' then
  redis.call('XGROUP', 'CREATE', key, name, at, 'MKSTREAM', 'ENTRIESREAD', read)
else
  redis.call('XGROUP', 'CREATE', key, name, at, 'MKSTREAM')
end
redis.call('SET', KEYS[2], epoch)
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[3], 'id', at, 'epoch', epoch, 'last', s and s.last or '0-0',
  'added', s and s.added or 0, 'first', s and s.first or '')
mayAck()
if s and less(s.last, at) then reason = 'the stream ends at ' .. s.last .. ', before where the group begins' end
return {1, at, epoch, cp and 1 or 0, other and 1 or 0, cp and cp.id or '', reason or ''}
