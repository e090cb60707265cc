-- Forgets a set that nobody uses, or nobody can, since a key of it is none of ours; how many use it, and for how many
-- microseconds their leases last at most.
-- KEYS: head, journal, members
local function is(key, kind)
  local found = redis.call('TYPE', key).ok
  return found == 'none' or found == kind
end

local present, left = 0, 0
if is(KEYS[1], 'hash') and is(KEYS[2], 'list') and is(KEYS[3], 'zset') then
  local time = redis.call('TIME')
  local clock = time[1] * 1000000 + time[2]
  local now = math.max(clock, tonumber(redis.call('HGET', KEYS[1], 'now') or 0) or 0)
  present = redis.call('ZCOUNT', KEYS[3], '(' .. string.format('%.0f', now), '+inf')
  if present > 0 then left = tonumber(redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')[2]) - clock end
end
if present == 0 then redis.call('DEL', unpack(KEYS)) end
return {present, left}
