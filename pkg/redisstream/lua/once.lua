-- What stands behind this is run for many groups of a stream in one step, see
-- each.lua: the stream and the list of its groups are looked at once for all.
local looks, lists = {}, {}
local lookAgain, listAgain = look, groups
local function look(key)
  if looks[key] == nil then looks[key] = lookAgain(key) or false end
  return looks[key] or nil
end
local function find(key, name)
  if not lists[key] then lists[key] = listAgain(key) end
  return lists[key][name]
end

local function one(KEYS, ARGV)
