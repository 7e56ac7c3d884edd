-- Trims a stream by one slice to what its groups still need, or only looks.
-- KEYS: stream
-- ARGV: 1 entries to trim at most (0 looks), 2 min_age ms, 3 min_len,
--       4 max_age ms, 5 max_len, 6 "1" to trim past groups where a bound asks
--       for it, 7 idle ms after which an unknown group is ignored (0: never),
--       8 how many of the following groups must be there, 9… groups that are
--       known and so never ignored
-- Returns {there, missing groups, trimmed, more to trim, length, first ID, last
-- ID, server's time in ms or 0, steps, groups}; all as it is then
-- A step is {ID, length}: entries before that ID go while the stream is longer.
-- A group is {name, known, ignored, consumers, pending, oldest pending,
-- last-delivered-id, undelivered, idle ms, first ID needed, unread that went,
-- pending that went, from, to}; "" and -1 are not known.
local key, budget = KEYS[1], tonumber(ARGV[1])
local function lower(a, b) return less(b, a) and b or a end

local known, missing = {}, {}
for i = 9, #ARGV do
  known[ARGV[i]] = true
  if i - 8 <= tonumber(ARGV[8]) then missing[#missing + 1] = ARGV[i] end
end
local s = look(key)
if not s then return {0, missing} end
local removed = s.added - s.length

-- What each group still needs of the stream.
local groups, need, present = {}, following(s.last), {}
for _, list in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local info = map(list)
  local g = {
    name = info['name'], consumers = info['consumers'], pending = info['pending'],
    last = info['last-delivered-id'], read = info['entries-read'] or -1, lag = info['lag'],
    oldest = '', idle = -1, unread = 0, dropped = 0, from = '', to = '',
  }
  g.needs = following(g.last)
  if g.pending > 0 then
    g.oldest = redis.call('XPENDING', key, g.name)[2]
    if s.first and less(g.oldest, s.first) then -- its data is gone; who waits for it waits in vain
      local there = redis.call('XPENDING', key, g.name, s.first, '+', 1)[1]
      if there then g.needs = lower(g.needs, there[1]) end
    else
      g.needs = lower(g.needs, g.oldest)
    end
  end
  if not known[g.name] then
    for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', key, g.name)) do
      local idle = map(consumer)['idle']
      if g.idle < 0 or idle < g.idle then g.idle = idle end
    end
    g.ignored = tonumber(ARGV[7]) > 0 and g.idle > tonumber(ARGV[7])
  end
  if not g.ignored then need = lower(need, g.needs) end
  present[g.name] = true
  groups[#groups + 1] = g
end
for i = #missing, 1, -1 do
  if present[missing[i]] then table.remove(missing, i) end
end

-- Entries younger than an age stand at or after floor(age).
local now = 0
if tonumber(ARGV[2]) > 0 or tonumber(ARGV[4]) > 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
local function floor(age) return string.format('%.0f-0', math.max(0, now - age)) end

local steps, drop = {}, ARGV[6] == '1'
local min_age, max_age, max_len = tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
steps[1] = {min_age > 0 and lower(need, floor(min_age)) or need, tonumber(ARGV[3])}
if max_age > 0 then steps[#steps + 1] = {drop and floor(max_age) or lower(need, floor(max_age)), 0} end
if max_len > 0 then steps[#steps + 1] = {drop and '18446744073709551615-18446744073709551615' or need, max_len} end

-- cut takes one step. Whole nodes of the stream go at little cost, and only when
-- none can go some of its oldest entries one by one, as many as a node commonly
-- has: so no trim is ever too large.
local trimmed, more, reached, first = 0, false, '0-0', s.first
local function cut(target, length)
  local room = math.min(budget, s.length - trimmed - length)
  if room <= 0 or not first or not less(first, target) then return end
  local function begin()
    local e = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
    first = e and e[1]
  end
  local n = redis.call('XTRIM', key, 'MINID', '~', target, 'LIMIT', room)
  if n > 0 then
    more = true
    begin()
  else
    local few = math.min(room, 100)
    while n < few and first and less(first, target) do
      n = n + redis.call('XTRIM', key, 'MAXLEN', '=', s.length - trimmed - n - 1)
      begin()
    end
    more = n == 100
  end
  trimmed, budget = trimmed + n, budget - n
  if less(reached, target) then reached = target end
end
if #missing == 0 and budget > 0 then
  for _, step in ipairs(steps) do
    if not more then cut(step[1], step[2]) end
  end
end

-- What went of what a group still needed, and how it is told in Redis.
local ahead = first or following(s.last) -- all before it is gone
for _, g in ipairs(groups) do
  if trimmed > 0 and less(g.needs, reached) then
    if less(g.last, s.first) then
      g.unread = trimmed
    elseif less(g.last, ahead) then
      g.unread = g.read >= 0 and math.min(trimmed, math.max(0, removed + trimmed - g.read)) or -1
    end
    if g.pending > 0 then
      g.dropped = #redis.call('XPENDING', key, g.name, s.first, prev(ahead), trimmed)
    end
    if g.unread ~= 0 or g.dropped > 0 then
      g.from = less(g.needs, s.first) and s.first or g.needs
      g.to = prev(ahead)
    end
  elseif trimmed > 0 and g.read < 0 and not less(g.last, s.first) and less(g.last, ahead) and not less(g.last, s.deleted) then
    -- All that the group has passed is gone now and nothing else: without its
    -- number this would look like entries that were trimmed unread.
    g.read = removed + trimmed
    redis.call('XGROUP', 'SETID', key, g.name, g.last, 'ENTRIESREAD', g.read)
  end
  g.undelivered = -1
  if not s.final or not less(g.last, s.final) then
    g.undelivered = 0
  elseif less(g.last, ahead) then
    g.undelivered = s.length - trimmed
  elseif g.read >= 0 and g.lag and g.lag <= s.length and g.read > removed then
    g.undelivered = g.lag
  end
end

local out = {}
for i, g in ipairs(groups) do
  out[i] = {g.name, known[g.name] and 1 or 0, g.ignored and 1 or 0, g.consumers, g.pending, g.oldest,
    g.last, g.undelivered, g.idle, g.needs, g.unread, g.dropped, g.from, g.to}
end
return {1, missing, trimmed, more and 1 or 0, s.length - trimmed, first or '', s.last, now, steps, out}
