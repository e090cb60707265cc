-- Forgets a set that nobody uses; how many use it.
-- KEYS: head, journal, members
local time = redis.call('TIME')
local now = math.max(time[1] * 1000000 + time[2], tonumber(redis.call('HGET', KEYS[1], 'now') or 0) or 0)
local present = redis.call('ZCOUNT', KEYS[3], '(' .. string.format('%.0f', now), '+inf')
if present == 0 then redis.call('DEL', unpack(KEYS)) end
return present
