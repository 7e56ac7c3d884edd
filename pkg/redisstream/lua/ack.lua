-- Acknowledges those entries that are pending under our name.
-- KEYS: stream   ARGV: 1 group, 2 consumer, 3 min idle ms, 4 probes, 5 IDs (each
-- parted by a space)
-- Returns how many.
local key, group, consumer, minidle = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])

local trusted = ARGV[4] ~= ''
for id in string.gmatch(ARGV[4], '%S+') do
  local p = redis.call('XPENDING', key, group, id, id, 1, consumer)[1]
  if not p or p[3] >= minidle then
    trusted = false
    break
  end
end
if not trusted then -- also the call that finds the group missing
  redis.call('XPENDING', key, group, '-', '+', 1, consumer)
end

local acked, chunk = 0, {}
local function flush()
  if #chunk > 0 then acked = acked + redis.call('XACK', key, group, unpack(chunk)) end
  chunk = {}
end
for id in string.gmatch(ARGV[5], '%S+') do
  if trusted or redis.call('XPENDING', key, group, id, id, 1, consumer)[1] then
    chunk[#chunk + 1] = id
    if #chunk == 1000 then flush() end -- what unpack and a call can carry
  end
end
flush()
return acked
