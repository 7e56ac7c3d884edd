-- Asks whether the present user may run commands, without running them.
-- ARGV: for each command the number of its words, then these
-- Returns 1 or 0 for each; 0 also for a command that the server does not have.
if not redis.acl_check_cmd then return redis.error_reply('ERR the server has no redis.acl_check_cmd') end
local out, at = {}, 1
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  local known, may = pcall(redis.acl_check_cmd, unpack(ARGV, at + 1, at + words))
  out[#out + 1] = known and may and 1 or 0
  at = at + 1 + words
end
return out
