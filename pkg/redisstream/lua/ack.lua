-- Acknowledges those entries that are pending under our name.
-- KEYS: stream   ARGV: 1 group, 2 consumer, 3 min idle ms, 4 probes, 5 IDs (both
-- a JSON array of texts: the fastest way to get a list into a script)
-- Returns how many.
local key, group, consumer, minidle = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local probes, ids = cjson.decode(ARGV[4]), cjson.decode(ARGV[5])

local trusted = #probes > 0
for _, id in ipairs(probes) do
  local p = redis.call('XPENDING', key, group, id, id, 1, consumer)[1]
  if not p or p[3] >= minidle then
    trusted = false
    break
  end
end
if not trusted then -- also the call that finds the group missing
  redis.call('XPENDING', key, group, '-', '+', 1, consumer)
  local ours = {}
  for _, id in ipairs(ids) do
    if redis.call('XPENDING', key, group, id, id, 1, consumer)[1] then ours[#ours + 1] = id end
  end
  ids = ours
end

local acked = 0
for i = 1, #ids, 1000 do -- what unpack and a call can carry
  acked = acked + redis.call('XACK', key, group, unpack(ids, i, math.min(i + 999, #ids)))
end
return acked
