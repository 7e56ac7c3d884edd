-- write appends a letter. Where the letters are full it appends nothing and
-- returns nil, unless the oldest are to be dropped: it returns how many were.
local function write(letters, most, drop, fields)
  local n = redis.call('XLEN', letters)
  if most == 0 or n < most then
    redis.call('XADD', letters, '*', unpack(fields))
    return 0
  end
  if not drop then return nil end
  redis.call('XADD', letters, 'MAXLEN', '=', most, '*', unpack(fields))
  return n + 1 - redis.call('XLEN', letters)
end

