-- KEYS: stream, dead letters   ARGV: 1 group, 2 how many undelivered entries to count where
-- the server does not tell
-- Returns {length, entries-added, last-generated-id, first ID, last-delivered-id,
-- entries-read, pending, oldest pending, lag, dead letters}; "" and -1 are not
-- known.
local key, name, limit = KEYS[1], ARGV[1], tonumber(ARGV[2])
local s = look(key)
local g = s and find(key, name)
if not g then return redis.error_reply("NOGROUP No such key '" .. key .. "' or consumer group '" .. name .. "'") end

local pending = redis.call('XPENDING', key, name)
local oldest = pending[1] > 0 and pending[2] or ''

-- Redis' lag is nil after a deletion or for a group made in the middle, and
-- wrong after a trim that went past the group.
local lag = -1
if not s.final or not less(g.last, s.final) then
  lag = 0
elseif less(g.last, s.first) then
  lag = s.length
elseif g.read >= 0 and g.lag and g.lag <= s.length and g.read > s.added - s.length then
  lag = g.lag
elseif limit > 0 then
  local n = #redis.call('XRANGE', key, '(' .. g.last, '+', 'COUNT', limit)
  if n < limit then lag = n end
end
local letters = redis.pcall('XLEN', KEYS[2])
if type(letters) ~= 'number' then letters = -1 end -- the key holds something else
return {s.length, s.added, s.last, s.first or '', g.last, g.read, pending[1], oldest, lag, letters}
