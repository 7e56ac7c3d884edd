-- Takes the group's low-water mark and stores it when it has changed.
-- KEYS: stream, epoch, checkpoint
-- ARGV: 1 group, 2 the epoch to put back where the key is missing ("" for none)
-- Returns {ID, epoch, last-generated-id, entries-added, first ID, how many
-- entries are not settled or -1, error}
local key, name = KEYS[1], ARGV[1]
local s = look(key)
local g = s and find(key, name)
if not g then return redis.error_reply("NOGROUP No such key '" .. key .. "' or consumer group '" .. name .. "'") end

local id = g.last
local pending = redis.call('XPENDING', key, name)
if pending[1] > 0 and pending[2] and less(prev(pending[2]), id) then id = prev(pending[2]) end -- else it was set back
local open = -1
if s.added >= 0 and g.read >= 0 then open = pending[1] + math.max(0, s.added - g.read) end

-- Somebody may have made the group in another stream, since the last look.
local old = stored(KEYS[3])
local epoch = redis.call('GET', KEYS[2])
local reason = old and differs(s, old)
if not old and not epoch then reason = 'nothing of fanout is left' end
if reason then return redis.error_reply('NOGROUP of that stream: ' .. reason) end

local failed = ''
local function try(...)
  local r = redis.pcall(...)
  if type(r) == 'table' and r.err then failed = r.err end
end
if not epoch and ARGV[2] ~= '' then
  epoch = ARGV[2]
  try('SET', KEYS[2], epoch)
end
epoch = epoch or ''
if not old or old.id ~= id or old.epoch ~= epoch or old.last ~= s.last or old.open ~= open then
  try('HSET', KEYS[3], 'id', id, 'epoch', epoch, 'last', s.last, 'added', s.added, 'first', s.first or '', 'open', open)
end
return {id, epoch, s.last, s.added, s.first or '', open, failed}
