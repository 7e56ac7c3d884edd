end

-- Runs what stands before this for one group after the other, for some
-- milliseconds at most: Redis has others to serve.
-- KEYS: those of each group   ARGV: 1 keys a group, 2 arguments a group, then
-- those of each group
-- Returns {error or "", what it returns} for each group that its turn has come to.
local function clock()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000
end
local keys, args, began, out = tonumber(ARGV[1]), tonumber(ARGV[2]), clock(), {}
for i = 0, #KEYS / keys - 1 do
  local done, r = pcall(one, {unpack(KEYS, i * keys + 1, (i + 1) * keys)}, {unpack(ARGV, i * args + 3, (i + 1) * args + 2)})
  if type(r) == 'table' and r.err then
    out[i + 1] = {r.err}
  elseif not done then
    out[i + 1] = {tostring(r)}
  else
    out[i + 1] = {'', r}
  end
  if clock() - began > 10 then break end
end
return out
