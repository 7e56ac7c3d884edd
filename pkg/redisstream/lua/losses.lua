-- Counts what was trimmed before the group has read it, once: the group's
-- entries-read is moved past it, so that the next call tells of later losses
-- alone and Redis' lag is right again.
-- KEYS: stream   ARGV: 1 group
-- Returns how many, 0 for none or -1 for some of unknown number.
local key, name = KEYS[1], ARGV[1]
local s = look(key)
local g = s and find(key, name)
if not g then return redis.error_reply("NOGROUP No such key '" .. key .. "' or consumer group '" .. name .. "'") end
if s.added < 0 then return 0 end

-- How many entries the stream had up to the group's position, where that is
-- known; in the middle at least those that are gone and the first.
local removed, due = s.added - s.length, 0
if not s.final or not less(g.last, s.final) then
  if not less(s.last, g.last) then due = s.added end
elseif less(g.last, s.first) then
  due = removed
elseif removed > 0 then
  due = removed + 1
end

if g.read >= due then return 0 end
local lost = due - g.read
if g.read < 0 then
  -- Where the group was made without entries-read, all that is gone may have
  -- been before it.
  if not s.first or not less(g.last, s.first) or removed == 0 then return 0 end
  lost = -1
end
redis.call('XGROUP', 'SETID', key, name, g.last, 'ENTRIESREAD', due)
return lost
