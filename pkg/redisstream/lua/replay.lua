-- Sends letters back to their group. They stay until that has settled them.
-- KEYS: dead letters, replay stream, replaying   ARGV: 1 group, then for each
-- letter its ID and the JSON object that goes with it
-- Returns for each 0 sent back, 1 on its way already, 2 no such letter.
local out = {}
for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  local e = redis.call('XRANGE', letters, id, id)[1]
  if not e or e[2][1] ~= 'letter' or #e[2] > 7900 then -- more cannot be passed on
    out[#out + 1] = 2
  elseif replaying(id) then
    out[#out + 1] = 1
  else
    if redis.call('EXISTS', replays) == 0 or not find(replays, group) then
      redis.call('XGROUP', 'CREATE', replays, group, '0', 'MKSTREAM')
    end
    local at = redis.call('XADD', replays, '*', 'of', id, 'letter', ARGV[i + 1], unpack(e[2], 3))
    redis.call('HSET', under, id, at)
    out[#out + 1] = 0
  end
end
return out
