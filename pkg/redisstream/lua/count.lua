-- Counts entries without sending them. A page is small until the size of the
-- entries is seen.
-- KEYS: stream   ARGV: 1 from, 2 to, both included, 3 how many at most
-- Returns {how many, last ID counted or "", whether these are all}
local maxPage, maxBytes = 1000, 262144
local at, limit, n, page, bytes, last = ARGV[1], tonumber(ARGV[3]), 0, 16, 0, ''
while n < limit and bytes < 16 * maxBytes do
  local entries = redis.call('XRANGE', KEYS[1], at, ARGV[2], 'COUNT', math.min(page, limit - n))
  local size = 0
  for _, e in ipairs(entries) do
    for _, text in ipairs(e[2]) do size = size + #text end
  end
  n, bytes = n + #entries, bytes + size
  if #entries > 0 then
    last = entries[#entries][1]
    at = '(' .. last
  end
  if #entries < page then return {n, last, n < limit and 1 or 0} end
  if size > maxBytes then page = math.max(1, math.floor(page / 2)) else page = math.min(maxPage, page * 2) end
end
return {n, last, 0}
