-- Makes sure that the group exists, and says which stream it stands in.
-- KEYS: stream, epoch, checkpoint, book of losses, dead letters, replays, untaken
-- ARGV: 1 group, 2 start ("latest" or an ID), 3 an epoch to use where a new one
--       is needed, 4 "1" where XGROUP CREATE knows ENTRIESREAD, 5 "1" where a
--       group that was lost is not created again, 6 where one begins that was
--       lost with its checkpoint (start, earliest, latest; fail is not to create
--       it), 7 name of this process, then the local checkpoint: 8 ID ("" for
--       none), 9 epoch, 10 last-generated-id, 11 entries-added, 12 first ID ("" for
--       none), 13 entries not settled
-- Returns {done, at, epoch, known before, other stream, checkpoint, reason}; done
-- is 0 when the group was there, 1 created, 2 not created though it is missing
local key, name, fresh, book = KEYS[1], ARGV[1], ARGV[3], KEYS[4]
local s = look(key)
local g = s and not redis.pcall('XPENDING', key, name).err -- a list of all groups may be long
local epoch = redis.call('GET', KEYS[2])

local there = stored(KEYS[3])
local here
if ARGV[8] ~= '' then
  here = {id = ARGV[8], epoch = ARGV[9], last = ARGV[10], added = tonumber(ARGV[11]), first = ARGV[12], open = tonumber(ARGV[13])}
end

-- Which of two checkpoints to go by: the one of this epoch, and Redis' own
-- otherwise. Of two such it is the later one, unless it knows more of the stream
-- than there is, and the stream still has what it ended at for the other: then
-- Redis came back with an older state of both.
local cp = there or here
if there and here then
  if here.epoch == there.epoch then
    local older = differs(s, here) and not differs(s, there) and #redis.call('XRANGE', key, there.last, there.last) > 0
    if less(there.id, here.id) and not older then cp = here end
  elseif epoch and here.epoch == epoch then
    cp = here
  end
end

-- A user who may not acknowledge would write dead letters again and again.
local function mayAck() redis.call('XACK', key, name, '0-0') end

-- between gives what is gone with a stream: from after the checkpoint up to what
-- is there now, or to the present where nobody knows where the stream has ended.
local function between(loss, survived)
  local last = cp.last
  if s and s.first and less(last, s.first) then
    last = prev(s.first)
  elseif not survived then
    last = horizon(last)
  end
  local first = following(cp.id)
  if not less(last, first) then loss.first, loss.last, loss.entries = first, last, cp.open > 0 and cp.open or -1 end
end

if g then
  -- Somebody else has made the group in another stream, when its checkpoint is not
  -- of this one. The local one counts only where Redis has none: Redis may have come
  -- back with an older state of all, and lost no group.
  cp = there or here
  local reason = cp and differs(s, cp)
  if reason then
    if not epoch or epoch == cp.epoch then epoch = fresh end -- else another group has found out before
    local loss = {reason = 'group_missing', certain = false, entries = -1}
    loss.note = 'it stood at ' .. cp.id .. ', ' .. reason .. '; somebody else has made the group again'
    between(loss, false)
    redis.call('SET', KEYS[2], epoch)
    redis.call('DEL', KEYS[3], KEYS[7])
    enter(book, loss, ARGV[7])
    known(book, s, find(key, name).last, -1)
    redis.call('HDEL', book, 'doubt')
  elseif not epoch then -- the key was evicted or deleted
    epoch = cp and cp.epoch or fresh
    redis.call('SET', KEYS[2], epoch)
  end
  mayAck()
  return {0, '', epoch, 0, reason and 1 or 0, reason and cp.id or '', reason or ''}
end

-- The group is missing.
local trace -- what a group without a checkpoint has left
if not cp then
  for i, what in ipairs({'a broken checkpoint', 'a record of its losses', 'dead letters', 'replays'}) do
    if not trace and redis.call('EXISTS', KEYS[i + 2]) == 1 then trace = what .. ' of it is there' end
  end
end
local at, other, survived, reason = ARGV[2], false, false, ''
if not cp then
  reason = trace or ''
  if trace and ARGV[6] == 'earliest' then at = '0-0' end
  if trace and ARGV[6] == 'latest' then at = 'latest' end
  if at == 'latest' then at = s and s.last or '0-0' end
  if epoch and not s then
    epoch, other = fresh, true
  end
else
  if epoch and cp.epoch ~= epoch and s then
    other, reason = true, 'another group has found another stream before'
  else
    reason = differs(s, cp)
    if not reason and not epoch and not there then reason, survived = 'nothing of fanout is left in Redis', true end
    if reason then epoch, other = fresh, true end
  end
  at = other and '0-0' or cp.id
  epoch = epoch or cp.epoch
end
if (cp or trace) and ARGV[5] == '1' or trace and ARGV[6] == 'fail' then
  return {2, '', '', 1, other and 1 or 0, cp and cp.id or '', reason or ''}
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

-- What is gone with the group, and what comes again.
local b = map(redis.call('HGETALL', book))
local removed = s and s.added - s.length or 0
local loss = (cp or trace) and {reason = 'group_missing', certain = false, entries = -1}
if loss then
  loss.note = cp and 'it stood at ' .. cp.id or 'its checkpoint is gone too'
  if reason and reason ~= '' then loss.note = loss.note .. ', ' .. reason end
end
local function gone(first, last, entries)
  if not less(last, first) then loss.first, loss.last, loss.entries = first, last, entries end
end
local function again(first, last)
  if not s or not s.first then return end -- nothing is there that could come
  if less(first, s.first) then first = s.first end
  if less(s.final, last) then last = s.final end
  if not less(last, first) then loss.repeats_from, loss.repeats_to = first, last end
end
if loss and cp and other then
  between(loss, survived)
  if survived then again('0-0', cp.id) end
elseif loss and cp then
  local first = following(cp.id)
  again(first, s.last)
  local last = s.first and prev(s.first) or s.last
  local since = removed - (tonumber(b.removed) or removed + 1)
  if since > 0 and less(last, s.deleted) and b.deleted ~= s.deleted then last = s.deleted end
  if since > 0 and cp.open >= 0 and cp.added >= 0 then since = math.min(since, cp.open + s.added - cp.added) end
  if since ~= 0 and removed > 0 then gone(first, last, since) end
elseif loss and s and s.first then
  gone(s.first, less(s.final, at) and s.final or at, -1)
  again(following(at), s.final)
end

-- First what can fail for want of memory: nothing has changed then.
if read and ARGV[4] == '1' then
  redis.call('XGROUP', 'CREATE', key, name, at, 'MKSTREAM', 'ENTRIESREAD', read)
else
  redis.call('XGROUP', 'CREATE', key, name, at, 'MKSTREAM')
end
redis.call('SET', KEYS[2], epoch)
redis.call('DEL', KEYS[3], KEYS[7])
redis.call('HSET', KEYS[3], 'id', at, 'epoch', epoch, 'last', s and s.last or '0-0',
  'added', s and s.added or 0, 'first', s and s.first or '', 'open', -1)
known(book, s, at, read or -1)
redis.call('HDEL', book, 'doubt')
if loss then enter(book, loss, ARGV[7]) end
mayAck()
if s and less(s.last, at) then reason = 'the stream ends at ' .. s.last .. ', before where the group begins' end
return {1, at, epoch, loss and 1 or 0, other and 1 or 0, cp and cp.id or '', reason or ''}
