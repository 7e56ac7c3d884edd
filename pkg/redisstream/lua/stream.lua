-- KEYS: stream
-- Returns {length, entries-added, last-generated-id, first ID}
local s = look(KEYS[1])
if not s then return {0, 0, '', ''} end
return {s.length, s.added, s.last, s.first or ''}
