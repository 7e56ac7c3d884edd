-- Looks for entries that are gone without having been delivered to the group,
-- and enters each loss into the book once. After that the group's entries-read
-- is what it would be had they been delivered, so that Redis' lag is right.
-- KEYS: stream, book, epoch
-- ARGV: 1 group, 2 name of this process, 3 last entry that it has seen in the
-- stream ("" for none), 4 the epoch in which it has
-- Returns {last entry, {ID, loss as JSON, is this process to tell of it} …}
local key, book, name, me = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local most, mostBytes, patience = 10000, 4194304, 10000 -- entries and bytes that are counted one by one; ms
local s = look(key)
local g = s and find(key, name)
if not g then return redis.error_reply("NOGROUP No such key '" .. key .. "' or consumer group '" .. name .. "'") end

local b = map(redis.call('HGETALL', book))

-- What has vanished is told by who has found it, or by another when that has
-- ended.
for field, text in pairs(b) do
  local who = string.match(field, '^gone:(%S+)')
  local ours, loss = pcall(cjson.decode, text)
  ours = who and ours and type(loss) == 'table' and type(loss.reason) == 'string' and tonumber(loss.at)
  if ours and (who == me or now() - ours > patience) then
    enter(book, loss, me)
    redis.call('HDEL', book, field)
  end
end

local removed = s.added - s.length

-- Redis tells neither its append-only file nor its replicas how many entries a
-- group has read: after a start, or a failover, its number is too low. It counts
-- as unknown until it has been set right.
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
local stale = b.run and b.run ~= run
if stale then g.read = -1 end

local function setRight(read)
  redis.call('XGROUP', 'SETID', key, name, g.last, 'ENTRIESREAD', read)
end

