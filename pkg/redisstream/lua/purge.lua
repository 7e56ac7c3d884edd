-- Deletes entries of the dead letters.
-- KEYS: dead letters, replay stream, replaying   ARGV: 1 group, 2 "1" to delete
-- what is being replayed too, with its replay, 3 IDs parted by a space
-- Returns {deleted, kept for their replay, gone before}
local deleted, kept, gone = 0, 0, 0
for id in string.gmatch(ARGV[3], '%S+') do
  local at = replaying(id)
  if at and ARGV[2] ~= '1' then
    kept = kept + 1
  elseif redis.call('XDEL', letters, id) == 0 then
    gone = gone + 1
  else
    deleted = deleted + 1
    if at then redis.call('XDEL', replays, at) end
    if at and find(replays, group) then redis.call('XACK', replays, group, at) end
    redis.call('HDEL', under, id)
  end
end
return {deleted, kept, gone}
