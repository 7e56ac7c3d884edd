-- The book of a group's losses is a hash: the last of them as JSON (fields
-- loss:<ID>), who has to tell of those that nobody has told of yet (tell:<ID>:
-- "process ms"), what a process has found to be gone while it was pending (a loss
-- under "gone:<process> <reason>"), and what the last look at the stream has left behind.

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- enter writes a loss down, and who tells of it.
local function enter(book, loss, teller)
  loss.at = loss.at or now()
  local at = string.format('%015.0f', loss.at)
  local id = table.concat({at, loss.reason, loss.certain and 'certain' or 'possible', loss.first or ''}, ':')
  redis.call('HSET', book, 'loss:' .. id, cjson.encode(loss))
  redis.call('HSET', book, 'tell:' .. id, teller .. ' ' .. at)
  local told = {}
  local b = map(redis.call('HGETALL', book))
  for field in pairs(b) do
    local id = string.match(field, '^loss:(.*)$')
    if id and not b['tell:' .. id] then told[#told + 1] = field end
  end
  table.sort(told) -- by time
  for i = 1, #told - 15 do redis.call('HDEL', book, told[i]) end -- 16 with this one
end

-- known notes that all losses up to a position are known: the next look for losses
-- starts from there. s is the stream, read how many entries were ever added up to
-- the position, those that were lost after it counted as before it, -1 for unknown.
local function known(book, s, at, read)
  redis.call('HSET', book, 'at', at, 'read', read, 'added', s and s.added or 0, 'removed', s and s.added - s.length or 0,
    'deleted', s and s.deleted or '0-0', 'first', s and s.first or '')
  redis.call('HDEL', book, 'again')
end

-- horizon is the last ID that may have been given after id: IDs that are times
-- end now, of all others nothing is known.
local function horizon(id)
  if #string.match(id, '^%d+') < 13 then return id end
  local time = string.format('%.0f', now()) .. '-18446744073709551615'
  return less(id, time) and time or id
end

-- vanished notes what a process has found to be gone while it was pending, as one
-- loss of a kind until it looks for losses. It reports whether that could be
-- written. What stood before the first entry, and beyond all that was ever deleted
-- by itself, was trimmed.
local function vanished(key, book, me, ids)
  if not book or #ids == 0 then return true end
  local s, losses, fields = look(key), {}, {}
  for _, id in ipairs(ids) do
    local trimmed = less(s.deleted, id) and not (s.first and less(s.first, id))
    local reason = trimmed and 'trimmed' or 'deleted'
    local loss = losses[reason]
    if not loss then
      local ours
      ours, loss = pcall(cjson.decode, redis.call('HGET', book, 'gone:' .. me .. ' ' .. reason) or '')
      if not ours or type(loss) ~= 'table' or not loss.entries then
        loss = {reason = reason, certain = true, entries = 0, first = id, last = id, at = now(), note = 'they were pending'}
      end
      losses[reason] = loss
    end
    if less(id, loss.first) then loss.first = id end
    if less(loss.last, id) then loss.last = id end
    loss.entries = loss.entries + 1
  end
  for reason, loss in pairs(losses) do
    fields[#fields + 1] = 'gone:' .. me .. ' ' .. reason
    fields[#fields + 1] = cjson.encode(loss)
  end
  local r = redis.pcall('HSET', book, unpack(fields))
  return type(r) ~= 'table' or not r.err
end