-- count tells how many entries there are after an ID, nil for too many.
local function count(id)
  if not s.final or not less(id, s.final) then return 0 end
  if less(id, s.first) then return s.length end
  local n, bytes, step = 0, 0, 1 -- great entries do not come many at once
  repeat
    local page = redis.call('XRANGE', key, '(' .. id, '+', 'COUNT', step)
    n = n + #page
    if #page < step then return n end
    for _, e in ipairs(page) do
      for _, text in ipairs(e[2]) do bytes = bytes + #text end
    end
    id = page[#page][1]
    step = math.max(1, math.min(2 * step, 1000, math.floor((mostBytes - bytes) * n / math.max(1, bytes))))
  until n >= most or bytes >= mostBytes
  return nil
end

-- leave notes what the next look starts from, see known.
local function leave(read)
  local first, server = s.first or '', stale and b.run or run
  if b.at == g.last and tonumber(b.read) == read and tonumber(b.removed) == removed and b.deleted == s.deleted and b.first == first and b.run == server then
    return
  end
  known(book, s, g.last, read)
  redis.call('HSET', book, 'run', server)
end

local function search()
  local was = {at = string.match(b.at or '', '^%d+%-%d+$'), read = tonumber(b.read), removed = tonumber(b.removed)}
  local added = tonumber(b.added)
  if not (was.at and was.read and was.removed and added) then
    was = nil -- the first look
  elseif removed < was.removed or s.added < added or less(g.last, was.at) then
    was = nil -- another stream, or the group was set back
  end
  if not was and removed == 0 and g.read >= 0 then return leave(g.read) end -- nothing can be gone
  local after = was and was.at or (s.first and less(g.last, s.first) and g.last or '0-0')
  local head = s.first and prev(s.first) or s.last -- what was trimmed is not beyond it
  local trimmed = less(after, head)
  local holes = was and less(after, s.deleted) -- something was deleted that had not been delivered then

  -- While nothing can be counted, a head that has moved behind the group's back
  -- explains what was removed.
  local behind = was and not trimmed and (not holes or was.read < 0 and b.deleted == s.deleted and b.first ~= (s.first or ''))
  if was and (removed == was.removed or behind) then -- nothing is gone since
    local read = -1
    if g.last == was.at then read = was.read
    elseif not s.final or not less(g.last, s.final) then read = s.added
    elseif not holes then read = g.read end
    -- Beyond the last hole Redis counts on by itself once it knows where the
    -- group is.
    local beyond = not less(g.last, s.deleted)
    local present = read < 0 and (beyond or g.last == was.at) and count(g.last)
    if present then read = s.added - present end
    if read >= 0 and (stale or present and beyond and g.read < 0) then
      setRight(read)
      stale = false
    end
    return leave(read)
  end
  if now() < (tonumber(b.again) or 0) then return end

  -- Entries-read grows by one with each entry that is read, and is nil after one
  -- that stands before a hole. So what it says and what is there make up for all
  -- that was ever added, but for what is lost: at least low.
  local present, low = count(g.last), 0
  if g.read >= 0 then
    if present then
      low = s.added - g.read - present
    elseif not holes then
      low = removed + 1 - g.read -- those that are gone and the first were before it
    end
    low = math.max(0, low)
  end
  -- A group that reads over a hole up to the last entry has the right number
  -- again, and looks as one whose entries were deleted after it had them.
  local high = low
  if was and (holes or g.read < 0) then
    high = removed - was.removed
    local rest = was.read >= 0 and count(was.at)
    if rest then
      high = math.min(high, s.added - was.read - rest)
      if g.last == was.at then low = high end
    end
    high = math.max(low, high)
  elseif not was and g.read < 0 and trimmed and removed > 0 and g.last == after then
    high = -1 -- all that is gone may have been before the group
  end

  local unsure = high ~= low
  local passed = less(g.last, head) -- by a trim: then how many is in doubt, and hardly whether any
  if unsure and low == 0 and not passed and now() - (tonumber(b.doubt) or 0) < 60000 then return end -- told together with more
  local upper = trimmed and head or g.last
  if holes and (not trimmed or less(upper, s.deleted)) then upper = s.deleted end
  local function lost(certain, entries)
    local kind = (holes and (b.deleted ~= s.deleted or not trimmed)) and 'deleted' or 'trimmed'
    enter(book, {reason = kind, certain = certain, entries = entries, first = following(after), last = upper}, me)
  end
  if low > 0 then lost(true, low) end
  if unsure then
    lost(false, high < 0 and -1 or high - low)
    redis.call('HSET', book, 'doubt', now())
  end
  local read = present and s.added - present or removed + 1
  if g.read ~= read and (low > 0 or present and (stale or not less(g.last, s.deleted))) then
    setRight(read)
    stale = stale and not present
  end
  if present then
    leave(read)
  elseif holes or g.read < 0 then
    leave(-1)
  else -- the rest is counted when the group is nearer to one of the ends
    redis.call('HSET', book, 'again', now() + patience)
  end
end

-- An entry that this process has seen, that was neither trimmed nor deleted and
-- is not there, was lost by Redis with all around it.
local function rollback(seen)
  if seen == '' or s.final == seen then return end
  local back = less(s.last, seen)
  if not back and s.first and less(s.first, seen) and less(s.deleted, seen) then
    back = #redis.call('XRANGE', key, seen, seen) == 0
  end
  if not back then return end
  local below = redis.call('XREVRANGE', key, '(' .. seen, '-', 'COUNT', 1)[1]
  local above = redis.call('XRANGE', key, '(' .. seen, '+', 'COUNT', 1)[1]
  local first = following(below and below[1] or s.last)
  for field, text in pairs(b) do
    if string.match(field, '^loss:') then
      local ours, known = pcall(cjson.decode, text)
      if ours and type(known) == 'table' and known.reason == 'rolled_back' and known.first == first then return end
    end
  end
  enter(book, {reason = 'rolled_back', certain = false, entries = -1, first = first, last = above and prev(above[1]) or horizon(seen)}, me)
end

if s.added >= 0 then -- a simulated server does not tell
  search()
  if redis.call('GET', KEYS[3]) == ARGV[4] then rollback(ARGV[3]) end -- else it is told as a missing group
end

b = map(redis.call('HGETALL', book))
local out = {s.final or ''}
for field, text in pairs(b) do
  local id = string.match(field, '^loss:(.*)$')
  if id then
    local teller, since = string.match(b['tell:' .. id] or '', '^(%S+) (%d+)$')
    local mine = teller == me
    if teller and not mine and now() - tonumber(since) > patience then -- it has ended before it told of it
      redis.call('HSET', book, 'tell:' .. id, me .. ' ' .. string.format('%015.0f', now()))
      mine = true
    end
    out[#out + 1] = {id, text, mine and 1 or 0}
  end
end
return out
