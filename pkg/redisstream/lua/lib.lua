-- IDs are texts "ms-seq": numbers of Lua are too small for them.

-- isID reports whether a text is an ID as Redis writes it.
local function isID(text)
  local most = '18446744073709551615'
  local function number(n)
    return n == '0' or string.sub(n, 1, 1) ~= '0' and (#n < #most or #n == #most and n <= most)
  end
  local ms, seq = string.match(text, '^(%d+)-(%d+)$')
  return ms ~= nil and number(ms) and number(seq)
end

-- less reports whether ID a stands before ID b.
local function less(a, b)
  local am, as = string.match(a, '^(%d+)-(%d+)$')
  local bm, bs = string.match(b, '^(%d+)-(%d+)$')
  if am == bm then am, bm = as, bs end
  if #am ~= #bm then return #am < #bm end
  return am < bm
end

-- minus gives a decimal text, not zero, less one.
local function minus(n)
  local i = #n
  while string.sub(n, i, i) == '0' do i = i - 1 end
  local out = string.sub(n, 1, i - 1) .. string.char(string.byte(n, i) - 1) .. string.rep('9', #n - i)
  if #out > 1 and string.sub(out, 1, 1) == '0' then out = string.sub(out, 2) end
  return out
end

-- prev gives the greatest ID before id.
local function prev(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  if seq ~= '0' then return ms .. '-' .. minus(seq) end
  if ms == '0' then return id end
  return minus(ms) .. '-18446744073709551615'
end

-- following gives the least ID after id.
local function following(id)
  local most = '18446744073709551615'
  local function plus(n)
    local head, nines = string.match(n, '^(.-)(9*)$')
    if head == '' then head = '0' end
    return string.sub(head, 1, -2) .. string.char(string.byte(head, -1) + 1) .. string.rep('0', #nines)
  end
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  if seq ~= most then return ms .. '-' .. plus(seq) end
  if ms == most then return id end
  return plus(ms) .. '-0'
end

local function map(list)
  local m = {}
  for i = 1, #list, 2 do m[list[i]] = list[i + 1] end
  return m
end

-- look describes a stream: nil when there is none. added is -1, and first and
-- final are nil, when they are not known; deleted is the greatest ID that was
-- ever deleted by itself.
local function look(key)
  if redis.call('EXISTS', key) == 0 then return nil end
  local info = map(redis.call('XINFO', 'STREAM', key))
  local s = {length = info['length'], last = info['last-generated-id'], added = info['entries-added'] or -1,
    deleted = info['max-deleted-entry-id'] or '0-0'}
  if s.last == '' then s.last = '0-0' end
  if s.length > 0 then
    local first, final = info['first-entry'], info['last-entry']
    if not first then -- miniredis does not tell
      first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
      final = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
    end
    s.first, s.final = first[1], final[1]
    if less(s.last, s.final) then s.last = s.final end -- miniredis again
  end
  return s
end

-- groups describes the groups of a stream that exists, by name.
local function groups(key)
  local all = {}
  for _, list in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local g = map(list)
    local last = g['last-delivered-id']
    if last == '0' or last == '' then last = '0-0' end -- miniredis again
    all[g['name']] = {last = last, read = g['entries-read'] or -1, pending = g['pending'], lag = g['lag']}
  end
  return all
end

-- find describes a group of a stream that exists: nil when there is none.
local function find(key, name) return groups(key)[name] end

-- stored gives the checkpoint that Redis has under a key: nil when there is none, or
-- nothing of use.
local function stored(key)
  local h = map(redis.call('HGETALL', key))
  local function whole(n) return string.match(n, '^%-?%d+$') and #n < 16 end
  local last, first, added, open = h['last'] or '0-0', h['first'] or '', h['added'] or '-1', h['open'] or '-1'
  if (h['epoch'] or '') ~= '' and isID(h['id'] or '') and isID(last) and (first == '' or isID(first)) and whole(added) and whole(open) then
    return {id = h['id'], epoch = h['epoch'], last = last, added = tonumber(added), first = first, open = tonumber(open)}
  end
  return nil
end

-- differs says why a stream, nil for none, cannot be the one that a checkpoint
-- was taken of. What it compares only ever grows in one and the same stream. A checkpoint beyond the
-- end needs no look of its own: it was not beyond what the stream then ended at,
-- unless the group began there.
local function differs(s, cp)
  if not s then return 'the stream is gone' end
  if less(s.last, cp.last) then return 'the stream ends at ' .. s.last .. ', it ended at ' .. cp.last .. ' before' end
  if s.added >= 0 and s.added < cp.added then
    return s.added .. ' entries were ever added, ' .. cp.added .. ' were before'
  end
  if s.first and cp.first ~= '' and less(s.first, cp.first) then
    return 'the stream begins at ' .. s.first .. ', it began at ' .. cp.first .. ' before'
  end
  if s.first and less(cp.last, s.first) and s.added >= 0 and s.added - s.length < cp.added then
    return 'nothing is there of the ' .. cp.added .. ' entries of before, and only ' .. s.added - s.length .. ' were ever removed'
  end
  return nil
end
