-- The keys of a group's letters, and the group.
local letters, replays, under, group = KEYS[1], KEYS[2], KEYS[3], ARGV[1]

-- replaying gives the entry of the replay stream that a letter is in, or nil.
local function replaying(letter)
  local at = redis.call('HGET', under, letter)
  if at and #redis.call('XRANGE', replays, at, at) > 0 then return at end
  return nil
end

-- letterOf gives the letter that an entry of the replay stream is of: nil where
-- the entry is gone or something else has written it.
local function letterOf(id)
  local e = redis.call('XRANGE', replays, id, id)[1]
  if not e or e[2][1] ~= 'of' then return nil end
  local ms, seq = string.match(e[2][2], '^(%d+)-(%d+)$')
  if not ms or #ms > 19 or #seq > 19 then return nil end -- no ID that Redis gives
  return e[2][2]
end

-- delete removes a letter whose replay has come to an end.
local function delete(letter, id)
  if redis.call('HGET', under, letter) == id then redis.call('HDEL', under, letter) end
  redis.call('XDEL', letters, letter)
end

-- settle takes a pending entry out of the replay stream.
local function settle(id)
  redis.call('XACK', replays, group, id)
  redis.call('XDEL', replays, id)
end

