-- Acknowledges those replays that are pending under our name, and deletes them
-- with their letters.
-- KEYS: dead letters, replay stream, replaying   ARGV: 1 group, 2 consumer,
-- 3 IDs parted by a space
-- Returns how many.
local acked = 0
for id in string.gmatch(ARGV[3], '%S+') do
  if redis.call('XPENDING', replays, group, id, id, 1, ARGV[2])[1] then
    local letter = letterOf(id)
    if letter then delete(letter, id) end
    settle(id)
    acked = acked + 1
  end
end
return acked
